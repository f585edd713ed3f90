"""Received fields cut into their clauses, as far as they can be read."""

from __future__ import annotations

from rcqueue.model.mail import Hop

_CLAUSES = {written: word for word in ("from", "by", "via", "with", "id", "for") for written in (word, word.upper())}


def hop(received: str) -> Hop:
    """`received` is the field as one line of text. A clause keeps its comments, where the client's address stands."""
    text, semicolon, at = received.rpartition(";")
    words = (text if semicolon else received).split()
    clauses: dict[str, str] = {}
    clause, start, depth = "", 0, 0
    for index, word in enumerate(words):
        if "(" in word or ")" in word:
            depth = max(0, depth + word.count("(") - word.count(")"))
        elif word in _CLAUSES and not depth and _CLAUSES[word] not in clauses and _CLAUSES[word] != clause:
            if clause:
                clauses[clause] = " ".join(words[start:index])
            clause, start = _CLAUSES[word], index + 1
    if clause:
        clauses[clause] = " ".join(words[start:])
    get = clauses.get
    return Hop(
        by=get("by", ""),
        from_=get("from", ""),
        with_=get("with", ""),
        id=get("id", ""),
        for_=get("for", ""),
        at=at.strip() if semicolon else "",
        raw=received,
    )
