"""The demo's server side, one process: an embedded server, its next hop, mail coming in over SMTP, colleagues."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosmtplib
from pydantic import ValidationError
from sqlalchemy import Connection, select

from rcqueue.demo.colleagues import NAMES, Colleague
from rcqueue.demo.mail import CUSTOMERS, Sample, messages
from rcqueue.demo.next_hop import NextHop
from rcqueue.demo.ports import bind
from rcqueue.model.access import ROOT, Grant
from rcqueue.server.asgi import Server
from rcqueue.server.config import Address, Config, ConfigMistake
from rcqueue.server.identity.passwords import hash_password
from rcqueue.server.identity.sessions import token_hash
from rcqueue.server.marshal.people import ChangePerson, FirstAdmin, StartSession
from rcqueue.server.store import tables as t

#: Who there is beside the colleagues: (name, role). The first is the one who types the command.
ACCOUNTS = (("anna", "admin"), ("otto", "operator"), ("bella", "blind"), ("vera", "auditor"))
DAY = 86400 * 1_000_000


@dataclass(frozen=True, slots=True)
class Options:
    mails: int = 20
    rate: float = 1.0
    colleagues: int = 3
    http: str | None = None
    smtp: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    role: str
    password: str
    token_file: str


class Demo:
    """`async with Demo(folder, options) as demo`: ready when it is entered. A folder of an earlier run goes on where
    that ended; its people get new passwords and tokens.

    Raises ConfigMistake, OSError; InUse: another process serves the folder; Refusal: the admin there was disabled.
    """

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder, self.options = folder, options
        self.accounts: list[Account] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._mail = messages(options.seed or secrets.randbits(32))

    async def __aenter__(self) -> Demo:
        async with contextlib.AsyncExitStack() as stack:
            self.next_hop = NextHop(self.folder / "next-hop")
            await self.next_hop.start()
            stack.push_async_callback(self.next_hop.stop)
            self.server = await stack.enter_async_context(Server(self._config()))
            await self._people()
            await self._send(self.options.mails)
            stack.push_async_callback(self._stop_work)
            self._start_work()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _config(self) -> Config:
        try:
            return Config(
                data_dir=self.folder / "data",
                http={"listen": _listen(self.options.http)},
                smtp={"listen": _listen(self.options.smtp)},
                next_hop={"default": f"127.0.0.1:{self.next_hop.port}"},
                customer=[{"path": path, "domains": domains} for path, domains in CUSTOMERS],
            )
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigMistake(f"--{first['loc'][0]}: {first['ctx']['error']}") from None

    def ready_line(self) -> str:
        """What scripts read: where everything is."""
        return json.dumps(
            {
                "http": self.server.http_url,
                "smtp": f"127.0.0.1:{self.server.smtp.port}",
                "next_hop": str(self.next_hop.folder),
                "accounts": [
                    {"name": a.name, "password": a.password, "role": a.role, "token_file": a.token_file}
                    for a in self.accounts
                ],
            }
        )

    # -- people

    async def _people(self) -> None:
        marshal = self.server.marshal
        known = await marshal.database.read(_accounts)
        admin = 0  # the session of the first account: it makes the others
        for name, role in [*ACCOUNTS, *((name, "operator") for name in NAMES[: self.options.colleagues])]:
            account, enabled = known.get(name, (0, True))
            if admin and not enabled:
                continue
            password = "-".join(secrets.token_hex(2) for _ in range(4))
            hashed = await hash_password(password)
            if not account and not admin:
                account = await marshal.do(FirstAdmin(name, hashed, len(known)))
            elif not account:
                account = await marshal.do(ChangePerson(admin, "create", name, (Grant(role, ROOT),), password=hashed))
            token = secrets.token_urlsafe(32)
            session = await marshal.do(StartSession(account, token_hash(token), "token", "demo", DAY))
            admin = admin or session["id"]
            if name in known:
                await marshal.do(ChangePerson(admin, "password", name, password=hashed))
            self.accounts.append(Account(name, role, password, str(self._keep(name, token))))

    def _keep(self, name: str, token: str) -> Path:
        folder = self.folder / "tokens"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{name}.token"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
        return path

    # -- work

    def _start_work(self) -> None:
        if self.options.rate > 0:
            self._tasks.append(asyncio.create_task(self._feed()))
        for seed, account in enumerate(account for account in self.accounts if account.name in NAMES):
            colleague = Colleague(self.server.http_url, account.name, account.password, self.options.seed + seed)
            self._tasks.append(asyncio.create_task(colleague.work()))

    async def _stop_work(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _feed(self) -> None:
        """Mail at a steady rate, until cancelled. A connection that breaks is opened anew."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                async with self._client() as client:
                    while True:
                        due = max(due + 1 / self.options.rate, loop.time() - 1)
                        await asyncio.sleep(due - loop.time())
                        await _deliver(client, next(self._mail))
            await asyncio.sleep(1)

    async def _send(self, count: int) -> None:
        """`count` mails on hold before anybody looks, over four connections."""
        left: Iterator[int] = iter(range(count))

        async def some() -> None:
            async with self._client() as client:
                for _ in left:
                    await _deliver(client, next(self._mail))

        await asyncio.gather(*(some() for _ in range(min(4, count))))

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname="127.0.0.1", port=self.server.smtp.port, start_tls=False, local_hostname="mx.demo.example"
        )


def _accounts(connection: Connection) -> dict[str, tuple[int, bool]]:
    """(id, enabled) by name."""
    return {row.name: (row.id, row.enabled) for row in connection.execute(select(t.account))}


def _listen(text: str | None) -> Any:
    if text is not None:
        return text
    with bind() as sock:
        return Address("127.0.0.1", sock.getsockname()[1])


async def _deliver(client: aiosmtplib.SMTP, sample: Sample) -> None:
    options = ["BODY=8BITMIME"] + (["SMTPUTF8"] if sample.smtputf8 else [])
    await client.sendmail(sample.sender, list(sample.recipients), sample.raw, mail_options=options)
