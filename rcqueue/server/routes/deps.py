"""What routes share: the running parts, who asks, and the key of a writing call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar

from fastapi import Depends, Header, Request
from sqlalchemy import Connection
from starlette.requests import HTTPConnection

from rcqueue.model.access import Access
from rcqueue.server.health import Monitor
from rcqueue.server.identity.sessions import Identity
from rcqueue.server.marshal import Idempotency, Marshal, Refusal
from rcqueue.server.reading.children import Readers
from rcqueue.server.rules import Pushes
from rcqueue.server.scan.judge import Judge

if TYPE_CHECKING:  # handed to the routes, which are no higher, and import neither
    from rcqueue.server.hub import Hub
    from rcqueue.server.notices.sender import Notices

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Parts:
    """The running server, as the routes need it."""

    marshal: Marshal
    identity: Identity
    hub: Hub
    readers: Readers
    importer: Any  # intake.files.Importer; routes and intake do not import each other
    exporter: Any  # intake.exporter.Exporter
    judge: Judge
    pushes: Pushes
    health: Monitor
    notices: Notices
    customer_of: Callable[[str], str]  # of a recipient
    next_hop_of: Callable[[str], object]  # of a recipient
    version: str


def parts_of(connection: HTTPConnection) -> Parts:
    parts: Parts = connection.app.state.parts
    return parts


def token_of(connection: HTTPConnection) -> str:
    """The bearer token. Raises `Refusal`; also where a browser's page of another origin asks."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refusal("unauthorized", "a bearer token in the Authorization header was expected")
    if connection.headers.get("origin"):
        raise Refusal("forbidden", "no web page may call this API", right="origin")
    return token


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks, and the parts to answer them with."""

    parts: Parts
    token: str
    body: bytes = b""
    key: str | None = None
    path: str = ""

    async def read(self, fn: Callable[Concatenate[Connection, Access, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`fn(connection, access, ...)` in one snapshot with the look at who this is."""
        return (await self.parts.identity.read(self.token, fn, *args, **kwargs))[1]

    async def who(self) -> Access:
        return await self.parts.identity.who(self.token)

    def once(self, who: Access, *, required: bool = True) -> Idempotency | None:
        if not self.key:
            if required:
                raise Refusal("idempotency-key", "a writing call takes an Idempotency-Key header")
            return None
        if len(self.key) > 200:
            raise Refusal("idempotency-key", "an Idempotency-Key has at most 200 characters")
        return Idempotency.of(who.account, self.key, self.path, self.body)


async def _viewer(request: Request, idempotency_key: Annotated[str | None, Header()] = None) -> Viewer:
    body = await request.body() if request.method == "POST" else b""
    return Viewer(parts_of(request), token_of(request), body, idempotency_key, request.url.path)


Asker = Annotated[Viewer, Depends(_viewer)]
