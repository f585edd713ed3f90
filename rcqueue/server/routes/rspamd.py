"""What rspamd's metadata_exporter posts. It can say a user and a password, but no bearer token: the password is one."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from fastapi import APIRouter, Request

from rcqueue.server.marshal import Refusal

from .deps import parts_of, token_of

router = APIRouter(tags=["import"])


@router.post("/rspamd")
async def take(request: Request) -> dict[str, Any]:
    """Holds the message in the body, which rspamd rejected; one that it passed is noted. Needs the right `hold`.

    No Idempotency-Key: rspamd sends none, and posts each message once.
    """
    parts = parts_of(request)
    who = await parts.identity.who(_token(request))
    # Names in lower case; values in UTF-8, as rspamd writes them.
    fields = {name.decode("latin-1"): value.decode("utf-8", "replace") for name, value in request.scope["headers"]}
    return {"ids": await parts.exporter.take(who, await _body(request, parts.exporter.size_limit), fields)}


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Refusal("bad-request", f"a message of at most {most} bytes was expected", status=413)
    return bytes(body)


def _token(request: Request) -> str:
    scheme, _, said = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return token_of(request)
    try:
        _, colon, password = base64.b64decode(said, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = password = ""
    if not colon or not password:
        raise Refusal("unauthorized", "a token as the password, or as a bearer token, was expected")
    return password
