"""Who looked at a message: kept with it and purged with it. No entry, for it changes nothing of any mail."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from rcqueue.model.access import Right
from rcqueue.model.mail import Seen, SeenHow, from_us
from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision

from .asking import who_asks

_RANKS = tuple(SeenHow)
SHOWN = 20


def saw(rows: Rows, message: int, account: int, now: int, how: SeenHow) -> None:
    rows.append(t.seen, {"message": message, "account": account, "at": now, "how": _RANKS.index(how)})


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody's cursor rested on a message; without the right to view it nothing is kept."""

    session: int
    message: int

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}), rows=frozenset({(t.message.name, (self.message,))}))

    @property
    def weight(self) -> int:
        return 100

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        row = rows.message(self.message)
        if row is not None and row["purged"] is None and Right.VIEW in who.rights_at(row["customer"]):
            saw(rows, self.message, who.account, now, SeenHow.LOOKED)
        return Decision()


def seen_by(connection: Connection, message: int) -> list[Seen]:
    """Who looked at it, the last first."""
    found = select(t.seen.c.at, t.seen.c.how, t.account.c.name).join(t.account, t.account.c.id == t.seen.c.account)
    found = found.where(t.seen.c.message == message).order_by(t.seen.c.at.desc(), t.account.c.name).limit(SHOWN)
    return [Seen(who=row.name, at=from_us(row.at), how=_RANKS[row.how]) for row in connection.execute(found)]
