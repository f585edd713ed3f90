"""The rows that a batch works on: read once, changed in memory by each operation in turn, written once.

An operation names what it `Needs`; the writer loads all that a batch needs in a few statements. Operations then read
and change `Rows`; a `Mark` undoes what an operation that failed half-way did. At the end `flush` writes what differs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table

from rcqueue.model.access import Access, Grant
from rcqueue.model.folding import fold_address
from rcqueue.model.ids import MAX_RECIPIENTS

from . import statements
from . import tables as t
from .ready import numbered, padded
from .statements import PRIMARY as _PRIMARY

RowDict = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """What an operation reads. A message comes with its mails, claims and open attempts; a session with its account."""

    messages: frozenset[int] = frozenset()
    attempts: frozenset[int] = frozenset()  # messages of which nothing is needed but their open attempts
    sessions: frozenset[int] = frozenset()
    accounts: frozenset[str] = frozenset()  # by name
    account_ids: frozenset[int] = frozenset()
    acts: frozenset[str] = frozenset()
    terms: frozenset[str] = frozenset()  # postings
    customers: bool = False  # the tree, whole
    sender_rules: frozenset[int] = frozenset()  # by id
    senders: bool = False  # the rules about the authors of the messages
    settings: bool = False  # of the policy, all
    standing: bool = False  # claims of filters, all
    steps: frozenset[tuple[str, int]] = frozenset()  # acts, with so many mails to be tried next, and their messages
    marks: frozenset[bytes] = frozenset()  # what they lead to, and the founders of those campaigns
    rows: frozenset[tuple[str, Key]] = frozenset()  # (table, primary key): single rows of whatever table

    def __or__(self, other: Needs) -> Needs:
        return Needs(*(getattr(self, f) | getattr(other, f) for f in self.__slots__))


MINUTE = 60_000_000
STEP = 16  #: mails that one step of an act tries at most: a colleague's act waits for one


@dataclass(slots=True)
class Rows:
    """Tables as dictionaries by primary key. Only what was needed is there."""

    tables: dict[str, dict[Key, RowDict]] = field(default_factory=lambda: defaultdict(dict))
    mails: dict[int, dict[int, RowDict]] = field(default_factory=lambda: defaultdict(dict))
    claims: dict[int, dict[int, RowDict]] = field(default_factory=lambda: defaultdict(dict))
    founders: dict[bytes, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))  # campaigns, by mark
    account_names: dict[str, int] = field(default_factory=dict)
    grants: dict[int, set[Grant]] = field(default_factory=lambda: defaultdict(set))
    locks: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    loaded: dict[tuple[str, Key], RowDict | None] = field(default_factory=dict)  # as they were, of those changed
    appended: dict[str, list[RowDict]] = field(default_factory=lambda: defaultdict(list))
    tallies: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    flows: dict[tuple[int, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    campaigns: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    sweeps: list[Any] = field(default_factory=list)
    undo: list[Any] = field(default_factory=list)

    # -- reading

    def get(self, table: Table, *key: Any) -> RowDict | None:
        return self.tables[table.name].get(key)

    def posted(self, term: str) -> bool:
        """Whether a message has this posting, among those that were needed."""
        return any(key[0] == term for key in self.tables["posting"])

    def message(self, message: int) -> RowDict | None:
        return self.tables["message"].get((message,))

    def access(self, session: int, now: int) -> Access | None:
        """Who a session is and what they may do, in this transaction; None when it has ended."""
        row = self.get(t.session, session)
        if row is None or session_over(row, now):
            return None
        return self.access_of(row["account"], session, row["scope"])

    def access_of(self, account: int, session: int, scope: str = "") -> Access | None:
        """The same by account: an act on many outlives the session that confirmed it."""
        row = self.get(t.account, account)
        if row is None or not row["enabled"]:
            return None
        return Access(
            account=account,
            name=row["name"],
            session=session,
            grants=tuple(sorted(self.grants[account], key=lambda g: (g.customer, g.role))),
            locks=frozenset(self.locks[account]),
            scope=frozenset(scope.split()),
        )

    # -- changing

    def put(self, table: Table, key: Key, values: RowDict) -> None:
        """Inserts a row, or changes the named columns of one."""
        rows = self.tables[table.name]
        old = rows.get(key)
        self._remember(table, key, old)
        new = {**old, **values} if old is not None else dict(values)
        rows[key] = new
        self._index(table.name, key, new)

    def drop(self, table: Table, key: Key) -> None:
        old = self.tables[table.name].pop(key, None)
        if old is not None:
            self._remember(table, key, old)
            self._index(table.name, key, None)

    def append(self, table: Table, values: RowDict) -> None:
        """Inserts a row that no operation of this batch reads. A blob or posting that exists already stays as it is."""
        self.appended[table.name].append(values)
        self.undo.append(self.appended[table.name].pop)

    def append_all(self, table: Table, values: Sequence[RowDict]) -> None:
        """The same of many."""
        there = self.appended[table.name]
        before = len(there)
        there.extend(values)
        self.undo.append(lambda: there.__delitem__(slice(before, None)))

    def sweep(self, statement: Any) -> None:
        """A statement on rows that no operation reads. It is executed after all else of the batch is written."""
        self.sweeps.append(statement)
        self.undo.append(self.sweeps.pop)

    def count(self, message: RowDict, status: str, by: int) -> None:
        """So many more (or fewer) of a message's mails have this status: moves the kept counters."""
        self._count((message["customer"], status, message["verdict"]), by)
        for campaign in filter(None, (message["campaign"], message["campaign_open"])):
            self._count_of_campaign(campaign, message, status.lower(), by)

    def _count(self, key: tuple[str, str, str], by: int) -> None:
        self.tallies[key] += by
        self.undo.append(lambda: self.tallies.__setitem__(key, self.tallies[key] - by))

    def flow(self, customer: str, now: int, *, came: int = 0, went: int = 0) -> None:
        """Mails came into the hold of a customer, or left it."""
        counts = self.flows[now // MINUTE, customer]

        def add(came: int, went: int) -> None:
            counts[0] += came
            counts[1] += went

        add(came, went)
        self.undo.append(lambda: add(-came, -went))

    def _count_of_campaign(self, campaign: str, message: RowDict, status: str, by: int) -> None:
        of = self.campaigns[campaign, message["customer"]]
        before = dict(of)
        of["first"], of["last"] = min(of["first"] or message["id"], message["id"]), max(of["last"], message["id"])
        of[status] += by

        def back() -> None:
            of.clear()
            of.update(before)

        self.undo.append(back)

    def grant(self, account: int, grant: Grant, on: bool) -> None:
        key = (account, grant.role, grant.customer)
        if on:
            self.put(t.role_grant, key, {"account": account, "role": grant.role, "customer": grant.customer})
        else:
            self.drop(t.role_grant, key)

    def lock(self, account: int, name: str, on: bool) -> None:
        if on:
            self.put(t.person_lock, (account, name), {"account": account, "name": name})
        else:
            self.drop(t.person_lock, (account, name))

    def mark(self) -> None:
        """From here on `revert` takes back."""
        self.undo.clear()

    def revert(self) -> None:
        while self.undo:
            self.undo.pop()()

    def _remember(self, table: Table, key: Key, old: RowDict | None) -> None:
        place = (table.name, key)
        first = place not in self.loaded
        if first:
            self.loaded[place] = old

        def back() -> None:
            if first:
                del self.loaded[place]
            if old is None:
                self.tables[table.name].pop(key, None)
            else:
                self.tables[table.name][key] = old
            self._index(table.name, key, old)

        self.undo.append(back)

    def _index(self, name: str, key: Key, row: RowDict | None) -> None:
        if name == "campaign_mark":
            if row is None:
                self.founders[key[0]].pop(key[1], None)
            else:
                self.founders[key[0]][key[1]] = row["campaign"]
        elif name in ("mail", "claim"):
            by_message = (self.mails if name == "mail" else self.claims)[key[0]]
            if row is None:
                by_message.pop(key[1], None)
            else:
                by_message[key[1]] = row
        elif name == "account" and row is not None:
            self.account_names[row["name"]] = key[0]
        elif name == "role_grant":
            grant = Grant(key[1], key[2])
            (self.grants[key[0]].discard if row is None else self.grants[key[0]].add)(grant)
        elif name == "person_lock":
            (self.locks[key[0]].discard if row is None else self.locks[key[0]].add)(key[1])

    # -- the database

    def load(self, connection: Connection, needs: Sequence[Needs]) -> None:
        """Reads what the operations of a batch need, each row once."""
        acts = set().union(*(n.acts | {act for act, _ in n.steps} for n in needs))
        self._read(connection, t.act.c.id, acts)
        for act, most in set().union(*(n.steps for n in needs)):
            self._load_step(connection, act, min(most, STEP))
        messages = set().union(*(n.messages for n in needs)) | {key[1] for key in self.tables["act_mail"]}
        for column in (t.message.c.id, t.mail.c.message, t.claim.c.message):
            self._read(connection, column, messages)
        self._read(connection, t.attempt.c.message, messages.union(*(n.attempts for n in needs)), _OPEN)
        if messages or any(n.customers for n in needs):
            self._read_all(connection, t.customer)
        if any(n.customers for n in needs):
            self._read_all(connection, t.customer_domain)
        self._read(connection, t.posting.c.term, set().union(*(n.terms for n in needs)))
        self._read(connection, t.campaign_mark.c.mark, set().union(*(n.marks for n in needs)))
        named = {name for founders in self.founders.values() for name in founders.values() if name.startswith("C")}
        self._read(connection, t.campaign.c.id, named)
        self._read(connection, t.sender_rule.c.id, set().union(*(n.sender_rules for n in needs)))
        if any(n.senders for n in needs):
            authors = {fold_address(row["from_email"]) for row in self.tables["message"].values()}
            self._read(connection, t.sender_rule.c.pattern, authors)
        if any(n.settings for n in needs):
            self._read_all(connection, t.policy_setting)
        if any(n.standing for n in needs):
            self._read_all(connection, t.standing)
        held = {row["session"] for name in ("claim", "act", "standing") for row in self.tables[name].values()}
        sessions = held.union(*(n.sessions for n in needs))
        self._read(connection, t.session.c.id, sessions)
        named = {row["person"] for row in self.tables["act"].values() if row["person"] is not None}
        self._read(connection, t.account.c.name, named.union(*(n.accounts for n in needs)))
        ids = {row["account"] for row in self.tables["session"].values()} | {a for (a,) in self.tables["account"]}
        ids = ids.union(
            *(n.account_ids for n in needs),
            *({row["account"] for row in self.tables[name].values()} for name in ("act", "claim", "standing")),
        )
        for column in (t.account.c.id, t.role_grant.c.account, t.person_lock.c.account):
            self._read(connection, column, ids)
        for name, key in set().union(*(n.rows for n in needs)):
            values = dict(zip((f"k_{c}" for c in _PRIMARY[name]), key, strict=True))
            table = t.metadata.tables[name]
            self._take(table, statements.one_of(name, connection.dialect).rows(connection, table, **values))

    def _load_step(self, connection: Connection, act: str, most: int) -> None:
        """What an act tries next; of a rescan also what it came to, and the rest of the last message: a message has one
        verdict, and gets its new one at once."""
        row = self.get(t.act, act)
        if row is None:
            return
        waiting = statements.waiting(connection.dialect)
        after = {"act": act, "message": row["reached"], "n": row["reached_n"]}
        found = waiting.rows(connection, t.act_mail, most=most, **after)
        self._take(t.act_mail, found)
        if row["weighed"] is None or not found:
            return
        messages = {one["message"] for one in found}
        rest = {"act": act, "message": max(messages), "n": -1}
        more = waiting.rows(connection, t.act_mail, most=MAX_RECIPIENTS, **rest)
        self._take(t.act_mail, [one for one in more if one["message"] == max(messages)])
        self._read(connection, t.act_judged.c.message, messages, t.act_judged.c.act == act)

    def _read(self, connection: Connection, column: Any, values: Set[Any], *where: Any) -> None:
        """The rows of a table whose column has one of the values."""
        if values:
            listed = padded(list(values))
            having = statements.having(column, len(listed), connection.dialect, *where)
            self._take(column.table, having.rows(connection, column.table, **numbered(listed)))

    def _read_all(self, connection: Connection, table: Table) -> None:
        self._take(table, statements.all_of(table.name, connection.dialect).rows(connection, table))

    def _take(self, table: Table, found: Sequence[RowDict]) -> None:
        rows, primary = self.tables[table.name], _PRIMARY[table.name]
        for row in found:
            key = tuple([row[c] for c in primary])
            if key not in rows:
                rows[key] = row
                self._index(table.name, key, row)

    def flush(self, connection: Connection) -> None:
        """Writes what the batch changed: inserts, then updates by the columns that differ, then deletes."""
        dialect = connection.dialect
        inserts: dict[tuple[str, tuple[str, ...]], list[RowDict]] = defaultdict(list)
        appends: dict[tuple[str, tuple[str, ...]], list[RowDict]] = defaultdict(list)
        updates: dict[tuple[str, tuple[str, ...]], list[RowDict]] = defaultdict(list)
        deletes: dict[str, list[RowDict]] = defaultdict(list)
        for (name, key), old in self.loaded.items():
            new = self.tables[name].get(key)
            if new is None:
                if old is not None:
                    deletes[name].append({f"k_{c}": v for c, v in zip(_PRIMARY[name], key, strict=True)})
            elif old is None:
                inserts[name, tuple(new)].append(new)
            elif columns := tuple([c for c, value in new.items() if value is not old[c] and value != old[c]]):
                values = {f"v_{c}": new[c] for c in columns}
                values.update({f"k_{c}": v for c, v in zip(_PRIMARY[name], key, strict=True)})
                updates[name, columns].append(values)
        for name, rows in self.appended.items():
            for row in rows:
                appends[name, tuple(row)].append(row)
        for (name, columns), rows in inserts.items():
            statements.insert_into(name, columns, dialect).each(connection, rows)
        for (name, columns), rows in appends.items():
            statements.append_to(name, columns, dialect).each(connection, rows)
        for (name, columns), rows in updates.items():
            statements.update_of(name, columns, dialect).each(connection, rows)
        for name, rows in deletes.items():
            statements.delete_from(name, dialect).each(connection, rows)
        for statement in self.sweeps:
            connection.execute(statement)
        tallies = [
            {"customer": c, "status": s, "verdict": v, "n": n} for (c, s, v), n in sorted(self.tallies.items()) if n
        ]
        if tallies:
            statements.add_to(t.tally.name, ("n",), dialect).each(connection, tallies)
        flows = [
            {"minute": minute, "customer": customer, "came": came, "went": went}
            for (minute, customer), (came, went) in sorted(self.flows.items())
            if came or went
        ]
        if flows:
            statements.add_to(t.flow.name, ("came", "went"), dialect).each(connection, flows)
        nothing = dict.fromkeys(t.STATUSES, 0)
        of_campaigns = [
            {"campaign": campaign, "customer": customer, **nothing, **counted}
            for (campaign, customer), counted in sorted(self.campaigns.items())
            if counted
        ]
        if of_campaigns:
            statements.add_to_campaign(dialect).each(connection, of_campaigns)


_OPEN = t.attempt.c.finished.is_(None)

IDLE = 15 * 60 * 1_000_000  #: a person's session ends after this long without a sign of them

#: Sessions that no person sits at: a script's token, and a display on a wall, which may do nothing but count.
NEVER_IDLE = ("token", "wall")


def session_over(row: Any, now: int) -> bool:
    """Whether a session (row of table `session`, as a mapping) has ended, by sign-out, by time or by idleness."""
    idle = row["kind"] not in NEVER_IDLE and row["seen"] + IDLE <= now
    return bool(row["ended"] is not None or row["ends"] <= now or idle)
