"""Received fields cut into their clauses, as far as they can be read."""

from __future__ import annotations

from rcqueue.model.mail import Hop

_CLAUSES = {"from": "from_", "by": "by", "with": "with_", "id": "id", "for": "for_"}
_ENDS = {*_CLAUSES, "via"}


def hop(received: str) -> Hop:
    """`received` is the field as one line of text. A clause keeps its comments, where the client's address stands."""
    text, _, at = received.rpartition(";")
    if not text:
        text, at = received, ""
    clauses: dict[str, str] = {}
    words: list[str] = []
    clause, depth = "", 0
    for word in text.split():
        if depth == 0 and (key := word.lower()) in _ENDS and key not in clauses and key != clause:
            if clause:
                clauses[clause] = " ".join(words)
            clause, words = key, []
            continue
        words.append(word)
        if "(" in word or ")" in word:
            depth = max(0, depth + word.count("(") - word.count(")"))
    if clause:
        clauses[clause] = " ".join(words)
    known = {attribute: clauses[name] for name, attribute in _CLAUSES.items() if name in clauses}
    return Hop(**known, at=at.strip(), raw=received)
