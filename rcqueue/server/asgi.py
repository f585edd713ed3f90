"""The running server: every part, made in order, started together and stopped in the reverse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Connection, func, select
from starlette.types import ASGIApp

from rcqueue import __version__
from rcqueue.model.health import WayIn
from rcqueue.server import learning
from rcqueue.server.config import Address, Config
from rcqueue.server.delivery import Delivery
from rcqueue.server.health import Around, Monitor
from rcqueue.server.hub import Hub
from rcqueue.server.identity.sessions import Identity
from rcqueue.server.intake.amavis import AmavisFolder
from rcqueue.server.intake.content_filter import ContentFilter
from rcqueue.server.intake.exporter import Exporter
from rcqueue.server.intake.files import Importer
from rcqueue.server.intake.hold import Intake
from rcqueue.server.intake.milter import MilterIntake
from rcqueue.server.intake.postfix_hold import PostfixHold
from rcqueue.server.intake.smtp import LmtpIntake, SmtpIntake
from rcqueue.server.learning import Learning
from rcqueue.server.marshal import Marshal, Terms
from rcqueue.server.marshal.clockwork import Clockwork
from rcqueue.server.marshal.customers import SetCustomers
from rcqueue.server.notices.sender import Notices
from rcqueue.server.postfix import PostfixHelper
from rcqueue.server.reading.children import Readers
from rcqueue.server.release_key import release_keys
from rcqueue.server.routes import (
    acpi,
    acts,
    campaigns,
    claims,
    feed,
    health,
    imports,
    login,
    mails,
    meta,
    notices,
    outgoing,
    people,
    policy,
    problem,
    requests,
    rspamd,
    rules,
    saved,
    scans,
    senders,
)
from rcqueue.server.routes.bound import Bound
from rcqueue.server.routes.deps import Parts
from rcqueue.server.rules import Pushes
from rcqueue.server.rules.push import last_rules
from rcqueue.server.scan.judge import Judge, policy_of
from rcqueue.server.scan.standing import Rules
from rcqueue.server.store import tables as t
from rcqueue.server.store.clock import Clock
from rcqueue.server.store.database import Database
from rcqueue.server.store.migrations import migrate
from rcqueue.server.store.writer import Writer

log = logging.getLogger(__name__)
SEND_BUFFER = 256 << 10


def build_app(parts: Parts) -> FastAPI:
    app = FastAPI(
        title="rcqueue", version=__version__, openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None
    )
    app.state.parts = parts
    problem.install(app)
    judging = (rspamd, scans, senders, policy, rules)
    queue = (acts, mails, campaigns, claims, saved)
    for module in (login, *queue, people, imports, *judging, health, outgoing, notices, feed):
        app.include_router(module.router, prefix="/api/v1")
    for module in (acpi, meta, requests):
        app.include_router(module.router)
    return app


class Server:
    """All of one node. `start` returns when it listens; `stop` finishes what is under way."""

    def __init__(self, config: Config, *, synchronous: str = "FULL") -> None:
        self.config = config
        self._synchronous = synchronous
        self._tasks: list[asyncio.Task[Any]] = []
        self._stack = contextlib.AsyncExitStack()
        self.http_url = ""

    async def start(self) -> None:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def stop(self) -> None:
        await self._stack.aclose()

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _start(self) -> None:
        config, stack = self.config, self._stack
        database = Database(config.data_dir, synchronous=self._synchronous)
        stack.callback(database.close)
        await asyncio.to_thread(migrate, database.write_engine)
        clock = Clock(not_before=await database.read(_last_at))
        hub = Hub(database, clock)
        loop = asyncio.get_running_loop()

        def committed(seq: int, kinds: frozenset[str]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may have ended before the writer
                loop.call_soon_threadsafe(self._committed, seq, kinds)

        writer = Writer(database, clock, committed)
        stack.callback(writer.close)
        self.rules = Rules(policy_of(config), database, clock.now)
        hold, postmaster = config.hold, config.release.postmaster or ""
        kept = (hold.expiry, hold.purge, hold.recall, hold.passed, hold.acts)
        terms = Terms(*kept, postmaster, config.caps, config.authserv_ids)
        self.hub, self.marshal = hub, Marshal(database, writer, clock, terms)
        stack.push_async_callback(self.marshal.close)
        keys = release_keys(config.data_dir) if config.release.passes else ()
        readers = Readers()
        stack.push_async_callback(readers.close)
        self.delivery = Delivery(self.marshal, config, readers, key=keys[0] if keys else None)
        self.notices = Notices(self.marshal, config, key=keys[0] if keys else None)
        self.identity = Identity(self.marshal)
        await self.marshal.do(SetCustomers(tuple((c.path, c.domains, c.claim_locks_body) for c in config.customer)))
        await hub.start()
        self.judge = Judge(config, readers, self.rules)
        stack.push_async_callback(self.judge.close)
        await self.judge.start()
        self.learning = Learning(self.marshal, self.judge)
        self.marshal.judge_by(self.judge)
        pushes = Pushes(self.marshal, self.judge, config)
        await pushes.start()
        stack.push_async_callback(pushes.close)
        ways: list[Callable[[], WayIn]] = []
        around = Around(__version__, self.judge.health, self.delivery.hops, lambda: [way() for way in ways], last_rules)
        self.monitor = Monitor(self.marshal, config, around)
        await self.monitor.start()
        intake = Intake(self.marshal, config, keys=keys)
        stack.push_async_callback(intake.close)
        importer = Importer(intake, config.smtp.size_limit, config.smtp.recipient_limit)

        parts = Parts(
            self.marshal,
            self.identity,
            hub,
            readers,
            importer.import_message,
            Exporter(intake, config.smtp.size_limit, config.smtp.recipient_limit),
            self.judge,
            pushes,
            self.monitor,
            self.notices,
            config.customer_of,
            config.next_hop.of,
            __version__,
        )
        await stack.enter_async_context(self._running(hub.run(), "hub"))
        await stack.enter_async_context(self._running(Clockwork(self.marshal).run(), "clockwork"))
        await stack.enter_async_context(self._running(self.learning.run(), "learning"))
        await self.delivery.start()
        stack.push_async_callback(self.delivery.stop)
        self.notices.start()
        stack.push_async_callback(self.notices.stop)
        await self.marshal.resume_acts()
        amavis = config.amavis

        async def listen(name: str, way: SmtpIntake | MilterIntake | ContentFilter, at: Address) -> None:
            await way.start()
            stack.push_async_callback(way.stop)
            ways.append(_listener(name, way, at))

        self.smtp = SmtpIntake(intake, config.smtp, quarantine=amavis.address if amavis is not None else "")
        await listen("smtp", self.smtp, config.smtp.listen)
        if (at := config.lmtp) is not None:
            await listen("lmtp", LmtpIntake(intake, config.smtp, at.listen), at.listen)
        if (milter := config.milter) is not None:
            await listen("milter", MilterIntake(intake, self.judge, milter, config.smtp.size_limit), milter.listen)
        if (passing := config.filter) is not None:
            await listen("filter", ContentFilter(intake, self.judge, passing, config.smtp), passing.listen)
        if config.postfix is not None:
            helper = PostfixHelper(config.postfix.helper)
            adopted = PostfixHold(intake, helper, config.postfix.poll, config.smtp.size_limit)
            await stack.enter_async_context(self._running(adopted.run(), "postfix-hold"))
            ways.append(_follower("postfix", adopted, config.postfix.helper))
        if amavis is not None and amavis.folder is not None:
            folder = AmavisFolder(intake, amavis.folder, amavis, config.smtp.size_limit)
            await stack.enter_async_context(self._running(folder.run(), "amavis-folder"))
            ways.append(_follower("amavis", folder, amavis.folder))
        await stack.enter_async_context(self._running(self.monitor.run(), "health"))
        most = 2 * max(config.smtp.size_limit, self.judge.size_limit)
        await stack.enter_async_context(self._http(Bound(build_app(parts), most)))

    def _committed(self, seq: int, kinds: frozenset[str]) -> None:
        self.rules.tell(kinds)
        self.hub.wake(seq)
        self.delivery.wake()
        if kinds & learning.KINDS:
            self.learning.wake()

    @contextlib.asynccontextmanager
    async def _running(self, work: Any, name: str) -> AsyncIterator[None]:
        task = asyncio.create_task(work, name=name)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _http(self, app: ASGIApp) -> AsyncIterator[None]:
        http = self.config.http
        family = socket.AF_INET6 if ":" in http.listen.host else socket.AF_INET
        listener = socket.create_server((http.listen.host, http.listen.port), family=family, backlog=512)
        # What a reader that takes nothing may keep waiting in the kernel; accepted sockets inherit it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        settings = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_ping_interval=None,  # the feed has pings of its own
            ws_max_size=64 << 10,
            ws_per_message_deflate=True,
            timeout_graceful_shutdown=3,
            ssl_certfile=http.cert and str(http.cert),
            ssl_keyfile=http.key and str(http.key),
        )
        server = _Embedded(settings)
        task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
        while not server.started and not task.done():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        if task.done():
            await task
        host, port = listener.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        self.http_url = f"{'https' if http.cert else 'http'}://{name}:{port}"
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.gather(task, return_exceptions=True)
            listener.close()


class _Embedded(uvicorn.Server):
    """Leaves the process's signals to whoever owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _listener(name: str, way: SmtpIntake | MilterIntake, at: Address) -> Callable[[], WayIn]:
    def state() -> WayIn:
        return WayIn(name=name, at=str(at), up=way.listening, reason="" if way.listening else "it does not listen")

    return state


def _follower(name: str, way: PostfixHold | AmavisFolder, at: Path) -> Callable[[], WayIn]:
    return lambda: WayIn(name=name, at=str(at), up=not way.trouble, reason=way.trouble)


def _last_at(connection: Connection) -> int:
    return int(connection.execute(select(func.max(t.entry.c.at))).scalar() or 0)
