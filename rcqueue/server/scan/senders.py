"""Senders that people let through or stop: what they said, and whether it is about a mail. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rcqueue.model.access import covers
from rcqueue.model.folding import ascii_domain, fold_address, fold_ascii
from rcqueue.model.mail import from_us
from rcqueue.server.reading.scan import scan

_ADDRESS = re.compile(r"[^\s<>(),;:\"@\x00-\x1f\x7f]{1,64}@([^\s@]{1,255})")
_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_COMMENT = re.compile(r"\([^()]*\)")
_DMARC = re.compile(r"\bdmarc\s*=\s*fail\b", re.IGNORECASE)
_OF = re.compile(r"\bheader\.from\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)


def pattern_of(text: str) -> str:
    """An address, or a domain for itself and those below, as a person wrote it, as it is kept. Raises ValueError."""
    pattern = fold_address(text.strip().removeprefix("@"))
    domain = pattern.rpartition("@")[2]
    if not _DOMAIN.fullmatch(domain) or len(domain) > 255 or ("@" in pattern and not _ADDRESS.fullmatch(pattern)):
        raise ValueError(f"{text!r}: an address as ada@sender.example, or a domain as sender.example, was expected")
    return pattern


@dataclass(frozen=True, slots=True)
class SenderRule:
    """One that holds. `ends` is Unix microseconds; `recipient` is "" for all of the customer's."""

    id: int
    kind: str  #: allow, block
    pattern: str
    customer: str
    recipient: str
    by: str  #: name of who said so
    ends: int

    def __str__(self) -> str:
        said = "allowed" if self.kind == "allow" else "blocked"
        return f"{said} by {self.by} until {from_us(self.ends):%Y-%m-%d} ({self.pattern})"


@dataclass(frozen=True, slots=True)
class Word:
    """What people said about the sender of a mail to one recipient. `forged`: our own mail server says that DMARC
    fails for the domain of its From, so that nobody knows whether it is that sender."""

    allow: SenderRule | None = None
    block: SenderRule | None = None
    forged: bool = False


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a mail says that it is from: each address of its From fields, and the envelope's, as they are compared."""

    authors: tuple[str, ...] = ()
    envelope: str = ""
    forged: bool = False

    @classmethod
    def of(cls, raw: bytes, envelope: str, ours: Sequence[str] = ()) -> Sender:
        """`ours`: the names under which our own mail servers write Authentication-Results; without any each counts,
        for nobody forges one that says "fail"."""
        read = scan(raw)
        authors = tuple(dict.fromkeys(fold_address(address) for address in read.from_addresses))
        domains = [author.rpartition("@")[2] for author in authors]
        return cls(authors, fold_address(envelope), any(_fails(said, domains, ours) for said in read.authentication))


def _fails(said: str, domains: Iterable[str], ours: Sequence[str]) -> bool:
    """Whether an Authentication-Results field says that DMARC fails for one of the domains, or for none by name."""
    name, _, value = said.partition(":")
    if name.lower() != "authentication-results":
        return False
    by, *results = _COMMENT.sub(" ", value).split(";")
    if ours and fold_ascii((by.split() or [""])[0]) not in ours:
        return False
    for result in results:
        if _DMARC.search(result):
            of = _OF.search(result)
            failed = of and ascii_domain(of[1])
            if not failed or any(domain == failed or domain.endswith(f".{failed}") for domain in domains):
                return True
    return False


class Senders:
    """The rules that hold, found by the addresses and domains that they are about."""

    def __init__(self, rules: Iterable[SenderRule] = ()) -> None:
        self._by_pattern: dict[str, list[SenderRule]] = {}
        for rule in rules:
            self._by_pattern.setdefault(rule.pattern, []).append(rule)

    def __bool__(self) -> bool:
        return bool(self._by_pattern)

    def word(self, sender: Sender, recipient: str, customer: str, now: int) -> Word:
        """What holds at `now` for a mail to `recipient`, whose mail is `customer`'s.

        A block is about the envelope sender and any From address; what is allowed is about the From alone, and only
        where it names one sender: with two nobody can say which of them a reader sees.
        """
        to = fold_address(recipient)
        blocks = self._about((*sender.authors, sender.envelope), "block", to, customer, now)
        allows = self._about(sender.authors, "allow", to, customer, now) if len(sender.authors) == 1 else []
        return Word(_latest(allows), _latest(blocks), sender.forged)

    def _about(self, addresses: Iterable[str], kind: str, to: str, customer: str, now: int) -> list[SenderRule]:
        return [
            rule
            for pattern in dict.fromkeys(pattern for address in addresses for pattern in _patterns(address))
            for rule in self._by_pattern.get(pattern, ())
            if rule.kind == kind and rule.ends > now and _covers(rule, to, customer)
        ]


def _latest(rules: Iterable[SenderRule]) -> SenderRule | None:
    return max(rules, key=lambda rule: (rule.ends, rule.id), default=None)


def _covers(rule: SenderRule, to: str, customer: str) -> bool:
    return covers(rule.customer, customer) and rule.recipient in ("", to)


def _patterns(address: str) -> list[str]:
    """What may be said about an address: itself, its domain, and those above."""
    if not address:
        return []
    labels = address.rpartition("@")[2].split(".")
    return [address, *(".".join(labels[start:]) for start in range(len(labels)))]
