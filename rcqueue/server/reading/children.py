"""Whole messages are read in child processes, long-lived and confined: what a hostile message does to its reader, it
does there. A child that takes too long, dies or answers nonsense is killed and replaced; its message is degraded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import struct
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from rcqueue.server.reading.child import OUT_OF_MEMORY
from rcqueue.server.reading.deep import Deep

log = logging.getLogger(__name__)

_COMMAND = (sys.executable, "-P", "-m", "rcqueue.server.reading.child")
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_LONGEST_ANSWER = 32 * 1024 * 1024  #: bytes: 1 MB of text is at most 6 MB of JSON, and as much again of fields
_START_SECONDS = 20.0


class Garbage(Exception):
    """A child answered what is no answer."""


class Readers:
    """A pool of children, started when they are first needed.

    `seconds` is the wall time for one message. `command` starts a child; the tests have unruly ones.
    """

    def __init__(self, count: int = 2, seconds: float = 2.0, command: Sequence[str] = _COMMAND) -> None:
        self._seconds = seconds
        self._command = command
        self._children: set[_Child] = set()
        self._idle: list[_Child] = []
        self._free = asyncio.Semaphore(count)
        self._closed = False
        self._told = False

    @property
    def pids(self) -> list[int]:
        """The processes that there are now."""
        return [child.pid for child in self._children]

    async def read(self, raw: bytes) -> Deep:
        """Read a message. Whatever it does to its reader, the answer is a `Deep`, if need be a degraded one."""
        async with self._free:
            if self._closed:
                return Deep(degraded="the readers are closed")
            try:
                child = self._waiting() or await self._start()
            except (OSError, EOFError, Garbage, TimeoutError, ValueError) as error:
                log.error("no reader could be started: %s", error)
                return Deep(degraded="no reader could be started")
            answered = False
            try:
                async with asyncio.timeout(self._seconds):
                    deep = Deep.model_validate_json(await child.ask(raw))
                answered = True
                return deep
            except TimeoutError:
                return Deep(degraded=f"the reader took over {self._seconds:g} s")
            except (Garbage, ValidationError):
                return Deep(degraded="the reader answered nonsense")
            except (OSError, EOFError):
                status = await child.ended()
                if status == OUT_OF_MEMORY:
                    return Deep(degraded="the reader ran out of memory")
                return Deep(degraded=f"the reader died (status {status})")
            finally:
                if answered and not self._closed:
                    self._idle.append(child)
                else:
                    self._children.discard(child)
                    child.kill()

    async def close(self) -> None:
        """Kill the children; reads that are under way answer degraded."""
        self._closed = True
        children = list(self._children)
        self._children.clear()
        self._idle.clear()
        for child in children:
            child.kill()
        await asyncio.gather(*(child.ended() for child in children))

    def _waiting(self) -> _Child | None:
        """An idle child, if one lives: the system may have killed it meanwhile."""
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            self._children.discard(child)
        return None

    async def _start(self) -> _Child:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # a traceback may quote the mail
            env=environment,
            cwd="/",
        )
        child = _Child(process)
        self._children.add(child)
        ready = False
        try:
            async with asyncio.timeout(_START_SECONDS):
                greeting = json.loads(await child.answer())
            ready = isinstance(greeting, dict) and greeting.get("ready") is True and not self._closed
        finally:
            if not ready:
                self._children.discard(child)
                child.kill()
        if not ready:
            raise Garbage("it did not say that it is ready")
        if greeting.get("network") and not self._told:
            self._told = True
            log.warning("the readers could not leave the network; they can open no socket all the same")
        return child


class _Child:
    """A process that reads one message at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process, self._in, self._out = process, process.stdin, process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, raw: bytes) -> bytes:
        self._in.write(struct.pack(">I", len(raw)))
        self._in.write(raw)
        await self._in.drain()
        return await self.answer()

    async def answer(self) -> bytes:
        """The next frame. EOFError when the child is gone (as IncompleteReadError is one)."""
        (length,) = struct.unpack(">I", await self._out.readexactly(4))
        if length > _LONGEST_ANSWER:
            raise Garbage(f"an answer of {length} bytes")
        return await self._out.readexactly(length)

    def kill(self) -> None:
        self._in.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> int:
        """The exit status, negative for a signal. Kills a child that has closed its output and lives on."""
        try:
            async with asyncio.timeout(1):
                return await self._process.wait()
        except TimeoutError:
            self.kill()
            return await self._process.wait()
