"""Problems on the wire: RFC 9457, `type` is `urn:rcqueue:KIND` and stable."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from rcqueue.model.query import QueryError, QueryForbidden
from rcqueue.server.marshal import Refusal
from rcqueue.server.store.writer import Stopped

STATUS = {
    "unauthorized": 401,
    "forbidden": 403,
    "not-found": 404,
    "query": 400,
    "bad-request": 400,
    "idempotency-key": 400,
    "changed": 409,
    "claimed": 409,
    "lost": 409,
    "status": 409,
    "expect": 409,
    "gone": 410,
    "too-large": 413,
    "unavailable": 503,
}


class _Problem(Response):
    media_type = "application/problem+json"


def problem(kind: str, detail: str, status: int | None = None, **extra: Any) -> Response:
    status = status or STATUS[kind]
    body = {"type": f"urn:rcqueue:{kind}", "title": kind.replace("-", " "), "status": status, "detail": detail} | extra
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return _Problem(json.dumps(body, ensure_ascii=False), status, headers)


def refusal(error: Refusal) -> Response:
    extra = dict(error.extra)
    return problem(error.kind, error.detail, extra.pop("status", None), **extra)


def install(app: FastAPI) -> None:
    """Every error of this server becomes a problem; none shows a traceback."""

    @app.exception_handler(Refusal)
    async def _refused(_request: Request, error: Refusal) -> Response:
        return refusal(error)

    @app.exception_handler(QueryError)
    async def _query(_request: Request, error: QueryError) -> Response:
        return problem("query", str(error), term=error.term, place=error.place, expected=error.expected)

    @app.exception_handler(QueryForbidden)
    async def _forbidden(_request: Request, error: QueryForbidden) -> Response:
        return problem("forbidden", str(error), None, **{"class": error.data_class.value, "term": error.term})

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(p) for p in first["loc"] if p not in ("body", "query", "path"))
        return problem("bad-request", f"{place or 'the body'}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        kind = {401: "unauthorized", 403: "forbidden", 404: "not-found", 413: "too-large"}.get(
            error.status_code, "bad-request"
        )
        return problem(kind, str(error.detail), error.status_code)

    @app.exception_handler(Stopped)
    async def _stopped(_request: Request, error: Stopped) -> Response:
        return problem("unavailable", str(error))

    @app.exception_handler(Exception)
    async def _failed(_request: Request, error: Exception) -> Response:
        return problem("unavailable", f"the server failed ({type(error).__name__}); its log says more", 500)
