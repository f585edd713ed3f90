"""The journal: one sequence, a leaf an entry, each leaf naming the hash of the one before.

A leaf is RFC 8785 JSON as text. What is personal in an entry (reasons, notes, addresses, replies) stands beside the
leaf, which holds a salted commitment to it: it can be erased and the chain still verifies. The hash of a leaf is
SHA-256(0x00 + leaf), so that an RFC 6962 tree can be laid over it later.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

GENESIS = bytes(32)


@dataclass(slots=True)
class Draft:
    """An entry before it has its number. `mails` are (n, status, version, expiry) of the mails it changed."""

    kind: str
    customer: str | None = None
    message: int | None = None
    mails: list[tuple[int, str, int, int]] = field(default_factory=list)
    account: int | None = None  # None: system
    session: int | None = None
    queue: str = "main"
    facts: dict[str, Any] = field(default_factory=dict)  # not personal, in the leaf
    personal: dict[str, Any] = field(default_factory=dict)


def canonical(value: Any) -> str:
    """RFC 8785 for what entries hold: strings, integers, booleans, null, lists, objects with ASCII keys."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def leaf_hash(leaf: str) -> bytes:
    return hashlib.sha256(b"\x00" + leaf.encode("utf-8", "surrogatepass")).digest()


def commitment(salt: bytes, personal: str) -> str:
    return hashlib.sha256(salt + personal.encode("utf-8", "surrogatepass")).hexdigest()


def entry_row(draft: Draft, seq: int, at: int, previous: bytes) -> dict[str, Any]:
    """The row of table `entry` for a draft that got its number."""
    leaf: dict[str, Any] = {"v": 1, "seq": seq, "at": at, "kind": draft.kind, "queue": draft.queue}
    leaf["prev"] = previous.hex()
    parts = (
        ("customer", draft.customer),
        ("message", draft.message and str(draft.message)),  # 63 bits do not fit into a JSON number
        ("mails", [[*m[:3], str(m[3])] for m in draft.mails] or None),
        ("account", draft.account),
        ("session", draft.session),
        ("facts", draft.facts or None),
    )
    leaf.update((name, value) for name, value in parts if value is not None)
    salt = personal = None
    if draft.personal:
        salt, personal = os.urandom(16), canonical(draft.personal)
        leaf["personal"] = commitment(salt, personal)
    text = canonical(leaf)
    return {
        "seq": seq,
        "at": at,
        "kind": draft.kind,
        "queue": draft.queue,
        "customer": draft.customer,
        "message": draft.message,
        "account": draft.account,
        "leaf": text,
        "hash": leaf_hash(text),
        "salt": salt,
        "personal": personal,
    }


def first_fault(entries: Iterable[Any]) -> str | None:
    """Reads rows of table `entry` from number 1 on; says what is wrong with the first that is, or None."""
    previous = GENESIS
    for seq, row in enumerate(entries, 1):
        if row.seq != seq:
            return f"entry {seq} is missing: {row.seq} stands in its place"
        leaf = json.loads(row.leaf)
        if leaf["seq"] != seq or leaf["prev"] != previous.hex():
            return f"entry {seq} does not follow entry {seq - 1}"
        if leaf_hash(row.leaf) != row.hash:
            return f"entry {seq} was changed: its hash differs"
        if row.personal is not None and commitment(row.salt or b"", row.personal) != leaf.get("personal"):
            return f"the personal part of entry {seq} was changed"
        told = (leaf["at"], leaf["kind"], leaf["queue"], leaf.get("customer"), leaf.get("message"), leaf.get("account"))
        if told != (row.at, row.kind, row.queue, row.customer, row.message and str(row.message), row.account):
            return f"entry {seq} was changed: its columns are not those of its leaf"
        previous = row.hash
    return None
