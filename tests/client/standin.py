"""A small server that keeps the contract of HTTP and feed, on a real port, and breaks it where a test says so.

It knows no store and no rights: it is for what a server that works does not do (answers that are lost, holes in the
feed, hostile text). What the client does with the real server is tested with the real server.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.websockets import WebSocketDisconnect

from rcqueue.demo.ports import bind

TOKEN = "a-token-of-anna"
PASSWORD = "secret"
TIME = "2026-11-24T10:00:00.000Z"
WHOAMI = {
    "name": "anna",
    "session": "s1",
    "roles": [{"role": "operator", "customer": "all"}],
    "rights": ["view", "claim", "release"],
    "classes": ["envelope", "subject"],
    "customers": ["all"],
    "api": 1,
    "server": "9.9",
    "journal": "J1",
}
RAW = b"From: a@b.example\r\nSubject: \xff\x00\x1b[31m\r\n\r\nbody\rbare\n"


class Json(JSONResponse):
    """In ASCII, so that a lone surrogate can be sent too."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode()


def mail_id(number: int) -> str:
    return f"{number:013d}"


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": mail_id(number),
        "timestamp": TIME,
        "status": "ONHOLD",
        "expiry": "2026-12-08T10:00:00.000Z",
        "fromDomain": "gmail.com",
        "fromEmail": f"sender{number}@gmail.com",
        "sender": f"sender{number}@gmail.com",
        "toEmail": "sales@example.org",
        "matching": 1,
        "recipients": 1,
        "requested": 0,
        "subject": f"Subject {number}",
        "score": 7.5,
        "verdict": "SPAM",
        "size": 2048,
        "rules": ["BAYES_99"],
        "customer": "all",
        "queue": "main",
        "version": number,
    } | changes


def problem(kind: str, status: int, detail: str, **extra: Any) -> Response:
    body = {"type": f"urn:rcqueue:{kind}", "title": kind, "status": status, "detail": detail, **extra}
    return Json(body, status, media_type="application/problem+json")


class StandIn:
    """`answers` maps "METHOD /path" to what that call answers: JSON, a Response, or a function of the request."""

    def __init__(self) -> None:
        sock = bind()
        self.port = sock.getsockname()[1]
        sock.close()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.reset()

    def reset(self) -> None:
        """As new, for the next test; it goes on running."""
        self.rows = [row(n) for n in range(1, 6)]
        self.journal = "J1"
        self.entries: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.done: dict[str, Any] = {}  #: answers by Idempotency-Key
        self.written: list[str] = []  #: each write that was done, once
        # -- the feed
        self.ping = 10
        self.hello: dict[str, Any] = {}
        self.mute = False  #: no pings, no entries
        self.refuse = 0  #: HTTP status that the upgrade is answered with
        self.kick = 0  #: close code for the next chance
        self.why = ""  #: the reason given with it
        self.mangle: Callable[[dict[str, Any]], list[dict[str, Any]]] = lambda frame: [frame]
        self.said: list[dict[str, Any]] = []  #: frames of clients

    # -- running

    def start(self, **options: Any) -> None:
        config = uvicorn.Config(self._app(), log_config=None, lifespan="off", timeout_graceful_shutdown=1, **options)
        server = uvicorn.Server(config)
        sock = bind(port=self.port)
        self._server = server
        self._thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
        self._thread.start()
        while not server.started:
            self._thread.join(0.005)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(10)
            self._server = None

    def append(self, count: int = 1, **changes: Any) -> None:
        for _ in range(count):
            seq = len(self.entries) + 1
            entry = {
                "seq": seq,
                "at": TIME,
                "kind": "mail.hold",
                "message": mail_id(seq),
                "mails": [],
                "actor": "system",
            }
            self.entries.append(entry | {"row": row(seq)} | changes)

    def calls(self, method: str, path: str) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, body) for m, p, headers, body in self.requests if (m, p.partition("?")[0]) == (method, path)]

    # -- HTTP

    def _app(self) -> FastAPI:
        app = FastAPI()
        app.websocket("/api/v1/feed")(self._feed)
        app.api_route("/{path:path}", methods=["GET", "POST"])(self._http)
        return app

    async def _http(self, request: Request) -> Response:
        body = await request.body()
        path = request.url.path
        query = f"?{request.url.query}" if request.url.query else ""
        self.requests.append((request.method, path + query, dict(request.headers), body))
        if path == "/api/v1/login":
            return self._login(json.loads(body))
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem("unauthorized", 401, "the token is not known")
        key = request.headers.get("idempotency-key")
        if request.method == "POST" and path != "/api/v1/logout" and not key:
            return problem("idempotency-key", 400, "an Idempotency-Key is needed")
        if key in self.done:
            return Json(self.done[key])
        answer = self.answers.get(f"{request.method} {path}", self._usual)
        if callable(answer) and not isinstance(answer, Response):
            answer = answer(request, body)
        if isinstance(answer, Response):
            return answer
        if key:
            self.done[key] = answer
            self.written.append(path)
        return Json(answer)

    def _login(self, body: dict[str, str]) -> Response:
        if body["password"] != PASSWORD:
            return problem("unauthorized", 401, "the name or the password is wrong")
        return Json({"token": TOKEN, "ends": TIME, "whoami": WHOAMI | {"name": body["name"]}})

    def _usual(self, request: Request, body: bytes) -> Any:
        path = request.url.path.removeprefix("/api/v1")
        params = request.query_params
        if path == "/logout":
            return Response(status_code=204)
        if path == "/whoami":
            return WHOAMI
        if path == "/health":
            return {"now": TIME, "server": "0.1.0", "started": TIME, "status": {"ONHOLD": 5}}
        if path == "/counts":
            return {"seq": 9, "status": {"ONHOLD": 5}, "verdict": {"SPAM": 5}}
        if path == "/mails":
            start = int(params.get("after") or 0)
            stop = start + int(params["limit"])
            more = str(stop) if stop < len(self.rows) else None
            return {"seq": 9, "rows": self.rows[start:stop], "next": more}
        if path == "/mails/rows":
            ids = params["ids"].split(",")
            return {"seq": 9, "rows": [one for one in self.rows if one["id"] in ids]}
        if path == "/acpi":
            lines = [json.dumps({"timestamp": 1665516666.609, "subject": one["subject"]}) for one in self.rows]
            return StreamingResponse(iter(line + "\n" for line in lines), media_type="application/x-ndjson")
        if path == "/import":
            return {"ids": [hashlib.sha256(body).hexdigest()[:13].upper()]}
        found = path.removeprefix("/mails/").split("/")
        known = next((one for one in self.rows if one["id"] == found[0][:13]), None)
        if path.startswith("/mails/") and known is not None:
            return self._mail(known, *found)
        return problem("not-found", 404, "there is no such mail" if path.startswith("/mails/") else "no such thing")

    def _mail(self, known: dict[str, Any], id: str, last: str = "") -> Any:
        line = {"id": known["id"] + "000", "toEmail": known["toEmail"], "status": known["status"], "version": 1}
        parts = {
            "": {"row": known},
            "envelope": {"id": id, "sender": known["sender"], "mails": [line]},
            "headers": {"id": id, "fields": [{"name": "From", "value": "a"}], "withheld": 2},
            "text": {"id": id, "text": "one\n\ttwo\x1b[31m\n"},
            "raw": Response(RAW, media_type="application/octet-stream"),
        }
        if last in parts:
            return parts[last]
        result = {"id": known["id"] + "000", "result": "done", "status": "ONHOLD", "version": 10}
        return {"seq": 10, "done": 1, "results": [result]}

    # -- the feed

    async def _feed(self, socket: WebSocket) -> None:
        if self.refuse:
            await socket.send_denial_response(Response(status_code=self.refuse))
            return
        await socket.accept()
        if socket.headers.get("authorization") != f"Bearer {TOKEN}":
            await socket.close(4401, "the token is not known")
            return
        try:
            hello = {"api": 1, "server": "9.9", "journal": self.journal, "ping": self.ping} | self.hello
            await socket.send_text(json.dumps({"hello": hello}))
            asked = json.loads(await socket.receive_text())
            self.said.append(asked)
            hearing = asyncio.create_task(self._hear(socket))
            try:
                await self._tell(socket, asked["subscribe"], hearing)
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)
        except (WebSocketDisconnect, RuntimeError):
            pass

    async def _hear(self, socket: WebSocket) -> None:
        while True:
            self.said.append(json.loads(await socket.receive_text()))

    async def _tell(self, socket: WebSocket, asked: dict[str, Any], hearing: asyncio.Task[None]) -> None:
        sent = asked["since"]
        head = len(self.entries)
        if asked["journal"] not in (None, self.journal):
            await socket.send_text(json.dumps({"resync": {"at": head}}))
            sent = head
        elif sent is None:
            await socket.send_text(json.dumps({"from": head + 1, "to": head, "entries": []}))
            sent = head
        pings, beats = 0, 0
        while not hearing.done() and self._server is not None and not self._server.should_exit:
            if self.kick:
                code, self.kick = self.kick, 0
                await socket.close(code, self.why)
                return
            head = len(self.entries)
            if head > sent and not self.mute:
                frame = {"from": sent + 1, "to": head, "entries": self.entries[sent:head]}
                sent = head
                for shown in self.mangle(frame):
                    await socket.send_text(json.dumps(shown))
            beats += 1
            if beats * 0.005 >= self.ping * (pings + 1) and not self.mute:
                pings += 1
                await socket.send_text(json.dumps({"ping": pings}))
            await asyncio.sleep(0.005)


def free_port() -> int:
    with bind() as sock:
        port: int = sock.getsockname()[1]
        return port


def refuses() -> str:
    """The URL of a port where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"
