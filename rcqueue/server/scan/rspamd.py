"""rspamd: /checkv2 of a worker for scanning, /learnspam and /learnham of its controller for learning, over HTTP."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable
from typing import Any, TypeVar

import httpx

from rcqueue.model.mail import RuleHit
from rcqueue.model.scan import ScanResult
from rcqueue.server.config import ScannerAt

from .base import Adapter, Learn, NotLearned, ScanEnvelope, Trouble, spam_kind
from .pool import Crowded

T = TypeVar("T")

#: What it does to a mail that it takes for spam; greylisting and its like are no verdict.
_SPAM = ("reject", "discard", "add header", "rewrite subject", "quarantine")
_KNOWN = (*_SPAM, "no action", "greylist", "soft reject")
_LONGEST_ANSWER = 4 << 20
_ALREADY = 208


class Rspamd(Adapter):
    def __init__(self, at: ScannerAt) -> None:
        super().__init__(at)
        self.can_learn = at.controller is not None
        limits = httpx.Limits(max_connections=at.pool, max_keepalive_connections=at.pool)
        timeout = httpx.Timeout(self.seconds)
        self._http = httpx.AsyncClient(base_url=f"http://{at.address}", limits=limits, timeout=timeout, trust_env=False)

    async def _scan(self, raw: bytes, envelope: ScanEnvelope) -> ScanResult:
        fields = [("From", envelope.sender), ("IP", envelope.client), ("Helo", envelope.helo)]
        fields += [("Queue-Id", envelope.queue_id), *(("Rcpt", to) for to in envelope.recipients)]
        status, body = await self._post("/checkv2", raw, fields)
        if status == 404:
            raise Trouble("it is too old, or none of rspamd: it has no /checkv2")
        if status != 200:
            raise Trouble(f"it answers with status {status}")
        said = json.loads(body)
        action = said["action"]
        if action not in _KNOWN:
            raise ValueError
        rules = [_rule(name, symbol) for name, symbol in said["symbols"].items()]
        rules.sort(key=lambda rule: -abs(rule.points or 0))
        score = _number(said["score"])
        required: float | None = _number(said["required_score"])
        if action not in ("reject", "discard") and action in _SPAM:
            # It calls it spam from another score on, which only newer ones tell.
            tagging = (said.get("thresholds") or {}).get(action)
            required = None if tagging is None else _number(tagging)
        result = self.result(spam_kind(rules) if action in _SPAM else None, reason=action)
        result.score, result.required = score, required
        result.rules = rules
        return result

    async def _probe(self) -> None:
        async with asyncio.timeout(self.seconds):
            answer = await _asked(self._http.get("/ping"))
        if answer.text.strip() != "pong":
            raise ValueError
        self.version = answer.headers.get("server", "").removeprefix("rspamd/")[:100] or self.version

    async def _learn(self, raw: bytes, as_: Learn) -> str:
        if self.at.controller is None:
            raise NotLearned("no controller is configured")
        fields = []
        if self.at.password_file is not None:
            fields.append(("Password", (await asyncio.to_thread(self.at.password_file.read_text)).strip()))
        status, _ = await self._post(f"http://{self.at.controller}/learn{as_}", raw, fields)
        if status == 200:
            return f"learned as {as_}"
        if status == _ALREADY:
            return f"known as {as_} already"
        if status in (401, 403):
            raise NotLearned("its controller refuses the password of password_file")
        raise (Trouble if status >= 500 else NotLearned)(f"its controller answers with status {status}")

    async def _post(self, url: str, raw: bytes, fields: list[tuple[str, str]]) -> tuple[int, bytes]:
        # From the envelope: what would end a header field, or is none, is left out rather than refused.
        headers = [
            (name.encode(), value.encode("utf-8", "replace")) for name, value in fields if value and value.isprintable()
        ]

        async def ask() -> tuple[int, bytes]:
            chunks, size = [], 0
            async with self._http.stream("POST", url, content=raw, headers=headers) as answer:
                async for chunk in answer.aiter_bytes():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > _LONGEST_ANSWER:
                        raise ValueError
            return answer.status_code, b"".join(chunks)

        async with asyncio.timeout(2 * self.seconds):  # httpx's own are for each read, and for a free connection
            return await _asked(ask())

    async def close(self) -> None:
        await super().close()
        await self._http.aclose()


async def _asked(call: Awaitable[T]) -> T:
    """What httpx makes of a broken connection, as everywhere else here."""
    try:
        return await call
    except httpx.PoolTimeout:
        raise Crowded from None
    except httpx.TimeoutException:
        raise TimeoutError from None
    except httpx.ConnectError as error:
        cause: BaseException | None = error
        while cause is not None and not (isinstance(cause, OSError) and cause.errno):
            cause = cause.__cause__ or cause.__context__
        raise (cause or OSError()) from None
    except httpx.RemoteProtocolError as error:
        raise (EOFError() if "disconnected" in str(error) or "closed" in str(error) else ValueError()) from None
    except httpx.HTTPError:
        raise EOFError from None


def _fits(value: str) -> bool:
    return bool(value) and value.isprintable()


def _rule(name: str, symbol: Any) -> RuleHit:
    return RuleHit(name=name[:80], points=_number(symbol["score"]), description=symbol.get("description") or None)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)
