"""The body of a header field to one line of text: unfolded, its encoded words (RFC 2047) decoded, once."""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, a2b_qp

from rcqueue.server.reading import caps
from rcqueue.server.reading.charsets import clean, from_charset, guess

_HEAD = re.compile(r"=\?([!-<>@-~]{1,75})\?([bBqQ])\?")
_LINE_BREAKS = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def decode(value: str, declared: str = "") -> tuple[str, str | None]:
    """A field's value as `fields.cut` gives it, to text, and the first trouble there was (None without).

    `declared` is the charset that the mail names for its body: what 8-bit bytes in a field most likely are. The text
    is one line, and clean: a line break that an encoded word hides becomes a space.
    """
    if "\n" in value:
        value = " ".join([line.strip(" \t") for line in value.split("\n")])
    trouble = None
    if "=?" in value:
        value, trouble = _encoded_words(value, declared)
    elif not value.isascii():
        value, trouble = guess(value.encode("latin-1"), declared)
    if not value.isprintable():
        value = clean(_LINE_BREAKS.sub(" ", value))
    return value.strip(), trouble


def base64(data: bytes) -> tuple[bytes, bool]:
    """What can be decoded of `data`, and whether that is all: padding may be missing, other characters may not."""
    try:
        return a2b_base64(data), True
    except Error:
        digits = _NOT_BASE64.sub(b"", data)
        whole = len(digits) // 4 * 4 + (0 if len(digits) % 4 == 1 else len(digits) % 4)
        return a2b_base64(digits[:whole] + b"=" * (-whole % 4)), whole == len(digits) and b"=" not in data.rstrip(
            b"=\r\n"
        )


def _encoded_words(value: str, declared: str) -> tuple[str, str | None]:
    text: list[str] = []
    troubles: list[str] = []
    run, run_charset = b"", ""  # neighbours of one charset: a character's bytes may be split between them
    at = words = 0

    def note(decoded: tuple[str, str | None]) -> str:
        if decoded[1]:
            troubles.append(decoded[1])
        return decoded[0]

    def plain(gap: str) -> str:
        return gap if gap.isascii() else note(guess(gap.encode("latin-1"), declared))

    search_from = 0
    while (start := value.find("=?", search_from)) >= 0:
        head = _HEAD.match(value, start)
        if head is None:
            search_from = start + 2
            continue
        end = value.find("?=", head.end())
        if end < 0:
            break
        if words == caps.ENCODED_WORDS:
            troubles.append(f"over {caps.ENCODED_WORDS} encoded words")
            break
        data = _payload(head[2], value[head.end() : end])
        if data is None:
            troubles.append("broken encoded word")
            search_from = end + 2
            continue
        words += 1
        charset = head[1].partition("*")[0].lower()
        gap = value[at:start]
        adjacent = bool(run_charset) and not gap.strip(" \t")
        if not adjacent or charset != run_charset:
            if run_charset:
                text.append(note(from_charset(run, run_charset)))
            run, run_charset = b"", charset
        if not adjacent:
            text.append(plain(gap))
        run += data
        at = search_from = end + 2
    if run_charset:
        text.append(note(from_charset(run, run_charset)))
    text.append(plain(value[at:]))
    return "".join(text), troubles[0] if troubles else None


def _payload(encoding: str, payload: str) -> bytes | None:
    raw = payload.encode("latin-1")
    if encoding in "qQ":
        return a2b_qp(raw, header=True)
    data, whole = base64(raw)
    return data if whole else None
