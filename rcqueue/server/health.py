"""How the server does, and what is around it: looked at every few seconds, shown to whoever may view, and an alert when
something is amiss that does not mend itself. Nothing here is of any mail.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from rcqueue.model.health import Alert, Health, NextHopState, ScannerState, Wall, WayIn
from rcqueue.model.mail import from_us, to_us
from rcqueue.model.rules import Outcome, RuleFile
from rcqueue.model.scan import ScannerHealth
from rcqueue.server.config import SECOND, Alerts, Config, NextHop
from rcqueue.server.marshal import Marshal
from rcqueue.server.marshal.alerts import SetAlerts
from rcqueue.server.marshal.figures import Mails
from rcqueue.server.store import tables as t

log = logging.getLogger(__name__)
BEAT = 5.0  #: seconds between two looks
PROBE = "rcqueue-probe"  #: what a push writes beside its file is not how old a scanner's rules are


@dataclass(frozen=True, slots=True)
class Around:
    """What the monitor looks at beside the store, by those who know."""

    version: str
    scanners: Callable[[], Sequence[ScannerHealth]]
    next_hops: Callable[[], Sequence[NextHopState]]  #: as they answered
    ways_in: Callable[[], Sequence[WayIn]]
    last_rules: Callable[[Connection], RuleFile | None]


class Monitor:
    """`run` until cancelled; `look` and `shown` at any time."""

    def __init__(self, marshal: Marshal, config: Config, around: Around) -> None:
        self._marshal, self._config, self._around = marshal, config, around
        self._started = datetime.now(UTC)
        self._standing: dict[str, Alert] = {}
        self._seen: dict[str, int] = {}  # troubles, and since when
        self._looking = asyncio.Lock()

    async def start(self) -> None:
        """Reads which alerts stood when the server was stopped."""
        rows = await self._marshal.database.read(lambda c: c.execute(select(t.alert)).all())
        self._standing = {row.name: Alert(name=row.name, since=from_us(row.at), text=row.text) for row in rows}

    async def run(self) -> None:
        while True:
            try:
                await self.beat()
            except Exception:
                log.exception("health")
            await asyncio.sleep(BEAT)

    async def beat(self) -> None:
        """Looks once; raises and clears alerts."""
        async with self._looking:
            await self._beat()

    async def _beat(self) -> None:
        health = await self.look()
        found = troubles(health, self._config.alerts)
        now = self._marshal.clock.now()
        self._seen = {name: self._seen.get(name, trouble.since or now) for name, trouble in found.items()}
        down = self._config.alerts.down
        raised = {
            name: trouble.text
            for name, trouble in found.items()
            if name not in self._standing and (trouble.at_once or now - self._seen[name] >= down)
        }
        cleared = self._standing.keys() - found.keys() - unknown(health)
        if not raised and not cleared:
            return
        at = from_us(await self._marshal.do(SetAlerts(raised, cleared)))
        for name in cleared:
            log.info("alert is over: %s", self._standing.pop(name).text)
        for name, text in raised.items():
            log.warning("alert: %s", text)
            self._standing[name] = Alert(name=name, since=at, text=text)

    async def look(self) -> Health:
        """All but the mails, which not everybody may view all of."""
        around, config, marshal = self._around, self._config, self._marshal
        disk, made = await asyncio.to_thread(_on_disk, config)
        waiting, there, last = await marshal.database.read(
            lambda c: (_waiting(c, config.next_hop), _set(c), around.last_rules(c))
        )
        now = datetime.now(UTC)
        return Health(
            now=now,
            server=around.version,
            node=socket.gethostname(),
            started=self._started,
            lag=marshal.writer.lag,
            waiting=marshal.writer.waiting,
            disk_used=round(disk.used / (disk.used + disk.free), 4) if disk.used + disk.free else 0.0,
            disk_free=disk.free,
            scanners=[_scanner(of, made.get(of.name), now, config.alerts) for of in around.scanners()],
            next_hops=self._hops(waiting, there),
            ways_in=list(around.ways_in()),
            rules=last and last.model_copy(update={"said": []}),
            alerts=self.alerts,
        )

    async def shown(self, mails: Mails) -> Health:
        """The same with the mails that somebody may view."""
        return (await self.look()).model_copy(update=_of(mails))

    def wall(self, mails: Mails, verdict: dict[str, int], customers: dict[str, int]) -> Wall:
        """What a display on a wall shows, with the mails that somebody may count."""
        known = {"now": datetime.now(UTC), "verdict": verdict, "customers": customers, "alerts": self.alerts}
        return Wall(**known, **_of(mails))

    @property
    def alerts(self) -> list[Alert]:
        """Those that stand, the oldest first."""
        return sorted(self._standing.values(), key=lambda alert: alert.since)

    async def next_hops(self) -> list[NextHopState]:
        """Those that are configured, and those that were asked since the start."""
        config, database = self._config.next_hop, self._marshal.database
        waiting, there = await database.read(lambda c: (_waiting(c, config), _set(c)))
        return self._hops(waiting, there)

    def _hops(self, waiting: Mapping[str, _Waiting], there: Mapping[str, Any]) -> list[NextHopState]:
        asked = (*map(_unasked, _configured(self._config.next_hop)), *self._around.next_hops())
        hops = {hop.at: hop for hop in asked}
        return [_hop(hop, waiting.get(hop.at), there.get(hop.at)) for hop in hops.values()]


# -- what is amiss


class Trouble(NamedTuple):
    text: str
    at_once: bool = False  #: it is an alert at once, not only when it lasts
    since: int | None = None  #: where that is known


def troubles(health: Health, terms: Alerts) -> dict[str, Trouble]:
    """What is amiss, by the names of the alerts that it may become. Pure."""
    return dict(_troubles(health, terms))


def _troubles(health: Health, terms: Alerts) -> Iterator[tuple[str, Trouble]]:
    for one in health.scanners:
        if one.up is False:
            since = None if one.since is None else to_us(one.since)
            yield f"scanner.{one.name}", Trouble(f"{one.name} is down: {one.error}", since=since)
        if one.old and one.signatures_at is not None:
            hours, made = terms.signatures // (3600 * SECOND), one.signatures_at.strftime("%Y-%m-%d %H:%M")
            text = f"the signatures or rules of {one.name} are older than {hours} h: made {made} UTC"
            yield f"signatures.{one.name}", Trouble(text, at_once=True)
    for hop in health.next_hops:
        if hop.up is False:
            why = f"refuses with {hop.code}" if hop.code else "can't be reached"
            yield f"next_hop.{hop.at}", Trouble(f"the next hop {hop.at} {why}")
        if hop.paused is not None and to_us(health.now) - to_us(hop.paused) >= terms.paused:
            yield f"paused.{hop.at}", Trouble(f"the next hop {hop.at} is paused", at_once=True)
    for way in health.ways_in:
        if not way.up:
            yield f"way.{way.name}", Trouble(f"nothing comes in by {way.name}: {way.reason}")
    if health.disk_used * 100 >= terms.disk:
        yield "disk", Trouble(f"the disk of data_dir is used to {terms.disk} % or more", at_once=True)
    if (rules := health.rules) is not None and rules.outcome is Outcome.FAILED:
        text = f"{rules.scanner} does not answer as before the {rules.kind} of {rules.name}: look at the audit log"
        yield "rules", Trouble(text, at_once=True)


def unknown(health: Health) -> set[str]:
    """Alerts of which it can't be said yet whether they are over: nobody has asked since the start. Pure."""
    names = {f"{what}.{one.name}" for one in health.scanners if one.up is None for what in ("scanner", "signatures")}
    return names | {f"next_hop.{hop.at}" for hop in health.next_hops if hop.up is None and hop.waiting}


# -- looking


def _scanner(of: ScannerHealth, made: datetime | None, now: datetime, terms: Alerts) -> ScannerState:
    made = of.signatures_at or made
    age = None if made is None else max(0, int((now - made).total_seconds()))
    known = of.model_dump() | {"signatures_at": made}
    return ScannerState(**known, age=age, old=age is not None and age * SECOND > terms.signatures)


def _on_disk(config: Config) -> tuple[Any, Mapping[str, datetime]]:
    """How full the disk is; when the rules of scanners that don't say were made."""
    folders = {name: at.folder for name, at in config.rules.items()}
    folders |= {at.name: at.signatures for at in config.scanner if at.signatures is not None}
    made = {name: _newest(folder) for name, folder in folders.items()}
    return shutil.disk_usage(config.data_dir), {name: at for name, at in made.items() if at is not None}


def _newest(folder: Path) -> datetime | None:
    """When the newest file in or below it was written."""
    times: list[float] = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.name.startswith((PROBE, ".")):
                times.append(path.stat().st_mtime)
        except OSError:
            continue  # it has gone meanwhile
    return datetime.fromtimestamp(max(times), UTC) if times else None


class _Waiting(NamedTuple):
    mails: int
    next: int | None


def _waiting(connection: Connection, config: NextHop) -> dict[str, _Waiting]:
    """The mails on their way, by next hop."""
    mail = t.mail.c
    query = select(mail.rcpt_domain, func.count(), func.min(mail.due)).where(mail.status == "RELEASING")
    found: dict[str, _Waiting] = {}
    for domain, mails, due in connection.execute(query.group_by(mail.rcpt_domain)):
        at = str(config.of(f"x@{domain}"))
        before = found.get(at, _Waiting(0, None))
        dues = [d for d in (before.next, due) if d is not None]
        found[at] = _Waiting(before.mails + mails, min(dues, default=None))
    return found


def _configured(config: NextHop) -> list[str]:
    return list(dict.fromkeys(map(str, (config.default, *config.domains.values()))))


def _unasked(at: str) -> NextHopState:
    return NextHopState(at=at)


def _set(connection: Connection) -> dict[str, Any]:
    """What people set for next hops."""
    return {row.at: row for row in connection.execute(select(t.next_hop))}


def _hop(hop: NextHopState, waiting: _Waiting | None, there: Any) -> NextHopState:
    more: dict[str, Any] = {}
    if waiting is not None:
        more = {"waiting": waiting.mails, "next": None if waiting.next is None else from_us(waiting.next)}
    if there is not None:
        more |= {"paused": None if there.paused is None else from_us(there.paused), "rate": there.rate}
    return hop.model_copy(update=more)


def _of(mails: Mails) -> dict[str, Any]:
    status, oldest, flow = mails
    return {"status": status, "oldest": None if oldest is None else from_us(oldest), "flow": flow}
