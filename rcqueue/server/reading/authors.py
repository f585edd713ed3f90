"""Who a message says that it is from, and what there is to say against it; who says that it is authentic. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rcqueue.model.folding import domain_of, fold_address, fold_ascii
from rcqueue.model.mail import Author, AuthResult
from rcqueue.server.reading import caps
from rcqueue.server.reading.lookalike import Own, domain_marks, related, scripts, skeleton

FIELDS = ("from", "sender", "reply-to")
_SHOWN_ADDRESS = re.compile(r"[\w.+%=-]{1,64}\s?@\s?((?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{1,23})")
_COMMENT = re.compile(r"\([^()]*\)")
_RESULT = re.compile(r"(spf|dkim|dmarc|arc)\s*=\s*([a-z]{1,12})\b", re.IGNORECASE)
_OF = {
    "spf": re.compile(r"\bsmtp\.(?:mailfrom|helo)\s*=\s*\"?(?:[^\s;\"@]{0,320}@)?([^\s;\"]{1,255})", re.IGNORECASE),
    "dkim": re.compile(r"\bheader\.d\s*=\s*\"?([^\s;\"]{1,255})", re.IGNORECASE),
    "dmarc": re.compile(r"\bheader\.from\s*=\s*\"?([^\s;\"]{1,255})", re.IGNORECASE),
}
_SPF = re.compile(r"\s*([a-z]{1,12})\b", re.IGNORECASE)
_SENDER = re.compile(r"\benvelope-from\s*=\s*\"?(?:[^\s;\"@]{0,320}@)?([^\s;\">]{1,255})", re.IGNORECASE)


def marked(authors: Sequence[Author], sender: str, ours: Own) -> list[Author]:
    """The authors with what there is to say against each, and the envelope sender where its domain is another."""
    writers = [domain_of(author.address[: caps.ADDRESS]) for author in authors if author.field == "From"]
    first = writers[0] if writers else ""
    envelope = [Author(field="Envelope", address=sender)] if sender and first else []
    shown = []
    for author in [*authors, *envelope]:
        domain = domain_of(author.address[: caps.ADDRESS])
        apart = author.field != "From" and bool(domain and first) and not related(domain, first)
        if author.field == "Envelope" and not apart:
            continue
        marks = domain_marks(domain, ours) + _of_name(author)
        if apart:
            marks.append("another domain than From")
        if author.field == "From" and author.nth > 1:
            marks.append("a second From field" if author.nth == 2 else f"From field {author.nth}")
        shown.append(author.model_copy(update={"marks": marks}))
    return shown


def _of_name(author: Author) -> list[str]:
    """What a display name shows that the address is not."""
    address = fold_address(author.address[: caps.ADDRESS])
    for other in _SHOWN_ADDRESS.finditer(author.name[: caps.SUBJECT]):
        shown = "".join(other[0].split())
        if fold_address(shown) != address:
            return [f"its name shows {shown}"]
    words = author.name.split()
    if any(len(found := scripts(word)) > 1 and "LATIN" in found and skeleton(word).isascii() for word in words):
        return ["mixed scripts in its name"]
    return []


def results(fields: Iterable[str], trusted: Sequence[str]) -> list[AuthResult]:
    """What `Name: value` of each field says of SPF, DKIM, DMARC and ARC. `trusted` are the names under which our own
    mail servers write Authentication-Results: those come first, everything else is only said. Of ARC's own field
    nothing is trusted: who holds the name of a server need not be that server."""
    found: dict[tuple[str, str, str, str], AuthResult] = {}
    for field in fields:
        name, _, value = field.partition(":")
        value = _COMMENT.sub(" ", value[: caps.FIELD])
        if name.lower() == "received-spf":
            if spf := _SPF.match(value):
                of = _SENDER.search(value)
                said = AuthResult(method="spf", result=spf[1].lower(), of=of[1] if of else "", by="Received-SPF")
                found.setdefault((said.method, said.result, said.of, said.by), said)
            continue
        parts = value.split(";")
        arc = name.lower() != "authentication-results"
        if arc and re.match(r"\s*i\s*=", parts[0]):
            parts = parts[1:]
        by = fold_ascii(((parts or [""])[0].split() or [""])[0])
        for part in parts[1:]:
            if not (result := _RESULT.match(part.strip())):
                continue
            method = result[1].lower()
            of = _OF[method].search(part) if method in _OF else None
            said = AuthResult(
                method=method,
                result=result[2].lower(),
                of=of[1].lower() if of else "",
                by=f"{by} (ARC)" if arc else by,
                said=arc or by not in trusted,
            )
            found.setdefault((said.method, said.result, said.of, said.by), said)
            if len(found) == caps.AUTH_RESULTS:
                break
    return sorted(found.values(), key=lambda one: one.said)
