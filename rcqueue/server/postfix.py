"""Postfix's hold queue, through the helper that runs as root beside it (packaging/rcqueue-postfix-helper).

A message that was adopted from there has the origin "postfix:HOST/QUEUEID", and words after that: "shared" if the
original was of several customers' recipients, and so became several messages here; and once it waits there no longer
"released" or "dropped" by us, or "left" by nobody knows whom.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, NamedTuple

ORIGIN = "postfix:"
SHARED, RELEASED, DROPPED, LEFT = "shared", "released", "dropped", "left"
SECONDS = 90.0  #: longer than the helper gives Postfix's commands


class Away(Exception):
    """The helper did not do it; `asked`: it may have, but there is no answer."""

    def __init__(self, why: str, *, asked: bool = False) -> None:
        super().__init__(why)
        self.asked = asked


class Listed(NamedTuple):
    queue_id: str
    arrival: int  #: Unix seconds
    size: int  #: bytes


class Original(NamedTuple):
    """A held message as Postfix has it."""

    sender: str
    recipients: list[str]
    attributes: dict[str, str]
    content: bytes  #: lines end with LF


class Origin(NamedTuple):
    host: str
    queue_id: str
    words: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return " ".join([f"{ORIGIN}{self.host}/{self.queue_id}", *sorted(self.words)])

    def now(self, *words: str) -> Origin:
        return self._replace(words=self.words | set(words))

    @property
    def waits(self) -> bool:
        """Whether the original is in the hold queue, as far as we know."""
        return not self.words & {RELEASED, DROPPED, LEFT}


def origin(text: str) -> Origin | None:
    """The origin of a message that was adopted from a hold queue; None: it came another way."""
    if not text.startswith(ORIGIN):
        return None
    where, *words = text.removeprefix(ORIGIN).split(" ")
    host, _, queue_id = where.partition("/")
    return Origin(host, queue_id, frozenset(words))


class PostfixHelper:
    """Each call asks on a connection of its own. Raises Away."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def messages(self) -> tuple[str, list[Listed]]:
        """(the mail server's host name, what is in its hold queue)"""
        said, body = await self._ask("list")
        try:
            found = [json.loads(line) for line in body.splitlines()]
            listed = [Listed(str(m["queue_id"]), int(m["arrival_time"]), int(m["message_size"])) for m in found]
            return str(said["host"]), listed
        except (ValueError, KeyError, TypeError):
            raise Away("the helper's list can not be read") from None

    async def message(self, queue_id: str) -> Original | None:
        """A held message; None: it is not in the hold queue."""
        said, content = await self._ask("list", queue_id)
        if not said.get("held"):
            return None
        try:
            pairs = [(str(name), str(value)) for name, value in said["envelope"]]
        except (ValueError, KeyError, TypeError):
            raise Away("the helper's envelope can not be read") from None
        told = [value.partition("=") for name, value in pairs if name == "named_attribute"]
        return Original(
            next((value for name, value in pairs if name == "sender"), ""),
            [value for name, value in pairs if name == "recipient"],
            {name: value for name, _, value in told},
            content,
        )

    async def release(self, queue_id: str) -> bool:
        """Hands it over to Postfix, to all of its recipients; False: it is not in the hold queue."""
        return bool((await self._ask("release", queue_id))[0].get("held"))

    async def delete(self, queue_id: str) -> bool:
        return bool((await self._ask("delete", queue_id))[0].get("held"))

    async def _ask(self, verb: str, queue_id: str | None = None) -> tuple[dict[str, Any], bytes]:
        try:
            async with asyncio.timeout(SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._socket)
        except (OSError, TimeoutError) as error:
            raise Away(f"{self._socket}: {error.strerror or type(error).__name__}") from None
        asked = {"verb": verb} if queue_id is None else {"verb": verb, "queue_id": queue_id}
        try:
            async with asyncio.timeout(SECONDS):
                writer.write(json.dumps(asked).encode() + b"\n")
                head = await _line(reader)
                said = json.loads(head)
                body = await reader.readexactly(int(said.get("size", 0)))
        except (OSError, TimeoutError, EOFError, ValueError, AttributeError) as error:
            raise Away(f"{self._socket}: the answer was lost ({type(error).__name__})", asked=True) from None
        finally:
            writer.close()
        if not said.get("ok"):
            raise Away(f"{self._socket}: {str(said.get('error'))[:500]}")
        return said, body


async def _line(reader: asyncio.StreamReader) -> bytes:
    """A line of any length: an envelope may have 32,000 recipients."""
    line = bytearray()
    while not line.endswith(b"\n"):
        try:
            line += await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as more:
            line += await reader.readexactly(more.consumed)
    return bytes(line)
