"""What a recipient sees who follows a link of a notice: a plain page with one button.

Programs follow links too (scanners, previews): so a GET or HEAD does nothing, and a POST only what the button sends.
Whether a token was never given out, is over, or was used: the answer is the same. No page shows anything of a mail.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from base64 import b64encode
from collections import OrderedDict
from html import escape

from fastapi import APIRouter, Request, Response

from rcqueue.server.identity.sessions import token_hash
from rcqueue.server.marshal.requests import Asks, Link, UseLink, find_link

from .deps import parts_of

router = APIRouter()

MINUTE = 60.0
OF_TOKEN, OF_ADDRESS = 20, 120  #: requests a minute
KNOWN = 10_000  #: tokens and addresses that are counted at a time
BODY = 1024  #: bytes; the button sends seven
PRESSED = b"ask=yes"

_STYLE = (
    "body{font:1rem/1.5 sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}"
    "button{font:inherit;padding:.5rem 1rem}"
)
_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}

_BUTTONS = {
    Asks.RELEASE: (
        "Ask for a mail",
        "A mail for you is on hold. Press the button to ask the mail admins to release it. They decide.",
        "Ask for it",
    ),
    Asks.STOP: ("No more notices", "Press the button to get no more notices about mail on hold.", "Stop the notices"),
}
_DONE = {
    Asks.RELEASE: ("Asked", "The mail admins see that you ask for this mail. There is nothing else to do."),
    Asks.STOP: ("Stopped", "You get no more notices. The mail admins can start them again."),
}
_OVER = ("Nothing to do", "This link was used already, or it is over. What you asked for before is not lost.")
_BUSY = ("One moment", "Too much at once. Please try again in a minute.")


class Limits:
    """How often somebody knocks: each key at most `most` times a minute, counted from its first time on."""

    def __init__(self) -> None:
        self._counted: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def exceeded(self, key: str, most: int, now: float) -> bool:
        began, times = self._counted.pop(key, (now, 0))
        if now - began >= MINUTE:
            began, times = now, 0
        self._counted[key] = (began, times + 1)
        if len(self._counted) > KNOWN:
            self._counted.popitem(last=False)
        return times >= most


@router.api_route("/r/{token}", methods=["GET", "HEAD"], include_in_schema=False)
async def look(request: Request, token: str) -> Response:
    if _exceeded(request, token):
        return _page(*_BUSY, status=429)
    link = await _link(request, token)
    return _page(*_BUTTONS[link.asks]) if link is not None else _page(*_OVER, status=404)


@router.post("/r/{token}", include_in_schema=False)
async def use(request: Request, token: str) -> Response:
    if _exceeded(request, token):
        return _page(*_BUSY, status=429)
    link = await _link(request, token)
    if link is None:
        return _page(*_OVER, status=404)
    if not await _pressed(request):
        return _page(*_BUTTONS[link.asks])
    parts = parts_of(request)
    used = await parts.marshal.do(UseLink(link, parts.customer_of(link.recipient)))
    return _page(*_DONE[link.asks]) if used else _page(*_OVER, status=404)


async def _link(request: Request, token: str) -> Link | None:
    marshal = parts_of(request).marshal
    return await marshal.database.read(find_link, token_hash(token), marshal.clock.now())


async def _pressed(request: Request) -> bool:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY:
            return False
    return body == PRESSED


def _exceeded(request: Request, token: str) -> bool:
    state = request.app.state
    if not hasattr(state, "limits"):
        state.limits = Limits()
    now, address = time.monotonic(), _network(request.client.host if request.client else "")
    over = [
        state.limits.exceeded(f"token {token_hash(token).hex()}", OF_TOKEN, now),
        state.limits.exceeded(f"address {address}", OF_ADDRESS, now),
    ]
    return any(over)


def _network(host: str) -> str:
    """An IPv6 client has a whole /64."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)


def _page(title: str, said: str, button: str = "", *, status: int = 200) -> Response:
    form = f'<form method="post"><button name="ask" value="yes">{escape(button)}</button></form>' if button else ""
    html = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1><p>{escape(said)}</p>{form}</body></html>\n"
    )
    more = {"Retry-After": "60"} if status == 429 else {}
    return Response(html, status, HEADERS | more, media_type="text/html")
