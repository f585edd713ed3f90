"""Links of a body, written so that neither a terminal nor a person opens one by mistake. Pure, linear, capped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from rcqueue.model.mail import Link
from rcqueue.server.reading import caps
from rcqueue.server.reading.lookalike import domain_marks, related

_URL = re.compile(r"([a-z][a-z0-9+.-]{0,30}):(/*)([^/?#]{0,300})", re.IGNORECASE)
_NOT_IN_URLS = re.compile(r"[\x00-\x20]+")
# To their end, however far that is: cut after "http:", the next one would stand there whole.
_BARE = re.compile(r"\b(https?|ftp)://([^\s/?#<>\"'\[\]]{1,300})([^\s<>\"']*)", re.IGNORECASE)
_WWW = re.compile(r"(?<![\w.@/])www\.(?=[^\W_])[\w.-]+", re.IGNORECASE)
# What a text shows as a place: with a scheme or www, as an address, or a bare name.
_PLACE = re.compile(
    r"(?:(?P<sure>\b(?:https?|ftp)://(?:[^\s/@]{0,100}@)?|\bwww\.|@)|(?<![\w.-]))"
    r"(?P<host>(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_](?:[\w-]{0,22}[^\W_])?)(?![\w-])",
    re.IGNORECASE,
)
_ENDINGS = """ppt pdf doc docx xls xlsx pptx zip rar txt csv html htm php asp aspx jsp js py exe png jpg jpeg gif svg
xml eml mp3 mp4 json ics md"""
_FILES = frozenset(_ENDINGS.split())
_NUMBERS = re.compile(
    r"(?:\d{1,10}|0x[0-9a-f]{1,8})(?:\.(?:\d{1,10}|0x[0-9a-f]{1,8})){0,3}|\[[0-9a-f:.]+\]", re.IGNORECASE
)


class Place(NamedTuple):
    """Where a link leads."""

    host: str  #: a host, the address of a `mailto:`, or "scheme:"
    user: str = ""  #: what stands before the host
    plain: bool = True  #: it is a host


def place(url: str) -> Place | None:
    """None: within the page, or nowhere."""
    match = _URL.match(_NOT_IN_URLS.sub("", url[: 4 * caps.URL]).replace("\\", "/"))
    if not match:
        return None
    scheme, slashes, where = match.groups()
    if scheme.lower() == "mailto":
        return Place(where, plain=False)
    if slashes or scheme.lower() in ("http", "https", "ftp"):
        user, _, host = where.rpartition("@")
        return Place(host.lower(), user)
    return Place(f"{scheme.lower()}:", plain=False)


def dotless(host: str) -> str:
    return host.replace(".", "[.]")


def defanged(url: str, limit: int = caps.URL) -> str:
    """`hxxp://evil[.]example/path`: it reads the same and opens nowhere."""
    scheme, colon, rest = _NOT_IN_URLS.sub("", url[: 4 * limit])[:limit].partition(":")
    lead = rest[: len(rest) - len(rest.lstrip("/\\"))]
    after = rest[len(lead) :]
    end = next((i for i, c in enumerate(after) if c in "/?#\\"), len(after))
    after = (dotless(after[:end]) + after[end:]).replace("://", "[:]//").replace("www.", "www[.]")
    scheme = re.sub("http", "hxxp", dotless(scheme), flags=re.IGNORECASE)  # what stands there may be more than one
    scheme = re.sub("ftp", "fxp", scheme, flags=re.IGNORECASE)
    return f"{scheme}{colon}{lead}{after}"


def without_fangs(text: str) -> str:
    """The text with what a terminal would make a link of written otherwise."""
    if "://" in text:
        text = _BARE.sub(lambda match: defanged(match[0], len(match[0])), text)
    return _WWW.sub(lambda match: dotless(match[0]), text) if "www." in text.lower() else text


def bare(text: str) -> Iterable[str]:
    """The URLs that stand in a text."""
    return (match[0].rstrip(".,;:!?)") for match in _BARE.finditer(text)) if "://" in text else ()


def label_place(label: str, where: Place) -> str:
    """The place that a link's text names, where it is another than the link leads to; "" where it names none, or that.

    A name that could be a file's (`report.pdf`) counts only with a scheme or `www.` before it.
    """
    for match in _PLACE.finditer(label[: caps.URL]):
        host = match["host"].lower()
        if not match["sure"] and host.rpartition(".")[2] in _FILES:
            continue
        target = where.host.rpartition("@")[2] if not where.plain else where.host.partition(":")[0]
        if not related(host.removeprefix("www."), target.removeprefix("www.")):
            return host
    return ""


def link(url: str, label: str = "") -> Link | None:
    """A link as it is listed, with what there is to say against it; None where it leads nowhere."""
    where = place(url)
    if where is None or not where.host:
        return None
    says = label_place(label, where)
    marks = []
    if says:
        marks.append(f"says {dotless(says)}")
    if where.user:
        marks.append(f"{dotless(where.user[:100])} stands before its host")
    if where.plain:
        host = where.host if where.host.startswith("[") else where.host.partition(":")[0]
        if _NUMBERS.fullmatch(host):
            marks.append("a number for a host")
        marks += [dotless(mark) for mark in domain_marks(host)]
    elif where.host not in ("mailto:", "tel:", "sms:", "cid:", "callto:") and "@" not in where.host:
        marks.append("no web address")
    return Link(to=defanged(url), host=dotless(where.host), label=dotless(says), marks=marks)


def listed(found: Iterable[tuple[str, str]]) -> tuple[list[Link], int]:
    """URLs with their texts as links, each once, those with something against them first; and how many more there
    are. Of very many only the first are looked at."""
    once = dict.fromkeys(found)
    links = {}
    for url, label in islice(once, 5 * caps.LINKS):
        if (one := link(url, label)) is not None:
            links[one.to, one.label] = one
    shown = sorted(links.values(), key=lambda one: not one.marks)
    return shown[: caps.LINKS], max(0, len(once) - 5 * caps.LINKS) + max(0, len(shown) - caps.LINKS)
