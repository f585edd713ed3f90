"""A push, or its rollback: on record, checked, installed, reloaded, asked; put back when the scanner does not take it.

A file should stand in the scanner's folder as the newest push in force has it. So whatever happens in between, to put
it back is to make it so again: after a failure, and at the start of a server that was stopped in the middle.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from rcqueue.model.access import ROOT, Access, Right
from rcqueue.model.mail import from_us
from rcqueue.model.rules import LARGEST, Outcome, RuleFile, RulePush, RuleRollback
from rcqueue.server.config import Config
from rcqueue.server.marshal import Idempotency, Marshal, Refusal
from rcqueue.server.marshal.once import answered
from rcqueue.server.marshal.refusal import no_right
from rcqueue.server.marshal.rules import BeginRules, Change, EndRules
from rcqueue.server.scan.judge import Judge
from rcqueue.server.store import tables as t

from .check import ScannerType, type_of
from .scanners import NotTaken, Target

log = logging.getLogger(__name__)
KEPT = 10  #: pushes of a file that can be gone back to, and as many other attempts: the journal has them all
_Result = tuple[Outcome, Sequence[str]]


class Pushes:
    """One push at a time. `start` puts right what a stop left in the middle."""

    def __init__(self, marshal: Marshal, judge: Judge, config: Config) -> None:
        self._marshal = marshal
        types: dict[str, Any] = {at.name: at.type for at in config.scanner}
        self._targets = {n: Target(judge.scanners[n], types[n], at) for n, at in config.rules.items()}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        if begun := await self._marshal.database.read(_begun):
            self._spawn(self._put_right(begun))

    async def close(self) -> None:
        """What is under way is put right at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def push(self, who: Access, once: Idempotency | None, asked: RulePush) -> RuleFile:
        """Raises Refusal where nothing was tried; else the outcome says what came of it."""
        await self._allow(who, "push")
        try:
            content, type_ = asked.content.encode(), type_of(asked.name)
        except UnicodeEncodeError:
            raise Refusal("bad-request", "content: it can not be written as UTF-8") from None
        except ValueError as error:
            raise Refusal("bad-request", str(error)) from None
        if len(content) > LARGEST:
            raise Refusal("too-large", f"the file has {len(content)} bytes; at most {LARGEST} are taken")
        target = self._target(asked.scanner, type_)
        change = Change(target.name, asked.name, hashlib.sha256(content).digest(), len(content), content)
        return await self._do(who, once, target, change, asked.reason)

    async def rollback(self, who: Access, once: Idempotency | None, name: str, asked: RuleRollback) -> RuleFile:
        """Takes the newest push of a file back. Raises Refusal where nothing was tried."""
        await self._allow(who, "rollback")
        try:
            target = self._target(asked.scanner, type_of(name))
        except ValueError as error:
            raise Refusal("bad-request", str(error)) from None
        if once is not None and (said := await self._marshal.database.read(answered, once)) is not None:
            return await self._ended(int(said))
        rows = await self._marshal.database.read(_pushes, target.name, name)
        if not rows:
            raise Refusal("not-found", f"no push of {name} to {target.name} is in force")
        undone = Change(target.name, name, rows[0].sha256, rows[0].size, undoes=rows[0].seq)
        return await self._do(who, once, target, undone, asked.reason)

    # -- how it goes

    async def _allow(self, who: Access, verb: str) -> None:
        """Before anything is said of what is asked: who may not ask is refused, on record. `BeginRules` looks again."""
        if Right.ADMINISTER not in who.rights_at(ROOT):
            nothing = Change("", "", b"", 0, undoes=None if verb == "push" else 0)
            await self._marshal.do(BeginRules(who.session, nothing, ""))

    def _target(self, name: str, type_: ScannerType) -> Target:
        fit = [target for target in self._targets.values() if target.type == type_]
        if name:
            fit = [target for target in fit if target.name == name]
        if len(fit) == 1:
            return fit[0]
        if not fit:
            called = f" called {name}" if name else ""
            raise Refusal("bad-request", f"no {type_}{called} takes files: [rules.NAME] of the configuration has none")
        names = ", ".join(target.name for target in fit)
        raise Refusal("bad-request", f"scanner: one of {names} was expected, all of them take such files")

    async def _do(self, who: Access, once: Idempotency | None, target: Target, change: Change, reason: str) -> RuleFile:
        if once is not None and (said := await self._marshal.database.read(answered, once)) is not None:
            return await self._ended(int(said))
        if self._turn.locked():
            raise Refusal("status", "another push is under way: try again when it has ended")
        async with self._turn:
            drop = await self._marshal.database.read(_too_many, target.name, change.name)
            begun = await self._marshal.do_once(who, once, BeginRules(who.session, change, reason, drop))
            task = self._spawn(self._go(target, change, begun, who))
            await asyncio.shield(task)  # whoever asked may hang up: it goes on
        return await self._marshal.database.read(_file, begun)

    async def _ended(self, begun: int) -> RuleFile:
        async with self._turn:
            return await self._marshal.database.read(_file, begun)

    async def _go(self, target: Target, change: Change, begun: int, who: Access) -> None:
        outcome, said = await self._change(target, change)
        log.log(
            logging.INFO if outcome is Outcome.INSTALLED else logging.WARNING,
            "%s of %s to %s: %s%s",
            *(change.kind, change.name, target.name, outcome, f": {'; '.join(said)}" if said else ""),
        )
        await self._marshal.do(EndRules(begun, change, outcome, said, who.account, who.session))

    async def _change(self, target: Target, change: Change) -> _Result:
        name, content = change.name, change.content
        in_force = await self._marshal.database.read(_pushes, target.name, name)
        try:
            there = await target.read(name)
            if there != (in_force[0].content if in_force else None):
                raise NotTaken(
                    f"{name} in {target.at.folder} is not as it was pushed: somebody else changed it"
                    if in_force
                    else f"{name} stands in {target.at.folder} already, and was not pushed from here: use another name"
                )
            before = await target.known()
            if content is not None:
                await target.lint(name, content)
            elif len(in_force) > 1:
                content = in_force[1].content
            await self._install(target, name, content, there)
        except NotTaken as why:
            return Outcome.REFUSED, why.lines
        try:
            await target.reload()
            await target.answers_as(before)
        except NotTaken as why:
            return await self._put_back(target, name, there, why.lines, before)
        return Outcome.INSTALLED, ()

    @staticmethod
    async def _install(target: Target, name: str, content: bytes | None, before: bytes | None) -> None:
        """Raises NotTaken when the file is as before; what is not sure counts as installed, the scanner has its say."""
        try:
            await target.put(name, content)
        except NotTaken:
            if await target.read(name) == before:
                raise

    @staticmethod
    async def _put_back(
        target: Target, name: str, content: bytes | None, why: Sequence[str], before: list[str | None] | None
    ) -> _Result:
        try:
            await target.put(name, content)
            unread: tuple[str, ...] = ()
            try:
                await target.reload()
            except NotTaken as again:  # where nothing could be reloaded, it may not know of the push at all
                if before is None:
                    raise
                unread = again.lines
            if before is not None:
                await target.answers_as(before)
        except NotTaken as worse:
            return Outcome.FAILED, [*why, "then, with the file put back:", *worse.lines]
        return Outcome.ROLLED_BACK, [*why, *(["then, with the file put back:", *unread] if unread else ())]

    async def _put_right(self, begun: Sequence[Any]) -> None:
        async with self._turn:
            for row in begun:
                change = Change(row.scanner, row.name, row.sha256, row.size, undoes=row.undoes)
                outcome: Outcome = Outcome.FAILED
                said: Sequence[str] = [f"{row.scanner} takes no files any more"]
                if (target := self._targets.get(row.scanner)) is not None:
                    rows = await self._marshal.database.read(_pushes, row.scanner, row.name)
                    content = rows[0].content if rows else None
                    outcome, said = await self._put_back(target, row.name, content, ["the server was stopped"], None)
                log.warning("%s of %s to %s was cut off: %s", change.kind, row.name, row.scanner, outcome)
                await self._marshal.do(EndRules(row.seq, change, outcome, said, None))

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name="rules")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


# -- reading

_F = t.rule_file.c


def rule_files(connection: Connection, who: Access) -> list[RuleFile]:
    """The pushes in force, by scanner and name. Raises Refusal."""
    if Right.ADMINISTER not in who.rights_at(ROOT):
        raise no_right(Right.ADMINISTER, ROOT)
    query = _whole().where(_F.kind == "push", _F.state == Outcome.INSTALLED)
    newest: dict[tuple[str, str], RuleFile] = {}
    for row in connection.execute(query.order_by(_F.scanner, _F.name, _F.seq)):
        newest[row.scanner, row.name] = _wire(row)
    return list(newest.values())


def last_rules(connection: Connection) -> RuleFile | None:
    """The last push or rollback."""
    row = connection.execute(_whole().order_by(_F.seq.desc()).limit(1)).one_or_none()
    return None if row is None else _wire(row)


def _whole() -> Any:
    columns = [column for column in t.rule_file.c if column.name != "content"]
    return select(*columns, t.account.c.name.label("by")).join(t.account, t.account.c.id == _F.account)


def _wire(row: Any) -> RuleFile:
    same = {name: getattr(row, name) for name in ("seq", "kind", "scanner", "name", "size", "by")}
    outcome, said = Outcome(row.state), json.loads(row.said)
    return RuleFile(**same, sha256=row.sha256.hex(), at=from_us(row.at), outcome=outcome, said=said)


def _file(connection: Connection, begun: int) -> RuleFile:
    row = connection.execute(_whole().where(_F.seq == begun)).one_or_none()
    if row is None:
        raise Refusal("gone", "it is too long ago: the audit log has it")
    return _wire(row)


def _begun(connection: Connection) -> Sequence[Any]:
    return connection.execute(select(t.rule_file).where(_F.state == Outcome.BEGUN).order_by(_F.seq)).all()


def _pushes(connection: Connection, scanner: str, name: str) -> Sequence[Any]:
    """The push of a file that is in force, and the one before it."""
    query = select(_F.seq, _F.sha256, _F.size, _F.content).where(_F.scanner == scanner, _F.name == name)
    query = query.where(_F.kind == "push", _F.state == Outcome.INSTALLED)
    return connection.execute(query.order_by(_F.seq.desc()).limit(2)).all()


def _too_many(connection: Connection, scanner: str, name: str) -> list[int]:
    """What of a file's past is no longer kept."""
    mine = select(_F.seq, _F.kind, _F.state).where(_F.scanner == scanner, _F.name == name).order_by(_F.seq.desc())
    rows = connection.execute(mine).all()
    good = [row.seq for row in rows if row.kind == "push" and row.state == Outcome.INSTALLED]
    return good[KEPT:] + [row.seq for row in rows if row.seq not in good][KEPT:]
