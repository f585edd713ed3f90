"""Names of domains as a person reads them: written in two ways, in mixed scripts, or made to look like one of ours.

The characters that look like Latin ones are a small table of those met in mail, not the whole of UTS 39; scripts are
told by the names of the Unicode database. What looks like another by its meaning alone (`acme-support.example`) is
not found.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from rcqueue.model.folding import ascii_domain

LONGEST = 253  #: characters of a domain that is looked at
_LEAST = 4  #: letters that the first label of a domain of ours has, for another by one letter to look like it

# Cyrillic, Greek, Armenian, Latin and figures, each before what it looks like.
_LOOKS = "аaеeоoрpсcуyхxіiјjѕsԁdԛqԝwһhӏlгrкkмmтtвbнhззпnиuьbъbѐeёeїiєe" + (
    "αaβbγyεeηnιiκkνvοoπnρpτtυuχxωwϲcօoսuոnհhցgզqաwյjɑaɡgıiłlđdøoþpʀrʏyᴀaᴄcᴅdᴏoᴠvᴡwℓl0o1l|lßb"
)
_TABLE = str.maketrans(dict(zip(_LOOKS[::2], _LOOKS[1::2], strict=True)))
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("nn", "m"))
_TOGETHER = (
    {"CJK", "HIRAGANA", "KATAKANA", "LATIN"},
    {"CJK", "HANGUL", "LATIN"},
    {"CJK", "BOPOMOFO", "LATIN"},
)


def readable(domain: str) -> str:
    """The domain with its `xn--` labels as they are read; a label that is none stays as it stands."""
    if "xn--" not in domain.lower():
        return domain
    return ".".join(_label(label) for label in domain[:LONGEST].split("."))


def _label(label: str) -> str:
    if not label.lower().startswith("xn--") or len(label) > 63:
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def scripts(text: str) -> set[str]:
    """Scripts of the letters: LATIN, CYRILLIC ..."""
    return {unicodedata.name(c, "?").partition(" ")[0] for c in text if c.isalpha()}


def skeleton(text: str) -> str:
    """What a text is at a glance: two that look alike have the same."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    plain = plain.translate(_TABLE)
    for pair, looks in _PAIRS:
        plain = plain.replace(pair, looks)
    return plain


class Own:
    """The domains that are ours: what looks like one of them and is none."""

    def __init__(self, domains: Iterable[str] = ()) -> None:
        self._ours = frozenset(map(ascii_domain, domains))
        self._labels = {domain.count(".") for domain in self._ours}
        self._skeletons: dict[str, str] = {}
        self._near: dict[str, list[str]] = {}  # with any one letter of the first label left out
        for domain in sorted(self._ours):
            self._skeletons.setdefault(skeleton(readable(domain)), domain)
            for variant in _shorter(domain, _LEAST):
                self._near.setdefault(variant, []).append(domain)

    def looks_like(self, domain: str) -> str | None:
        """The one of ours that a domain, or one above it, could be taken for; None: none, or it is ours."""
        domain = ascii_domain(domain[:LONGEST])
        if not self._ours or "." not in domain or any(_below(domain, ours) for ours in _above(domain) & self._ours):
            return None
        labels = domain.split(".")
        for dots in self._labels:
            if len(labels) > dots and (found := self._taken_for(".".join(labels[-dots - 1 :]))) is not None:
                return found
            for start in range(len(labels) - dots - 1):  # acme.example.elsewhere.example
                if (begins := ".".join(labels[start : start + dots + 1])) in self._ours and dots:
                    return begins
        return None

    def _taken_for(self, domain: str) -> str | None:
        if (same := self._skeletons.get(skeleton(readable(domain)))) is not None:
            return same
        return next(
            (
                ours
                for variant in _shorter(domain, _LEAST - 1)
                for ours in self._near.get(variant, ())
                if _one_apart(domain, ours)
            ),
            None,
        )


@lru_cache(maxsize=64)
def own(domains: frozenset[str]) -> Own:
    return Own(domains)


def _above(domain: str) -> set[str]:
    labels = domain.split(".")
    return {".".join(labels[start:]) for start in range(len(labels))}


def _below(domain: str, above: str) -> bool:
    return domain == above or domain.endswith(f".{above}")


def related(one: str, other: str) -> bool:
    """Whether a domain is another, or below it."""
    one, other = ascii_domain(one), ascii_domain(other)
    return _below(one, other) or _below(other, one)


def _shorter(domain: str, least: int) -> set[str]:
    """The domain, and with any one letter of its first label left out; nothing where that has less than so many."""
    first, dot, rest = domain.partition(".")
    if len(first) < least or not dot:
        return set()
    return {domain} | {first[:at] + first[at + 1 :] + dot + rest for at in range(len(first))}


def _one_apart(one: str, other: str) -> bool:
    """Whether one letter more, less or other, or two that changed places, make one of the other."""
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])


def domain_marks(domain: str, ours: Own | None = None) -> list[str]:
    """What there is to say of a domain, in our words."""
    domain = domain[:LONGEST]
    read = readable(domain)
    marks = []
    if read != domain:
        marks.append(f"reads {read}")
    elif not domain.isascii() and (written := ascii_domain(domain)) != domain.lower():
        marks.append(f"is {written}")
    for label in read.split("."):
        found = scripts(label)
        if len(found) > 1 and not any(found <= together for together in _TOGETHER):
            marks.append(f"mixed scripts: {' and '.join(sorted(s.capitalize() for s in found))}")
        elif found and "LATIN" not in found and skeleton(label).isascii():
            marks.append(f"{min(found).capitalize()} letters that look like Latin")
    if ours is not None and (like := ours.looks_like(domain)) is not None:
        marks.append(f"looks like {like}")
    return list(dict.fromkeys(marks))
