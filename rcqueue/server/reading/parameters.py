"""Parameters of Content-Type and Content-Disposition, RFC 2231 with its continuations and charsets."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from rcqueue.server.reading.charsets import clean, from_charset
from rcqueue.server.reading.words import decode

_PARAMETER = re.compile(
    r';\s*+([^\s=;"*]{1,80})(\*\d{1,4})?(\*)?\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)(?:"|\Z)|([^;]*+))', re.DOTALL | re.ASCII
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MOST = 100


def parameters(value: str) -> dict[str, str]:
    """Parameters by lower-case name, decoded, of a field's value as `fields.cut` gives it. Of two with one name the
    first counts."""
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bool, str]]] = {}
    for count, match in enumerate(_PARAMETER.finditer(value.replace("\n", " "))):
        if count == _MOST:
            break
        name, number, encoded, quoted, token = match.groups()
        text = _ESCAPED.sub(r"\1", quoted) if quoted is not None else token.strip(" \t")
        if number or encoded:
            pieces.setdefault(name.lower(), {}).setdefault(int((number or "*0")[1:]), (bool(encoded), text))
        else:
            plain.setdefault(name.lower(), text)
    result = {name: decode(text)[0] for name, text in plain.items()}
    return result | {name: _joined(parts) for name, parts in pieces.items()}


def _joined(parts: dict[int, tuple[bool, str]]) -> str:
    charset, data = "", b""
    for number in sorted(parts):
        encoded, text = parts[number]
        if encoded and number == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        raw = text.encode("latin-1", "replace")
        data += unquote_to_bytes(raw) if encoded else raw
    return clean(from_charset(data, charset or "utf-8")[0]).strip()
