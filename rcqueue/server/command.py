"""The commands that work on the server's host. Each takes argparse's namespace and returns the exit status."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import getpass
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvloop

from rcqueue import __version__
from rcqueue.safe_text import safe_text
from rcqueue.server.asgi import Server
from rcqueue.server.config import Address, Config, ConfigMistake
from rcqueue.server.config_file import load
from rcqueue.server.identity.sessions import Identity
from rcqueue.server.interpreter import set_to_serve
from rcqueue.server.marshal import Marshal, Refusal, Terms
from rcqueue.server.scan.judge import policy_of
from rcqueue.server.store import migrations
from rcqueue.server.store.clock import Clock
from rcqueue.server.store.database import Database, InUse
from rcqueue.server.store.migrations import Migrated, SchemaMistake
from rcqueue.server.store.writer import Writer

log = logging.getLogger("rcqueue")

DONE, FAILED = 0, 1

Command = Callable[[argparse.Namespace], int]


def _command(work: Command) -> Command:
    """What an installation can have wrong is one line a mistake on standard error, and status 1."""

    @functools.wraps(work)
    def run(args: argparse.Namespace) -> int:
        umask = os.umask(0o077)  # the queue is nobody else's to read
        try:
            return work(args)
        except (ConfigMistake, InUse, SchemaMistake, Refusal) as mistake:
            for line in str(mistake).splitlines():
                print(f"rcqueue: {safe_text(line)}", file=sys.stderr)
            return FAILED
        finally:
            os.umask(umask)

    return run


def _say(args: argparse.Namespace, text: str, **what: object) -> None:
    """That it was done, as a person reads it or with --json as an object."""
    print(json.dumps({"done": True} | what) if args.json else safe_text(text))


@_command
def serve(args: argparse.Namespace) -> int:
    """Runs everything until SIGTERM or SIGINT; what is under way then is finished."""
    config = load(args.config)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("uvicorn", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    uvloop.run(_serve(config, tell=args.json))
    return DONE


async def _serve(config: Config, *, tell: bool) -> None:
    """`tell`: one line on standard output when it is ready."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    server = Server(config)
    await server.start()
    set_to_serve()
    smtp = Address(config.smtp.listen.host, server.smtp.port)
    log.info("rcqueue %s serves %s: %s, smtp %s", __version__, config.data_dir, server.http_url, smtp)
    if tell:
        print(json.dumps({"http": server.http_url, "smtp": str(smtp), "version": __version__}), flush=True)
    await told.wait()
    log.info("stopping")
    await server.stop()


@_command
def check_config(args: argparse.Namespace) -> int:
    config = load(args.config)
    policy_of(config)
    http, smtp, hop = config.http.listen, config.smtp.listen, config.next_hop.default
    said = f"{args.config} is good: data in {config.data_dir}, http {http}, smtp {smtp}, next hop {hop}"
    where = {"data_dir": str(config.data_dir), "http": str(http), "smtp": str(smtp), "next_hop": str(hop)}
    _say(args, said, config=str(args.config), **where)
    return DONE


@_command
def migrate(args: argparse.Namespace) -> int:
    """What `serve` does at its start, alone."""
    config = load(args.config)
    with contextlib.closing(Database(config.data_dir)) as database:
        done = migrations.migrate(database.write_engine)
        copy = str(done.copy) if done.copy else None
        _say(args, _said(done, config.data_dir), before=done.before, after=done.after, copy=copy)
    return DONE


def _said(done: Migrated, folder: Path) -> str:
    if done.before is None:
        return f"a new queue was made in {folder}, with version {done.after} of the schema"
    if done.before == done.after:
        return f"the queue in {folder} has version {done.after} of the schema: nothing to do"
    return f"the queue in {folder} went from version {done.before} of the schema to {done.after}; before: {done.copy}"


@_command
def first_admin(args: argparse.Namespace) -> int:
    """Makes the first account. The password is asked on the terminal; without one it is the first line of stdin."""
    config = load(args.config)
    password = _new_password(args.name)
    if password is None:
        print("rcqueue: the two passwords differ: nothing done", file=sys.stderr)
        return FAILED
    asyncio.run(_first_admin(config, args.name, password))
    said = f"{args.name} is the administrator of the queue in {config.data_dir}"
    _say(args, said, name=args.name, data_dir=str(config.data_dir))
    return DONE


async def _first_admin(config: Config, name: str, password: str) -> None:
    async with _marshal(config.data_dir) as marshal:
        await Identity(marshal).first_admin(name, password)


@contextlib.asynccontextmanager
async def _marshal(folder: Path) -> AsyncIterator[Marshal]:
    """The queue of a server that does not run."""
    with contextlib.closing(Database(folder)) as database:
        migrations.migrate(database.write_engine)
        clock = Clock()
        with contextlib.closing(Writer(database, clock)) as writer:
            yield Marshal(database, writer, clock, Terms())


def _new_password(name: str) -> str | None:
    """From /dev/tty, asked twice (None: they differ); without a terminal the first line of standard input."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"New password of {safe_text(name)}: ")
    return password if getpass.getpass("Once more: ") == password else None
