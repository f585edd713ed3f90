"""A process that serves is set so that nobody waits for the interpreter."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rcqueue.demo import command as demo
from rcqueue.server import command as server
from rcqueue.server import interpreter
from rcqueue.server.config import Config

CHECK = """
import gc, sys
from rcqueue.server.asgi import Server
from rcqueue.server.interpreter import set_to_serve
set_to_serve()
print(gc.get_freeze_count() > 20 * len(gc.get_objects()), sys.getswitchinterval())
"""


def test_what_is_there_is_not_looked_through_again():
    said = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", "0.0005"]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """To be set to serve ends what serves, and is noted: it is of a process, and this one is pytest's."""
    noted: list[str] = []

    def set_to_serve() -> None:
        noted.append("set")
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(interpreter, "set_to_serve", set_to_serve)
    monkeypatch.setattr(server, "set_to_serve", set_to_serve)
    return noted


async def test_serve_sets_its_process(tmp_path: Path, ends: list[str]):
    listens = {"listen": "127.0.0.1:0"}
    config = Config(data_dir=tmp_path, http=listens, smtp=listens, next_hop={"default": "127.0.0.1:9"})
    async with asyncio.timeout(60):
        await server._serve(config, tell=False)
    assert ends == ["set"]


async def test_the_demo_sets_its_process(tmp_path: Path, ends: list[str]):
    args = argparse.Namespace(mails=1, rate=1.0, colleagues=0, http=None, smtp=None, data_dir=tmp_path / "demo")
    args.until_stdin_ends = False
    async with asyncio.timeout(60):
        assert await demo._serve(args) == 0
    assert ends == ["set"]
