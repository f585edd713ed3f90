"""Ids of messages and mails.

A message's id is 63 bits: 42 bits of Unix milliseconds, then the low 21 bits of the journal sequence that held it,
written as 13 characters of Crockford base32, so ids sort as the messages arrived. A mail's id is its message's id and
three characters more: the number of the recipient.
"""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MESSAGE_CHARS = 13
MAIL_CHARS = 16
MAX_RECIPIENTS = 32**3

_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_VALUE = {c: i for i, c in enumerate(ALPHABET)}
_VALUE |= {c.lower(): i for c, i in _VALUE.items()}
_VALUE |= {"I": 1, "i": 1, "L": 1, "l": 1, "O": 0, "o": 0}


def new_message_id(at_us: int, seq: int) -> int:
    """The id of the message held at `at_us` (Unix microseconds) by journal entry `seq`."""
    return (at_us // 1000) << 21 | (seq & 0x1FFFFF)


def first_id_at(at_us: int) -> int:
    """The smallest id that a message held at or after `at_us` can have."""
    return (at_us // 1000) << 21


def _encode(number: int, width: int) -> str:
    """The lowest 5 bits a character, two characters at a time: a page has a hundred ids."""
    if width % 2:
        return _encode(number >> 5, width - 1) + ALPHABET[number & 31]
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(5 * width - 10, -1, -10)])


def _decode(text: str) -> int:
    number = 0
    for c in text:
        number = number << 5 | _VALUE[c]
    return number


def encode_message(message: int) -> str:
    return _encode(message, MESSAGE_CHARS)


def encode_mail(message: int, n: int) -> str:
    return _encode(message, MESSAGE_CHARS) + _encode(n, MAIL_CHARS - MESSAGE_CHARS)


def parse_id(text: str) -> tuple[int, int | None]:
    """(message, n) of a mail's id, (message, None) of a message's. Raises ValueError saying what an id looks like."""
    text = text.strip()
    if len(text) in (MESSAGE_CHARS, MAIL_CHARS):
        try:
            message = _decode(text[:MESSAGE_CHARS])
            n = _decode(text[MESSAGE_CHARS:]) if len(text) == MAIL_CHARS else None
        except KeyError:
            pass
        else:
            if message < 1 << 63:
                return message, n
    raise ValueError(f"{text[:40]!r} is no id: a message's has 13 characters of 0-9 A-Z, a mail's has 16")
