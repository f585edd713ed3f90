"""The feed over a websocket, and the same by long poll."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Response, WebSocket
from sqlalchemy import select
from starlette.websockets import WebSocketDisconnect

from rcqueue.model.access import Access, Right
from rcqueue.model.journal import API, PING
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.seeing import Look
from rcqueue.server.store import tables as t

from .deps import Asker, Parts, parts_of, token_of

if TYPE_CHECKING:
    from rcqueue.server.hub import Reader

router = APIRouter(tags=["feed"])
SLOW = 20.0  #: a socket that took nothing for this long is cut
SUBSCRIBE = 10.0

TOKEN, RIGHTS, TOO_SLOW, BAD = 4401, 4403, 4408, 4400
_WHY = {TOKEN: "the session has ended", RIGHTS: "no right to view is left", TOO_SLOW: "too slow"}


@router.get("/entries")
async def entries(
    asker: Asker, since: Annotated[int, Query(ge=0)], wait: Annotated[float, Query(ge=0, le=25)] = 0
) -> Response:
    """The journal after `since`; waits for the first entry up to `wait` seconds."""
    who = await asker.who()
    if not who.anywhere(Right.VIEW):
        raise Refusal("forbidden", "you have no right to view", right="view")
    await asker.parts.hub.wait(since, wait)
    piece = asker.parts.hub.part(await asker.who(), since)
    return Response((await piece).text, media_type="application/json")


@router.websocket("/feed")
async def feed(socket: WebSocket) -> None:
    parts = parts_of(socket)
    try:
        who = await parts.identity.who(token_of(socket))
    except Refusal as refusal:
        await socket.accept()
        await socket.close(TOKEN if refusal.kind == "unauthorized" else RIGHTS, refusal.detail[:120])
        return
    await socket.accept()
    if not who.anywhere(Right.VIEW):
        await socket.close(RIGHTS, _WHY[RIGHTS])
        return
    hello = {"api": API, "server": parts.version, "journal": parts.marshal.writer.journal, "ping": PING}
    try:
        await socket.send_text(json.dumps({"hello": hello}))
        reader = await _subscribed(socket, parts, who)
        if reader is not None:
            await _Open(socket, parts, reader).run()
    except (WebSocketDisconnect, RuntimeError):  # the peer went away; a send after that is a RuntimeError
        pass


async def _subscribed(socket: WebSocket, parts: Parts, who: Access) -> Reader | None:
    """The reader that the first frame asks for; None: what it asks can't be, and the socket is closed."""
    try:
        async with asyncio.timeout(SUBSCRIBE):
            asked = json.loads(await socket.receive_text())["subscribe"]
        since, journal = asked.get("since"), asked.get("journal")
        if not (since is None or (isinstance(since, int) and since >= 0)) or asked.get("queue", "main") != "main":
            raise ValueError
    except (TimeoutError, ValueError, KeyError, TypeError, AttributeError):
        await socket.close(BAD, 'expected {"subscribe": {"queue": "main", "journal": ID or null, "since": N or null}}')
        return None
    hub = parts.hub
    if since is not None and (since > hub.head or (journal and journal != parts.marshal.writer.journal)):
        await socket.send_text(json.dumps({"resync": {"at": hub.head}}))
        since = hub.head
    return hub.open(who, since)


class _Open:
    """One open feed: a task that sends, one that receives, one that pings. The first to end ends all."""

    def __init__(self, socket: WebSocket, parts: Parts, reader: Reader) -> None:
        self.socket, self.parts, self.reader = socket, parts, reader
        self.lock = asyncio.Lock()
        self.at: int | None = None  # the message that the cursor rests on

    async def run(self) -> None:
        tasks = [asyncio.create_task(part()) for part in (self.send, self.receive, self.ping)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.parts.hub.close(self.reader)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        code = next((code for code in ended if isinstance(code, int)), 1000)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(1):
                await self.socket.close(code, _WHY.get(code, ""))

    async def put(self, text: str) -> bool:
        """Sends; False if the socket took nothing for too long."""
        async with self.lock:
            try:
                async with asyncio.timeout(SLOW):
                    await self.socket.send_text(text)
            except TimeoutError:
                return False
        return True

    async def send(self) -> int:
        hub = self.parts.hub
        if there := hub.presence.everybody(self.reader.access):
            await self.put(there)
        while True:
            for item in await hub.next(self.reader):
                text, close = (item, 0) if isinstance(item, str) else (item.text, item.close)
                if text and not await self.put(text):
                    return TOO_SLOW
                if close:
                    return close

    async def ping(self) -> int:
        number = 0
        while True:
            await asyncio.sleep(PING)
            number += 1
            if not await self.put(json.dumps({"ping": number})):
                return TOO_SLOW
            try:  # a session that ended by itself (idle, 12 hours) has no entry that says so
                await self.parts.hub.refresh(self.reader)
            except Refusal:
                return TOKEN

    async def receive(self) -> int:
        heard = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(3 * PING - (time.monotonic() - heard)):
                    frame = json.loads(await self.socket.receive_text())
                heard = time.monotonic()
                await self._take(frame)
            except TimeoutError:
                return TOO_SLOW
            except (ValueError, KeyError, TypeError, AttributeError):
                return BAD

    async def _take(self, frame: dict[str, Any]) -> None:
        if "pong" in frame:
            await self.parts.identity.renew(self.reader.access.session, float(frame.get("idle", 0)))
        elif "presence" in frame:
            at = frame["presence"]
            message = at.get("message")
            if message is not None and not isinstance(message, str):
                raise ValueError
            presence, pane = self.parts.hub.presence, str(at.get("pane", ""))
            looked = await presence.move(self.reader, message, pane, self._customer)
            if looked is not None and looked != self.at:
                with contextlib.suppress(Refusal):  # the session has just ended: the ping says so
                    await self.parts.marshal.do(Look(self.reader.access.session, looked))
            self.at = looked

    async def _customer(self, message: int) -> str | None:
        query = select(t.message.c.customer).where(t.message.c.id == message)
        found = await self.parts.marshal.database.read(lambda c: c.execute(query).scalar())
        return None if found is None else str(found)
