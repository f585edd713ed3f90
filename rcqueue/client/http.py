"""One HTTP connection to one server: problems, lost answers, and nothing that needs pydantic.

`rcqueue acpi` uses this alone, so that it starts fast; `api.Api` adds the calls and their models.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from rcqueue.safe_text import safe_text

from .safe import BadJson, decode, safe_json
from .session import SessionError, check_server, is_loopback

_TIMEOUT = httpx.Timeout(30, connect=10, read=60, pool=None)
_PAUSES = (0.2, 0.5, 1.0, 2.0)  #: seconds between tries after a lost answer
_PROBLEM_LIMIT = 64 * 1024

#: What can happen to a request that may have reached the server.
_LOST = (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.WriteError, httpx.WriteTimeout)

Params = Mapping[str, str | int | Sequence[str] | None]


class ApiProblem(Exception):
    """The server's own words (RFC 9457), made safe to show.

    `type` is the last word of the problem's type (`claimed`, `query` ...), `unexpected` for an answer that is not of
    the protocol; `extra` has the extension members.
    """

    def __init__(self, type: str, status: int, title: str, detail: str = "", extra: dict[str, Any] | None = None):
        super().__init__(detail or title)
        self.type = type
        self.status = status
        self.title = title
        self.detail = detail
        self.extra = extra or {}


class Unreachable(Exception):
    """No answer from the server. `lost`: a request may have reached it, so what it asked for may have been done;
    the same call with the same `key` finds out, and does nothing twice."""

    def __init__(self, server: str, why: str, *, lost: bool = False, key: str | None = None):
        after = "; it may have been done: look before doing it again" if lost else ""
        super().__init__(f"{server} can't be reached: {why}{after}")
        self.server = server
        self.why = why
        self.lost = lost
        self.key = key


def trust(server: str, ca: str | None) -> ssl.SSLContext | None:
    """What decides whom to trust: the system's certificates, or those in the file `ca`; None for plain http.

    Raises SessionError.
    """
    if server.startswith("http://"):
        return None
    try:
        return ssl.create_default_context(cafile=ca or None)
    except OSError as error:
        raise SessionError(f"{ca}: expected a file of certificates (PEM): {error.strerror or error}") from None


class Http:
    """`token` goes into the header of each request. Not used: proxies of the environment, cookies, redirects.

    Raises SessionError for an address that a token must not be sent to.
    """

    def __init__(
        self,
        server: str,
        token: str | None,
        *,
        ca: str | None = None,
        proxy: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.server = check_server(server)
        self.token = token
        local = is_loopback(urlsplit(self.server).hostname or "")
        self._client = httpx.AsyncClient(
            verify=trust(self.server, ca) or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            proxy=None if local else proxy or None,
            transport=transport,
            timeout=_TIMEOUT,
            trust_env=False,
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    # -- reading and writing

    async def get(self, path: str, params: Params | None = None, *, body: bool = False) -> Any:
        """The JSON at `path`; asked again when the answer is lost. `body`: its `text` keeps its lines."""
        return self._decoded(await self._persist("GET", path, params=_plain(params)), path, body)

    async def post(
        self,
        path: str,
        data: Any = None,
        *,
        params: Params | None = None,
        content: bytes | None = None,
        key: str | None = None,
    ) -> Any:
        """A writing call: JSON `data`, or the bytes `content`. Sent again under the same key when the answer is lost,
        so that it is done once. `key` is generated unless given."""
        key = key or secrets.token_urlsafe(18)
        headers = {"Idempotency-Key": key}
        if content is None:
            content = b"" if data is None else json.dumps(data).encode()
            headers["Content-Type"] = "application/json"
        else:
            headers["Content-Type"] = "application/octet-stream"
        answer = await self._persist("POST", path, params=_plain(params), headers=headers, content=content)
        return self._decoded(answer, path)

    async def post_once(self, path: str, data: Any = None) -> Any:
        """A call without a key (login, logout): never sent twice."""
        try:
            answer = await self._client.request("POST", self._url(path), json=data, headers=self._headers())
        except httpx.HTTPError as error:
            raise Unreachable(self.server, _why(error)) from None
        return self._decoded(answer, path)

    # -- streams

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        """The bytes at `path` as they are."""
        async with self._open("GET", path) as answer:
            async for chunk in answer.aiter_bytes():
                yield chunk

    async def acpi(self, request: dict[str, Any], *, key: str | None = None) -> AsyncIterator[str]:
        """One request in the rc_acpi.sh form; the lines of its answer, one object each and fit to be shown.

        Sent again under the same key when the answer is lost before its first line. An object with "code":"ERROR" is
        a line like others, whatever the status of the answer.
        """
        key = key or secrets.token_urlsafe(18)
        for pause in (*_PAUSES, None):
            begun = False
            try:
                async for line in self._acpi(request, key):
                    begun = True
                    yield line
                return
            except Unreachable as error:
                if begun or not error.lost or pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _acpi(self, request: dict[str, Any], key: str) -> AsyncIterator[str]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        content = json.dumps(request).encode()
        async with self._open("POST", "/acpi", headers=headers, content=content) as answer:
            # Not aiter_lines: it also cuts at U+2028 and U+0085, which JSON allows inside a text.
            rest = b""
            async for chunk in answer.aiter_bytes():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    if line.strip():
                        yield safe_json(line.decode("utf-8", "replace").strip())
            if rest.strip():
                yield safe_json(rest.decode("utf-8", "replace").strip())

    @asynccontextmanager
    async def _open(self, method: str, path: str, **more: Any) -> AsyncIterator[httpx.Response]:
        headers = self._headers() | more.pop("headers", {})
        try:
            async with self._client.stream(method, self._url(path), headers=headers, **more) as answer:
                if not answer.is_success:
                    await answer.aread()
                    if not answer.content.lstrip().startswith(b'{"code"'):
                        raise _problem(answer)
                yield answer
        except httpx.HTTPError as error:
            raise Unreachable(self.server, _why(error), lost=isinstance(error, _LOST) and method != "GET") from None

    # -- within

    async def _persist(self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> Any:
        """The answer, also when the first ones are lost. A server that was never reached is not tried again."""
        headers = headers or {}
        lost = False
        for pause in (*_PAUSES, None):
            try:
                return await self._client.request(method, self._url(path), headers=self._headers() | headers, **more)
            except httpx.HTTPError as error:
                lost = lost or isinstance(error, _LOST)
                if pause is None or not lost:
                    wrote = lost and method != "GET"
                    key = headers.get("Idempotency-Key")
                    raise Unreachable(self.server, _why(error), lost=wrote, key=key) from None
            await asyncio.sleep(pause)
        raise AssertionError

    def _url(self, path: str) -> str:
        return self.server + path

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _decoded(self, answer: httpx.Response, path: str, body: bool = False) -> Any:
        if not answer.is_success:
            raise _problem(answer)
        if not answer.content:
            return None
        try:
            return decode(answer.content, body=body)
        except BadJson as error:
            raise unexpected(f"the answer to {path} is not JSON: {error}", answer.status_code) from None


def unexpected(detail: str, status: int = 0) -> ApiProblem:
    return ApiProblem("unexpected", status, "an answer that is not of this protocol", safe_text(detail, limit=500))


def _problem(answer: httpx.Response) -> ApiProblem:
    """The problem that an answer states; one that states none (a proxy's page) is `unexpected`."""
    found: Any = None
    if "json" in answer.headers.get("content-type", "") and len(answer.content) <= _PROBLEM_LIMIT:
        try:
            found = decode(answer.content)
        except BadJson:
            found = None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        return unexpected(f"the server answered {answer.status_code} without a reason", answer.status_code)
    extra = {name: value for name, value in found.items() if name not in ("type", "title", "status", "detail")}
    # The model has an `extra` of its own; on the wire RFC 9457 puts extension members beside the others.
    if isinstance(extra.get("extra"), dict):
        extra |= extra.pop("extra")
    kind = found["type"].rpartition(":")[2]
    return ApiProblem(kind, answer.status_code, str(found.get("title") or kind), str(found.get("detail") or ""), extra)


def _plain(params: Params | None) -> dict[str, str | int | list[str]]:
    """Without those that are None."""
    plain: dict[str, str | int | list[str]] = {}
    for name, value in (params or {}).items():
        if value is not None:
            plain[name] = value if isinstance(value, str | int) else list(value)
    return plain


def _why(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "no answer within 10 s"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    deepest: BaseException = error
    while deepest.__cause__ or deepest.__context__:
        deepest = deepest.__cause__ or deepest.__context__ or deepest
    if isinstance(deepest, OSError) and deepest.errno:
        return os_error(deepest)
    return safe_text(str(error), limit=200) or type(error).__name__


def os_error(error: OSError) -> str:
    """What the system says of a connection, without the addresses that asyncio adds."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLCertVerificationError):
        return safe_text(f"its certificate is not trusted: {error.verify_message}", limit=200)
    if isinstance(error, ssl.SSLError):
        return safe_text(f"TLS: {error.reason or error}", limit=200)
    text = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    return safe_text(text, limit=200)
