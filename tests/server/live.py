"""The whole server in the test's own loop, with people signed in and a next hop that keeps what it gets."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiosmtplib

from rcqueue.client.api import Api
from rcqueue.demo.next_hop import NextHop, by_local_part
from rcqueue.demo.ports import bind
from rcqueue.model.access import ROOT, Grant
from rcqueue.server.asgi import Server
from rcqueue.server.config import Address, Config
from rcqueue.server.identity.sessions import token_hash
from rcqueue.server.marshal.people import ChangePerson, FirstAdmin, StartSession

HOUR = 3600 * 1_000_000
PEOPLE = {"anna": "admin", "ben": "operator", "cleo": "blind", "dora": "auditor", "otis": "operator", "wally": "wall"}


def port() -> Address:
    with bind() as sock:
        return Address("127.0.0.1", sock.getsockname()[1])


class Live:
    """`async with Live(tmp_path) as live`: `live.api("ben")` is a client that is signed in as an operator."""

    def __init__(
        self,
        folder: Path,
        *,
        recall: str = "10s",
        customers: Sequence[dict[str, Any]] = (),
        synchronous: str = "OFF",
        **more: Any,
    ) -> None:
        self.folder = folder
        self.recall, self.customers, self._synchronous = recall, customers, synchronous
        self._more = more  # of the configuration
        self.tokens: dict[str, str] = {}
        self._apis: list[Api] = []

    async def __aenter__(self) -> Self:
        self.next_hop = NextHop(self.folder / "next-hop", by_local_part)
        await self.next_hop.start()
        self.config = Config(
            data_dir=self.folder / "data",
            http={"listen": port()},
            smtp={"listen": port()},
            next_hop={"default": f"127.0.0.1:{self.next_hop.port}", **self._more.pop("next_hop", {})},
            hold={"recall": self.recall},
            customer=self.customers,
            **self._more,
        )
        await self.open()
        if not self.tokens:
            await self._people()
        return self

    async def open(self) -> None:
        self.server = Server(self.config, synchronous=self._synchronous)
        await self.server.start()

    async def restart(self) -> None:
        await self.server.stop()
        await self.open()

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for api in self._apis:
            await api.close()
        await self.server.stop()
        await self.next_hop.stop()

    async def _people(self) -> None:
        admin = 0
        for name, role in PEOPLE.items():
            if not admin:
                account = await self.server.marshal.do(FirstAdmin(name, "no hash", 0))
            else:
                change = ChangePerson(admin, "create", name, (Grant(role, ROOT),), password="no hash")
                account = await self.server.marshal.do(change)
            session = await self.sign_in(name, account)
            admin = admin or session

    async def sign_in(self, name: str, account: int, kind: str = "terminal") -> int:
        token = secrets.token_urlsafe(16)
        lease = 120_000_000 if kind == "terminal" else 0
        start = StartSession(account, token_hash(token), kind, "test", 12 * HOUR, lease)
        self.tokens[name] = token
        return int((await self.server.marshal.do(start))["id"])

    @property
    def url(self) -> str:
        return self.server.http_url

    def api(self, name: str) -> Api:
        api = Api(self.url, self.tokens[name])
        self._apis.append(api)
        return api

    async def send(self, raw: bytes, sender: str = "ada@sender.example", *recipients: str) -> list[str]:
        """One message in over SMTP; the ids that the server names."""
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=self.server.smtp.port, start_tls=False)
        async with client:
            _, said = await client.sendmail(sender, list(recipients or ("ben@example.org",)), raw)
        return said.split(" as ")[-1].split(", ")


def mail(
    subject: str = "Hello", body: str = "A body.", sender: str = "Ada <ada@sender.example>", more: str = ""
) -> bytes:
    return f"From: {sender}\r\nTo: ben@example.org\r\nSubject: {subject}\r\n{more}\r\n{body}\r\n".encode()
