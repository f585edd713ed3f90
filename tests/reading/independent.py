"""A reader that shares nothing with ours: Python's own `email`, under both of its policies.

They differ from each other in spaces, quotes and 8-bit text. `readings` gives what each makes of a field; ours must
be one of these, under `same`.
"""

from __future__ import annotations

import email
import email.policy
import re
from email.errors import MessageError
from email.header import decode_header
from email.utils import getaddresses

#: Space before the colon is legal (RFC 5322, 4.5); `email` ends the header there.
_OBSOLETE_COLON = re.compile(rb"^([!-9;-~]+)[ \t]+:", re.MULTILINE)
_WIDER = {"gb2312": "gb18030", "ks_c_5601-1987": "cp949", "iso-8859-1": "cp1252", "us-ascii": "utf-8"}


def readings(raw: bytes, name: str) -> list[list[str]]:
    """What each independent reader makes of the fields of that name, in order."""
    head = _OBSOLETE_COLON.sub(rb"\1:", raw)
    return [reading for reading in (_compat32(head, name), _default(head, name)) if reading is not None]


def addresses(raw: bytes, name: str) -> list[str]:
    """Addresses of the fields of that name, domains in lower case, by `email.utils.getaddresses`, which keeps a name
    before an address without brackets (`Ann Lee ann@example.org`) as part of it: the last word is the address."""
    values = [_eight_bit(str(value)) for value in _fields(_OBSOLETE_COLON.sub(rb"\1:", raw), name)]
    found = [address.split()[-1] for _, address in getaddresses(values) if "@" in address]
    return [f"{local}@{domain.lower()}" for local, _, domain in (address.rpartition("@") for address in found)]


def same(text: str) -> str:
    """What two readers must agree on: the characters, without spaces, quotes and backslashes; what can't be stored as
    a replacement character."""
    return re.sub(r'[\s"\\]+', "", re.sub("[\x00\ud800-\udfff]", "\ufffd", text))


def _fields(raw: bytes, name: str) -> list[str]:
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    return [value for key, value in message.raw_items() if key.lower() == name]


def _compat32(raw: bytes, name: str) -> list[str] | None:
    charset = email.message_from_bytes(raw).get_content_charset() or "utf-8"
    try:
        return ["".join(_word(*part, charset) for part in decode_header(value)) for value in _fields(raw, name)]
    except (ValueError, LookupError, MessageError):
        return None


def _word(part: str | bytes, named: str | None, declared: str) -> str:
    if isinstance(part, str):
        return _eight_bit(part, declared)
    if named is None:  # between encoded words: in Python's raw-unicode-escape
        return _eight_bit(part.decode("ascii", "surrogateescape"), declared)
    named = named.partition("*")[0]
    try:
        return part.decode(named)
    except (UnicodeError, LookupError):
        return part.decode(_WIDER.get(named, named))


def _eight_bit(text: str, declared: str = "utf-8") -> str:
    """8-bit bytes of a field: UTF-8, or else what the mail declares for its body, or else Western."""
    octets = text.encode("utf-8", "surrogateescape")
    for charset in ("utf-8", declared, "cp1252", "latin-1"):
        try:
            return octets.decode(charset)
        except (UnicodeError, LookupError):
            continue
    raise AssertionError("Latin-1 decodes everything")


def _default(raw: bytes, name: str) -> list[str] | None:
    try:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        return [str(value) for value in message.get_all(name, [])]
    except Exception:  # it fails on some mail in a dozen ways; the other reader remains
        return None
