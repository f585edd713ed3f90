"""What people set while the server runs, as the judge has it at hand: settings over the policy's file, and senders.

Read again only after an entry that changed some of it: no mail costs a query, and the next one after a change is judged
by it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from rcqueue.server.store import tables as t
from rcqueue.server.store.database import Database

from .policy import Policy
from .senders import SenderRule, Senders

log = logging.getLogger(__name__)

#: Entries that change what stands here.
KINDS = frozenset({"policy.set", "sender.allow", "sender.block", "sender.end"})


@dataclass(frozen=True, slots=True)
class Standing:
    policy: Policy
    senders: Senders


def settings_of(connection: Connection) -> dict[tuple[str, str], float]:
    return {(row.scope, row.key): row.value for row in connection.execute(select(t.policy_setting))}


def senders_of(connection: Connection, now: int) -> Senders:
    """The rules about senders that hold at `now`, or will."""
    rule = t.sender_rule.c
    query = select(t.sender_rule, t.account.c.name).outerjoin(t.account, t.account.c.id == rule.account)
    return Senders(
        SenderRule(row.id, row.kind, row.pattern, row.customer, row.recipient, row.name or "somebody", row.ends)
        for row in connection.execute(query.where(rule.ended.is_(None), rule.ends > now))
    )


class Rules:
    """What stands over `policy`, the file's. `now` is the store's clock, in microseconds."""

    def __init__(self, policy: Policy, database: Database, now: Callable[[], int]) -> None:
        self.file, self._database, self.now = policy, database, now
        self._standing = Standing(policy, Senders())
        self._told, self._read = 1, 0

    def tell(self, kinds: frozenset[str]) -> None:
        """Of each commit: the kinds of its entries. Call it in the loop's thread, before whoever wrote is answered."""
        if kinds & KINDS:
            self._told += 1

    async def current(self) -> Standing:
        while self._read != self._told:
            upto = self._told
            settings, senders = await self._database.read(lambda c: (settings_of(c), senders_of(c, self.now())))
            if settings != self._standing.policy.settings or not self._read:
                self._standing = Standing(self.file.under(settings), senders)
                for (scope, key), why in self._standing.policy.faults.items():
                    log.warning(
                        "%s, set for %s, does not fit the policy's file, whose value holds: %s", key, scope, why
                    )
            else:
                self._standing = Standing(self._standing.policy, senders)
            self._read = upto
        return self._standing
