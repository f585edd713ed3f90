"""list, facets and show."""

from __future__ import annotations

import argparse
import io
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from rcqueue.model.actions import named
from rcqueue.model.kind import kind_of

from .arguments import FILTER_HELP, Commands, ids_of, json_option, number
from .connect import Run, connected
from .output import Column, Out, size
from .status import DONE, FAILED, USAGE, Failure

if TYPE_CHECKING:
    from rcqueue.client.answers import PartModel
    from rcqueue.client.api import Api
    from rcqueue.model.mail import Row

_PAGE = 500
_PARTS = ("summary", "envelope", "headers", "verdict", "receipt", "history", "timeline", "attachments", "text")
_BODY_PARTS = ("html", "hex", "raw")

_BY = "sender domain recipient rule verdict campaign customer, some with commas; else all that you may see"
_SHOW_MORE = """
ID is a message's or a mail's. The body (text, html, hex, raw) needs the class body; reading it goes
on record. text has links that open nowhere, and says what it does not show; html is the source of its HTML.
raw writes the stored bytes as they are, to a pipe or a file and never to a terminal.
"""


def add(commands: Commands) -> None:
    listing = commands.add(named("mail.list").cli or "list", "list the mail that matches a filter", more=FILTER_HELP)
    _filter(listing)
    listing.add_argument("--limit", metavar="N", type=number(1), help="at most so many rows; else all")
    listing.add_argument(
        "--sort", default="-time", metavar="KEY", help="time score size expiry from to subject verdict customer; -KEY"
    )
    listing.add_argument("--mails", action="store_true", help="one line a mail (a recipient), not a message")
    json_option(listing)
    listing.set_defaults(run=connected(_list))

    facets = commands.add(named("mail.facets").cli or "facets", named("mail.facets").help, more=FILTER_HELP)
    _filter(facets)
    facets.add_argument("--by", metavar="FACETS", default="", help=_BY)
    facets.add_argument("--limit", metavar="N", type=number(1), default=12, help="values of each facet, if not said 12")
    json_option(facets)
    facets.set_defaults(run=connected(_facets))

    show = commands.add(named("mail.show").cli or "show", "show one mail, or a part of it", more=_SHOW_MORE)
    show.add_argument("id", metavar="ID")
    show.add_argument("--part", choices=(*_PARTS, *_BODY_PARTS), default="summary", help="summary if not said")
    show.add_argument("--output", metavar="FILE", help="write it to this file, readable by its owner alone")
    json_option(show)
    show.set_defaults(run=_show)


def _filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("filter", metavar="FILTER", nargs="*", help="terms that must all hold; see below")


# -- list

_ROW = (
    Column("AT", 16),
    Column("STATUS", 9, least=100),
    Column("VERDICT", 10, least=120),
    Column("SCORE", -5),
    Column("SIZE", -5, least=120),
    Column("CLAIM", 10),
    Column("FROM", 0),
    Column("TO", 0),
    Column("SUBJECT", 0),
)


async def _list(args: argparse.Namespace, api: Api, out: Out) -> int:
    table = out.table((Column("ID", 16 if args.mails else 13), *_ROW))
    query = " ".join(args.filter)
    left = args.limit
    after = None
    while left is None or left > 0:
        page = await api.page(query, args.sort, after=after, limit=min(left or _PAGE, _PAGE))
        for row in page.rows:
            async for shown in _mails(api, query, row) if args.mails else _itself(row):
                if left == 0:
                    break
                left = None if left is None else left - 1
                if out.as_json:
                    out.json(shown)
                else:
                    table.row(_cells(shown, out))
        out.flush()
        after = page.next
        if after is None:
            break
    return DONE


async def _itself(row: Row) -> AsyncIterator[Row]:
    yield row


async def _mails(api: Api, query: str, row: Row) -> AsyncIterator[Row]:
    """A row for each mail of the message that matches. Where not all do, the server is the judge."""
    from rcqueue.model.ids import encode_mail, parse_id
    from rcqueue.model.mail import Envelope

    alone = {"matching": 1, "recipients": 1}
    known = 0
    if row.matching == row.recipients:
        envelope = await api.part(row.id, "envelope")
        assert isinstance(envelope, Envelope)
        known = len(envelope.mails)  # of a message to very many only the first
        for line in envelope.mails:
            own = {name: getattr(line, name) for name in ("id", "toEmail", "status", "expiry", "version", "claim")}
            yield row.model_copy(update=own | alone | {"requested": int(line.requested is not None)})
    message, _ = parse_id(row.id)
    for n in range(known, row.recipients):
        id = encode_mail(message, n)
        for mail in (await api.page(f"{query} id:{id}", limit=1)).rows:
            yield mail.model_copy(update={"id": id} | alone)


def _cells(row: Row, out: Out) -> list[object]:
    to = row.toEmail or ""
    if row.matching != 1 or row.recipients != 1:
        count = f"{row.matching}" if row.matching == row.recipients else f"{row.matching}/{row.recipients}"
        to = f"x {count} {to}"
    claim = ""
    if row.claim:
        claim = row.claim.who + (f" {row.claim.mails}/{row.matching}" if row.claim.mails != row.matching else "")
    elif row.requested:
        claim = "asks" + (f" {row.requested}/{row.matching}" if row.requested != row.matching else "")
    score = "" if row.score is None else f"{row.score:.1f}"
    shown = size(row.size) if out.tty else row.size
    at = out.when(row.timestamp, "%Y-%m-%d %H:%M")
    return [
        row.id,
        at,
        row.status,
        kind_of(row.verdict, row.status),
        score,
        shown,
        claim,
        row.fromEmail,
        to,
        row.subject,
    ]


# -- facets


async def _facets(args: argparse.Namespace, api: Api, out: Out) -> int:
    answer = await api.facets(" ".join(args.filter), args.by.split(","), args.limit)
    table = out.table((Column("FACET", 9), Column("MAILS", -9), Column("TERM", 0)))
    for facet in answer.facets:
        if out.as_json:
            out.json(facet)
        for value in () if out.as_json else facet.values:
            table.row([facet.by, f"{value.mails}{'+' if facet.capped else ''}", value.term])
    return DONE


# -- show


def _show(args: argparse.Namespace) -> int:
    ids_of([args.id])
    run: Run = connected({"raw": _show_raw, "hex": _show_hex}.get(args.part, _show_part))
    if args.part == "raw":
        if args.json:
            raise Failure(USAGE, "show: --json does not go with --part raw: those are the stored bytes as they are")
        if args.output is None and sys.stdout.isatty():
            raise Failure(USAGE, "show: raw bytes go to a pipe or to --output FILE, never to a terminal")
    return run(args)


async def _show_raw(args: argparse.Namespace, api: Api, out: Out) -> int:
    with _target(args.output) as file:
        async for chunk in api.raw(args.id):
            file.write(chunk)
        file.flush()
    return DONE


async def _show_hex(args: argparse.Namespace, api: Api, out: Out) -> int:
    """Page by page: it is four times as long as the mail."""
    with _target(args.output) as file:
        at, size = 0, 1
        text = io.TextIOWrapper(file, "utf-8", write_through=True)
        to = out if args.output is None else Out(text, as_json=args.json)
        while at < size:
            page = await api.hex(args.id, at)
            _print_part(page, to)
            at, size = at + max(1, len(page.data) // 2), page.size
        text.detach()  # `_target` closes it
    return DONE


async def _show_part(args: argparse.Namespace, api: Api, out: Out) -> int:
    model = await api.part(args.id, args.part)
    if args.output is None:
        _print_part(model, out)
        return DONE
    with _target(args.output) as file:
        text = io.TextIOWrapper(file, "utf-8", write_through=True)
        _print_part(model, Out(text, as_json=args.json))
        text.detach()  # `_target` closes it
    return DONE


def _print_part(model: PartModel, out: Out) -> None:
    from .render import render

    if out.as_json:
        out.json(model)
    else:
        for line in render(model, out.when):
            out.line(line)
    out.flush()


@contextmanager
def _target(path: str | None) -> Iterator[BinaryIO]:
    """Where bytes go: standard output, or `path`, which is there whole or not at all."""
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        special = not stat.S_ISREG(Path(path).stat().st_mode)
    except FileNotFoundError:
        special = False
    except OSError as error:
        raise Failure(FAILED, f"{path}: {error.strerror}") from None
    draft = path if special else f"{path}.{os.getpid()}.part"
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC | (0 if special else os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
    try:
        file = os.fdopen(os.open(draft, flags, 0o600), "wb")
    except OSError as error:
        raise Failure(FAILED, f"{path}: can't be written: {error.strerror}") from None
    try:
        with file:
            if file.isatty():
                raise Failure(USAGE, f"{path} is a terminal: expected a file")
            yield file
        if not special:
            Path(draft).replace(path)
    except BaseException:
        if not special:
            Path(draft).unlink(missing_ok=True)
        raise
