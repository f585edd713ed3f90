"""A queue with people in it, for tests of the server half: the real store, writer and marshal in a folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, select

from rcqueue.demo.ports import bind
from rcqueue.model.access import ROLES, ROOT, Access, Grant
from rcqueue.model.act import ActAnswer, ActBody, Verb
from rcqueue.model.ids import encode_mail, encode_message, parse_id
from rcqueue.model.mail import Receipt, from_us
from rcqueue.server.identity.sessions import access_of_session, token_hash
from rcqueue.server.marshal import Marshal, Terms
from rcqueue.server.marshal.hold import Arrival
from rcqueue.server.marshal.people import ChangePerson, FirstAdmin, StartSession
from rcqueue.server.reading.scan import scan
from rcqueue.server.store import tables as t
from rcqueue.server.store.clock import Clock
from rcqueue.server.store.database import Database
from rcqueue.server.store.migrations import migrate
from rcqueue.server.store.writer import Writer

HOUR = 3600 * 1_000_000
NAMES = {"admin": "anna", "operator": "ben", "blind": "cleo", "auditor": "dora", "wall": "wally"}
PASSWORD = "correct horse battery"

MAIL = b"From: Ada <ada@sender.example>\r\nTo: ben@example.org\r\nSubject: Hello\r\n\r\nA body.\r\n"


@dataclass(frozen=True, slots=True)
class Held:
    """A message on hold, by its ids on the wire."""

    id: str
    mails: tuple[str, ...]
    number: int


class Queue:
    """`async with Queue(tmp_path) as queue`: one account of each role at the root (NAMES), each signed in once.

    `synchronous` is OFF: these tests stop no machine. Terms default to no recall window.
    """

    def __init__(self, folder: Path, *, terms: Terms | None = None, synchronous: str = "OFF") -> None:
        self.folder, self.terms = folder, terms or Terms(recall=0)
        self._synchronous = synchronous
        self._sessions: dict[str, int] = {}
        self.tokens: dict[str, str] = {}  #: by role

    async def __aenter__(self) -> Self:
        self.open()
        if await self.read(lambda c: c.execute(select(t.account.c.id)).first()) is None:
            await self._people()
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def open(self) -> None:
        self.database = Database(self.folder, synchronous=self._synchronous)
        migrate(self.database.write_engine)
        self.clock = Clock()
        self.writer = Writer(self.database, self.clock)
        self.marshal = Marshal(self.database, self.writer, self.clock, self.terms)

    async def close(self) -> None:
        await self.marshal.close()
        self.writer.close()
        self.database.close()

    async def reopen(self) -> None:
        """As after a restart: what was not durable is gone."""
        await self.close()
        self.open()

    # -- people

    async def _people(self) -> None:
        await self.marshal.do(FirstAdmin(NAMES["admin"], "no hash", 0))
        admin = await self.sign_in("admin")
        for role in ROLES:
            if role != "admin":
                grants = (Grant(role, ROOT),)
                await self.marshal.do(ChangePerson(admin, "create", NAMES[role], grants, password="no hash"))
                await self.sign_in(role)

    async def sign_in(self, role: str, *, kind: str = "terminal", scope: str = "") -> int:
        """A session of the role's account; the first is the one that `session` answers."""
        find = select(t.account.c.id).where(t.account.c.name == NAMES[role])
        account = await self.read(lambda c: c.execute(find).scalar_one())
        token = secrets.token_urlsafe(16)
        start = StartSession(account, token_hash(token), kind, "test", 12 * HOUR, HOUR, scope=scope)
        session: int = (await self.marshal.do(start))["id"]
        self._sessions.setdefault(role, session)
        self.tokens.setdefault(role, token)
        return session

    async def session(self, role: str) -> Access:
        return await self.access(self._sessions[role])

    async def access(self, session: int) -> Access:
        access = await self.read(access_of_session, session, self.clock.now())
        assert access is not None
        return access

    # -- mail

    async def hold(
        self,
        raw: bytes = MAIL,
        sender: str = "ada@sender.example",
        recipients: tuple[str, ...] = ("ben@example.org",),
        customer: str = ROOT,
        **more: Any,
    ) -> Held:
        """`more` are other members of `Arrival`."""
        now = from_us(self.clock.now())
        receipt = Receipt(at=now, client="192.0.2.1", helo="mx.sender.example", protocol="ESMTP", size=len(raw))
        (message,) = await self.marshal.hold([Arrival(customer, sender, recipients, raw, scan(raw), receipt, **more)])
        ids = tuple(encode_mail(message, n) for n in range(len(dict.fromkeys(recipients))))
        return Held(encode_message(message), ids, message)

    async def act(self, role: str, verb: str, mail: str, **body: Any) -> ActAnswer:
        return await self.marshal.act(await self.session(role), Verb(verb), [mail], ActBody(**body))

    async def mail(self, mail: str) -> dict[str, Any]:
        """The row of a mail (of a message's first mail, if the id is a message's)."""
        message, n = parse_id(mail)
        find = select(t.mail).where(t.mail.c.message == message, t.mail.c.n == (n or 0))
        return dict(await self.read(lambda c: c.execute(find).mappings().one()))

    async def status(self, mail: str) -> str:
        return str((await self.mail(mail))["status"])

    # -- what is stored

    async def read(self, fn: Any, *args: Any) -> Any:
        return await self.database.read(fn, *args)

    async def rows(self, table: Any, **where: Any) -> list[dict[str, Any]]:
        """Rows of a table, by the order of its primary key."""

        def find(connection: Connection) -> list[dict[str, Any]]:
            query = select(table).filter_by(**where).order_by(*table.primary_key.columns)
            return [dict(row) for row in connection.execute(query).mappings()]

        found: list[dict[str, Any]] = await self.read(find)
        return found

    async def entries(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The journal: each entry's row, with `facts` and `personal` read."""
        rows = await self.rows(t.entry, **({"kind": kind} if kind else {}))
        for row in rows:
            row["facts"] = json.loads(row["leaf"]).get("facts", {})
            row["personal"] = json.loads(row["personal"] or "{}")
        return rows

    async def raw(self, message: str | int) -> bytes:
        """The stored bytes of a message."""
        number = parse_id(message)[0] if isinstance(message, str) else message
        same = (t.message.c.customer == t.blob.c.customer) & (t.message.c.sha256 == t.blob.c.sha256)
        find = select(t.blob.c.data).join(t.message, same).where(t.message.c.id == number)
        data: bytes = await self.read(lambda c: c.execute(find).scalar_one())
        return data


def free_port() -> int:
    """A port below 32768 that nobody listens on now."""
    with bind() as sock:
        port: int = sock.getsockname()[1]
        return port


class Talk:
    """An SMTP client that says exactly the bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port: int, *, ehlo: bool = True) -> AsyncIterator[Self]:
        talk = cls(*await asyncio.open_connection("127.0.0.1", port))
        try:
            assert (await talk.reply()).startswith("220 ")
            if ehlo:
                await talk.say("EHLO client.example", "250")
            yield talk
        finally:
            talk.writer.close()

    async def reply(self) -> str:
        """One whole reply; "" when the server has closed."""
        lines = []
        while line := (await asyncio.wait_for(self.reader.readline(), 10)).decode("utf-8", "replace"):
            lines.append(line)
            if line[3:4] != "-":
                break
        return "".join(lines)

    async def say(self, line: str, expect: str = "") -> str:
        self.writer.write(line.encode("utf-8", "surrogateescape") + b"\r\n")
        said = await self.reply()
        assert said.startswith(expect), said
        return said

    async def mail(self, sender: str, recipients: Iterable[str], options: str = "") -> None:
        await self.say(f"MAIL FROM:<{sender}>{options}", "250")
        for recipient in recipients:
            await self.say(f"RCPT TO:<{recipient}>", "250")

    async def data(self, content: bytes) -> str:
        """`content` as it is, dots stuffed; the content ends with CRLF, or the end of data brings one."""
        await self.say("DATA", "354")
        stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
        self.writer.write(stuffed + (b".\r\n" if content.endswith(b"\r\n") or not content else b"\r\n.\r\n"))
        return await self.reply()
