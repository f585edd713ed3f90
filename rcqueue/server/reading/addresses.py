"""The addresses of a From, Sender or Reply-To field. Linear, tolerant, and never fooled by a display name:
what stands in angle brackets is the address, whatever else looks like one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rcqueue.server.reading import caps
from rcqueue.server.reading.words import decode

_TOKEN = re.compile(r'[^"(<,;:\\]++|\\.?|["(<,;:]', re.DOTALL)
_QUOTED = re.compile(r'(?:[^"\\]++|\\.)*+"', re.DOTALL)
_PAREN = re.compile(r"[()]|\\.", re.DOTALL)
_UNQUOTE = re.compile(r"\\(.)", re.DOTALL)
_AROUND_DOTS = re.compile(r"[ \t]*([.@])[ \t]*")
_COMMENT = re.compile(r"\([^()]*+\)")
# ASCII: in bytes read as Latin-1, "\xa0" and "\x85" are no spaces but the ends of UTF-8 characters.
_ADDRESS = re.compile(r'(?:"(?:[^"\\]|\\.)*+"|[^\s"@<>()]++)@([^\s"@<>(),;]++)', re.ASCII)
_LONE_WORD = re.compile(r"[^\s\"@<>(),;:=]++", re.ASCII)
_BLANK = " \t"


class Address(NamedTuple):
    name: str  #: display name, decoded; "" without
    address: str  #: local part as written, domain lower-cased

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2] if "@" in self.address else ""


def read(value: str, declared: str = "") -> tuple[list[Address], str | None]:
    """The addresses of a field's value as `fields.cut` gives it, and the first trouble there was (None without).

    A word without "@" is an address (`root`, `MAILER-DAEMON`) only where the field has no other.
    """
    segments, trouble = _segments(value.replace("\n", " "))
    found: list[Address] = []
    lone: list[Address] = []
    unreadable = False
    for name, angle, plain in segments:
        if len(found) == caps.ADDRESSES:
            trouble = trouble or f"over {caps.ADDRESSES:,} addresses"
            break
        spec = plain if angle is None else angle
        address = _address(spec, declared)
        if address:
            found.append(Address(decode(name, declared)[0][: caps.SUBJECT], address))
        elif _LONE_WORD.fullmatch(spec.strip(_BLANK)):
            lone.append(Address(decode(name, declared)[0][: caps.SUBJECT], decode(spec, declared)[0][: caps.ADDRESS]))
        else:
            unreadable = unreadable or bool(spec.strip(_BLANK))
    if not found and not lone and unreadable:
        trouble = trouble or "unreadable address"
    return found or lone[:1], trouble


def _address(spec: str, declared: str) -> str:
    """An addr-spec, tidied; "" when it is none. After other words (`Ann Lee ann@example.org`) it must be the last."""
    if len(spec) > 4 * caps.ADDRESS:
        return ""
    spec = _COMMENT.sub("", spec).strip(_BLANK)
    if spec.startswith("@") and ":" in spec:
        spec = spec.rpartition(":")[2]  # a source route, obsolete since 1989
    spec = _AROUND_DOTS.sub(r"\1", spec).strip(_BLANK)
    if spec.count("@") == 1 and '"' not in spec:
        spec = spec.rpartition(" ")[2]
    match = _ADDRESS.fullmatch(spec)
    if not match or len(spec) > caps.ADDRESS:
        return ""
    return decode(spec[: match.start(1)], declared)[0] + decode(match[1], declared)[0].lower()


def _segments(value: str) -> tuple[list[tuple[str, str | None, str]], str | None]:
    """Cut at top-level commas and semicolons: each segment's display name, what angle brackets hold (None without
    any), and its text outside of comments."""
    if not any(mark in value for mark in '"(,;:\\'):
        name, bracket, rest = value.partition("<")
        if bracket:
            return [(name.strip(_BLANK), rest.partition(">")[0].lstrip("<"), value)], None
        return [("", None, value)], None

    segments: list[tuple[str, str | None, str]] = []
    words: list[str] = []  # as a display name: unquoted
    plain: list[str] = []  # as an address: quotes kept
    comment = ""
    angle: str | None = None
    quotes_close = comments_close = True  # known not to: no second look for it
    at, length = 0, len(value)

    def end_segment() -> None:
        nonlocal words, plain, comment, angle
        if words or angle is not None:
            name = "".join(words).strip(_BLANK)
            segments.append((name if angle is not None else comment, angle, "".join(plain)))
        words, plain, comment, angle = [], [], "", None

    while at < length and len(segments) <= caps.ADDRESSES:
        token = _TOKEN.match(value, at)
        assert token is not None, "the alternatives cover every character"
        text, at = token[0], token.end()
        if text in ",;":
            end_segment()
        elif text == ":" and angle is None and not any("@" in word for word in plain):
            words, plain = [], []  # what stood before it was a group's name
        elif text == "<" and angle is None:
            close = value.find(">", at)
            close = length if close < 0 else close
            angle, at = value[at:close].lstrip("<"), close + 1
        elif text == '"' and quotes_close:
            quoted = _QUOTED.match(value, at)
            if quoted is None:
                quotes_close = False
                continue
            words.append(_UNQUOTE.sub(r"\1", quoted[0][:-1]))
            plain.append('"' + quoted[0])
            at = quoted.end()
        elif text == "(" and comments_close:
            end, deepest = _comment_end(value, at)
            if deepest > caps.COMMENT_DEPTH:
                return segments, f"comments over {caps.COMMENT_DEPTH} deep"
            if end < 0:
                comments_close = False
                words.append(text)
                plain.append(text)
                continue
            comment = comment or value[at : end - 1].strip()
            at = end
        else:
            words.append(text)
            plain.append(text)
    end_segment()
    return segments, None


def _comment_end(value: str, at: int) -> tuple[int, int]:
    """Where the comment ends that was opened just before `at` (-1: nowhere), and how deep it goes."""
    depth = deepest = 1
    for paren in _PAREN.finditer(value, at):
        if paren[0] == "(":
            depth += 1
            deepest = max(deepest, depth)
            if depth > caps.COMMENT_DEPTH:
                break
        elif paren[0] == ")":
            depth -= 1
            if depth == 0:
                return paren.end(), deepest
    return -1, deepest
