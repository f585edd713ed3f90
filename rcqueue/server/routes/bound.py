"""How long a request may be. More is refused before it is in memory: whoever asks, signed in or not."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rcqueue.model.rules import LARGEST

BODY = 4 << 20  #: bytes; 100,000 ids are 2 MB
RULES = 2 * LARGEST  #: where the body has a file of a scanner's rules in it
#: Where the body is a message, or has one in it.
MESSAGES = frozenset({"/acpi", *(f"/api/v1/{path}" for path in ("import", "rspamd", "scan", "policy/test"))})


class Bound:
    """Around the application. `message` is how many bytes a request of MESSAGES has at most; one of rules has
    RULES, others have BODY."""

    def __init__(self, app: ASGIApp, message: int) -> None:
        self._app = app
        self._most = {**dict.fromkeys(MESSAGES, message), "/api/v1/rules": RULES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most.get(scope["path"], BODY)
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        over, read = int(declared) > most, 0

        async def bounded() -> Message:
            nonlocal over, read
            if not over:
                message = await receive()
                read += len(message.get("body", b""))
                over = read > most
            if over:
                raise HTTPException(413, f"the request: at most {most} bytes were expected")
            return message

        await self._app(scope, bounded, send)
