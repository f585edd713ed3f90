"""Text as it is compared: addresses, domains, words. The same here, in the database, and in rules that look at mail."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}


def fold_ascii(text: str) -> str:
    """Text as addresses and names of rules are compared: A-Z to a-z and no more, which every database can."""
    return text.translate(_LOWER)


def domain_of(address: str) -> str:
    """The domain of an address in lower case; "" when it has none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


def ascii_domain(domain: str) -> str:
    """A domain as it is compared: lower case, in its ASCII form where it has one, without the root's dot."""
    domain = domain.lower().removesuffix(".")
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain


def fold_address(address: str) -> str:
    """An address, or a domain, as rules about senders compare it: A-Z folded, the domain in its ASCII form."""
    local, at, domain = address.rpartition("@")
    return fold_ascii(local) + at + ascii_domain(domain)


def fold_words(text: str) -> str:
    """Text as `subject:` and bare words compare it: case-folded, composed, on one line."""
    return " ".join(unicodedata.normalize("NFC", text.casefold()).split())


def words_of(subject: str, from_email: str, sender: str, rcpts: Iterable[str]) -> str:
    """What bare words look in: the folded subject, a line end, the folded addresses."""
    return fold_words(subject) + "\n" + " ".join(map(fold_words, (from_email, sender, *rcpts)))
