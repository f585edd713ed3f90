"""`rcqueue demo`: a server in a child process, a terminal on it in this one. `--serve-only`: the server alone."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

from rcqueue.demo.folder import demo_folder
from rcqueue.safe_text import safe_text

FAILED, USAGE = 1, 2


def demo_command(args: argparse.Namespace) -> int:
    """Runs the demo; its exit status."""
    if args.serve_only:
        return _served(args)
    from rcqueue.terminal.check import refusal

    if why := refusal(os.environ, sys.stdin, sys.stdout):
        print(f"rcqueue demo: {why}", file=sys.stderr)
        return USAGE
    return _with_terminal(args)


# -- the server's side


def _served(args: argparse.Namespace) -> int:
    import uvloop  # as `rcqueue serve` does; the terminal's side does without the server half

    return uvloop.run(_serve(args))


async def _serve(args: argparse.Namespace) -> int:
    """Serves until SIGTERM, SIGINT or SIGHUP, or until the terminal that started it is gone."""
    import logging

    from rcqueue.demo.serve import Demo, Options
    from rcqueue.server.config import ConfigMistake
    from rcqueue.server.interpreter import set_to_serve
    from rcqueue.server.store.database import InUse
    from rcqueue.server.store.writer import Refused

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, over.set)
    if getattr(args, "until_stdin_ends", False):
        loop.add_reader(sys.stdin.fileno(), over.set)
    options = Options(args.mails, args.rate, args.colleagues, args.http, args.smtp)
    with demo_folder(args.data_dir) as folder:
        try:
            async with Demo(folder, options) as demo:
                set_to_serve()
                print(demo.ready_line(), flush=True)
                await over.wait()
        except ConfigMistake as error:
            print(f"rcqueue demo: {error}", file=sys.stderr)
            return USAGE
        except (OSError, InUse, Refused) as error:
            print(f"rcqueue demo: {error}", file=sys.stderr)
            return FAILED
    return 0


# -- the terminal's side


def _with_terminal(args: argparse.Namespace) -> int:
    child = subprocess.Popen(
        _child_command(args), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    # What the server complains of may quote mail: it waits until the screen is gone, and is made safe.
    said: deque[str] = deque(maxlen=20)
    listening = threading.Thread(target=said.extend, args=(child.stderr,), daemon=True)
    listening.start()
    try:
        line = child.stdout.readline()
        if not line:
            return child.wait() or FAILED
        ready = json.loads(line)
        _print_accounts(ready)
        return _open_terminal(ready)
    finally:
        child.stdin.close()  # the child ends with us, however we end
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
        listening.join(1)
        with contextlib.suppress(OSError):  # the terminal may be gone
            for complaint in said:
                print(safe_text(complaint.rstrip("\n")), file=sys.stderr)


def _child_command(args: argparse.Namespace) -> list[str]:
    command = [sys.executable, "-m", "rcqueue.demo.command"]
    for option in ("mails", "rate", "colleagues", "http", "smtp", "data_dir"):
        value = getattr(args, option)
        if value is not None:
            command += [f"--{option.replace('_', '-')}", str(value)]
    return command


def _print_accounts(ready: dict[str, Any]) -> None:
    print(f"rcqueue demo: {ready['http']}   mail in: {ready['smtp']}   released mail: {ready['next_hop']}")
    for account in ready["accounts"]:
        print(f"  {account['name']:8} {account['role']:9} password {account['password']}")
    print("Other terminals: rcqueue --server", ready["http"], flush=True)


def _open_terminal(ready: dict[str, Any]) -> int:
    from rcqueue import settings
    from rcqueue.app import DemoAccount, DemoInfo, RcqueueApp, Start

    me = ready["accounts"][0]
    accounts = tuple(DemoAccount(a["name"], a["role"], a["password"]) for a in ready["accounts"])
    demo = DemoInfo(ready["http"], ready["smtp"], ready["next_hop"], accounts)
    app = RcqueueApp(
        Start(server=ready["http"], user=me["name"], password=me["password"], demo=demo, settings=settings.load())
    )
    app.run()
    return app.return_code or 0


def _child(argv: list[str]) -> int:
    """The child's own command line: what `demo --serve-only` takes, and it ends when its standard input does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=20)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--colleagues", type=int, default=3)
    parser.add_argument("--http")
    parser.add_argument("--smtp")
    parser.add_argument("--data-dir", type=Path)
    args = parser.parse_args(argv)
    args.until_stdin_ends = True
    return _served(args)


if __name__ == "__main__":
    sys.exit(_child(sys.argv[1:]))
