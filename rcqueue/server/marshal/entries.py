"""The journal as one viewer may see it: feed, long poll, history and audit are all this, from number N on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from rcqueue.model.access import Access, DataClass, Right
from rcqueue.model.ids import encode_mail, encode_message
from rcqueue.model.mail import from_us, rfc3339
from rcqueue.model.query import EVERY
from rcqueue.server.store import tables as t
from rcqueue.server.store.pages import RowData, build_row, rows_by_id, session_mark

from .refusal import Refusal, customers_with
from .show import reply_for

Json = dict[str, Any]
#: Facts of a mail's entry that are told to whoever sees it: the way out, what became of an attempt, or of learning.
_TOLD = ("form", "to", "learn", "release", "attempt", "code", "queue_id", "tls", "dsn", "normalised", "ours_removed")
_DENIED = ("verb", "right", "class", "part", "cap", "count")
_OF_LEARNING = ("as", "results", "trouble")
_GRANTS = frozenset({"mail.claim", "mail.takeover", "mail.assign"})


class Entries:
    """Some consecutive entries of the journal with what is needed to show them: read once, shown to each viewer."""

    def __init__(self, connection: Connection, found: Sequence[Any], *, with_rows: bool = True) -> None:
        self.found = [(row, json.loads(row.leaf)) for row in found]
        accounts = {row.account for row in found if row.account is not None}
        accounts |= {leaf["facts"]["person"] for row, leaf in self.found if row.kind == "mail.assign"}
        named = select(t.account.c.id, t.account.c.name)
        names = connection.execute(named.where(t.account.c.id.in_(accounts)) if len(accounts) < 500 else named)
        self.names: dict[int, str] = {row.id: row.name for row in names}
        messages = {row.message for row in found if row.message is not None} if with_rows else set()
        whole = rows_by_id(connection, None, sorted(messages), EVERY, 0)
        self.rows: Mapping[int, RowData] = {data.id: data for data in whole}

    def shown(self, who: Access, *, latest: bool = False) -> list[Json]:
        """Those that `who` may see, in order; with `latest` only the last of each message."""
        shown: list[Json] = []
        last: dict[int, int] = {}
        built: dict[int, Json] = {}
        for row, leaf in self.found:
            if not sees(who, row, leaf):
                continue
            entry = self._entry(who, row, leaf)
            if row.message in self.rows:
                data = self.rows[row.message]
                if row.message not in built:
                    built[row.message] = build_row(data, who.classes_at(row.customer))
                entry["row"] = built[row.message]
            if latest and row.message is not None:
                if row.message in last:
                    shown[last[row.message]] = {}
                last[row.message] = len(shown)
            shown.append(entry)
        return [entry for entry in shown if entry] if latest else shown

    def _entry(self, who: Access, row: Any, leaf: Json) -> Json:
        entry: Json = {"seq": row.seq, "at": rfc3339(from_us(row.at)), "kind": row.kind}
        entry["actor"] = "system" if row.account is None else self.names.get(row.account, "somebody")
        if row.message is not None:
            entry["message"] = encode_message(row.message)
            entry["mails"] = [self._mail(row, leaf, mail) for mail in leaf.get("mails", ())]
        if note := note_for(who, row):
            entry["note"] = note
        facts = leaf.get("facts", {})
        if row.customer is None:
            entry["facts"] = facts
        elif row.kind == "denied":
            entry["facts"] = {name: facts[name] for name in _DENIED if name in facts}
            if who.rights_at(row.customer):  # who was denied may not know whose mail it is
                entry["facts"]["customer"] = row.customer
        elif told := {name: facts[name] for name in (*_TOLD, *_OF_LEARNING) if name in facts}:
            entry["facts"] = told
        return entry

    def _mail(self, row: Any, leaf: Json, mail: Sequence[Any]) -> Json:
        n, status, version, expiry = mail
        change: Json = {"id": encode_mail(row.message, n), "status": status, "version": version}
        change["expiry"] = rfc3339(from_us(int(expiry)))
        if row.kind in _GRANTS:
            given = row.kind == "mail.assign"
            who = self.names.get(leaf["facts"]["person"] if given else row.account, "")
            session = session_mark(0 if given else leaf.get("session") or 0)
            change["claim"] = {"who": who, "mails": 1, "session": session, "fence": row.seq}
        return change


def sees(who: Access, row: Any, leaf: Json) -> bool:
    """Whether this person may see an entry (a row of table `entry`)."""
    if row.customer is not None:
        rights = who.rights_at(row.customer)
        if row.kind == "denied":
            return Right.AUDIT in rights or row.account == who.account
        return Right.VIEW in rights or Right.AUDIT in rights
    if row.kind.startswith(("alert.", "outgoing.")):  # whoever works here may know
        return who.anywhere(Right.VIEW) or who.anywhere(Right.AUDIT)
    mine = who.account in (row.account, leaf.get("facts", {}).get("person"))
    return mine or who.anywhere(Right.AUDIT) or who.anywhere(Right.ADMINISTER)


def note_for(who: Access, row: Any) -> str | None:
    """What was said with an entry, as far as this person may see it."""
    if row.personal is None:
        return None
    personal: Json = json.loads(row.personal)
    if row.customer is not None and DataClass.ENVELOPE not in who.classes_at(row.customer):
        return personal.get("note") or personal.get("reason")
    text = ""
    for name in ("note", "reason", "reply", "name", "query", "label", "address"):
        if said := str(personal.get(name) or ""):
            text = reply_for(who, row.customer, said) if name == "reply" else said
            break
    others = f"to {', '.join(personal['to'])}" if "to" in personal else ""
    return "; ".join(filter(None, (others, text))) or None


def since(connection: Connection, seq: int, upto: int, limit: int) -> list[Any]:
    """Rows of table `entry` after number `seq`."""
    query = select(t.entry).where(t.entry.c.seq > seq, t.entry.c.seq <= upto).order_by(t.entry.c.seq).limit(limit)
    return list(connection.execute(query).all())


def history(connection: Connection, who: Access, message: int, limit: int = 500) -> list[Json]:
    """What was done to one message, oldest first, as `who` may see it."""
    query = select(t.entry).where(t.entry.c.message == message).order_by(t.entry.c.seq).limit(limit)
    return Entries(connection, list(connection.execute(query).all()), with_rows=False).shown(who)


def audit(
    connection: Connection,
    who: Access,
    after: int,
    limit: int,
    account: str | None = None,
    message: int | None = None,
) -> tuple[list[Json], int | None]:
    """(entries, number to go on from) for an auditor; those of customers where they have no right are left out."""
    query = select(t.entry).where(t.entry.c.seq > after).order_by(t.entry.c.seq).limit(limit)
    if account is not None:
        query = query.join(t.account, t.account.c.id == t.entry.c.account).where(t.account.c.name == account)
    if message is not None:
        query = query.where(t.entry.c.message == message)
    found = list(connection.execute(query).all())
    shown = Entries(connection, found, with_rows=False).shown(who)
    return shown, (found[-1].seq if len(found) == limit else None)


def acts_of(
    connection: Connection, who: Access, name: str, before: int | None, kind: str | None, limit: int
) -> tuple[list[Json], int | None]:
    """(entries, number to go on before): what one person did, the newest first; `kind` is one, or only its verb.
    Another's acts need the right to audit. Raises Refusal."""
    customers_with(who, Right.VIEW if name == who.name else Right.AUDIT)
    account = connection.execute(select(t.account.c.id).where(t.account.c.name == name)).scalar()
    if account is None:
        raise Refusal("not-found", f"there is no account {name[:80]!r}")
    entry = t.entry.c
    query = select(t.entry).where(entry.account == account).order_by(entry.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(entry.seq < before)
    if kind is not None:
        query = query.where(entry.kind == (kind if "." in kind or kind == "denied" else f"mail.{kind}"))
    found = list(connection.execute(query).all())
    return Entries(connection, found).shown(who), (found[-1].seq if len(found) == limit else None)
