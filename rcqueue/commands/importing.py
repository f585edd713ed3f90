"""import: .eml, mbox and Maildir into the queue, a message a call, its bytes as they are."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .arguments import Commands, json_option
from .connect import connected
from .output import Column, Out, complain
from .status import FAILED, Failure, failure, worst

if TYPE_CHECKING:
    from email.message import Message

    from rcqueue.client.api import Api

_MORE = """
PATH is a message (.eml), an mbox, a Maildir, or a folder of messages. The sender is that of X-Envelope-From or
Return-Path, the recipients are those of X-Envelope-To, else Delivered-To, else To; --from and --to come before them.
What is imported a second time within a day does nothing.
"""

_HEADER_LIMIT = 256 * 1024
_SIZE_LIMIT = 50 * 1024 * 1024  #: what a server takes at most
_RECIPIENTS = ("X-Envelope-To", "X-Original-To", "Delivered-To", "To")
_FROM_LINE = re.compile(rb"From (\S*) .*\d\d:\d\d")  #: the time tells it from a sentence
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """One message: where it stands, its bytes, and the sender of an mbox's From line (None elsewhere)."""

    place: str
    raw: bytes
    sender: str | None = None


def add(commands: Commands) -> None:
    parser = commands.add("import", "put messages on hold that stand in files", more=_MORE)
    parser.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="a message, an mbox, a Maildir or a folder")
    parser.add_argument("--from", dest="sender", metavar="ADDRESS", help="the envelope sender of all of them")
    parser.add_argument(
        "--to", metavar="ADDRESS", action="append", help="an envelope recipient of all; may be repeated"
    )
    json_option(parser)
    parser.set_defaults(run=connected(_import))


async def _import(args: argparse.Namespace, api: Api, out: Out) -> int:
    """Each message on its own: one that can't be imported does not stop the rest."""
    from rcqueue.client.api import ApiProblem

    table = out.table((Column("ID", 16), Column("FILE", 0)))
    statuses = []
    done = 0
    for path in args.paths:
        try:
            for found in messages(path):
                try:
                    sender, recipients = envelope(found, args.sender, args.to)
                    ids = await api.import_mail(found.raw, sender, recipients, key=key_of(found, sender, recipients))
                except (Failure, ApiProblem) as error:
                    if isinstance(error, ApiProblem) and error.type in ("unauthorized", "forbidden"):
                        raise
                    end = failure(error) if isinstance(error, ApiProblem) else error
                    complain(f"{found.place}: {end}")
                    statuses.append(end.status)
                else:
                    done += 1
                    if out.as_json:
                        out.json({"place": found.place, "ids": ids})
                    else:
                        table.row([" ".join(ids), found.place])
                    out.flush()
        except OSError as error:
            complain(f"{error.filename or path}: can't be read: {error.strerror}")
            statuses.append(FAILED)
    if not out.as_json:
        complain(f"{done} imported, {len(statuses)} not")
    return worst(statuses)


def key_of(found: Found, sender: str, recipients: list[str]) -> str:
    """The same for the same message to the same people, so that a repeat does nothing."""
    import hashlib

    told = hashlib.sha256("\0".join((sender, *recipients)).encode("utf-8", "surrogateescape"))
    told.update(hashlib.sha256(found.raw).digest())
    return "import-" + told.hexdigest()


def envelope(found: Found, sender: str | None, to: list[str] | None) -> tuple[str, list[str]]:
    """(sender, recipients): as told, else as the message's own fields say. Raises Failure without a recipient."""
    from email.parser import BytesHeaderParser  # not at the top: the terminal starts with this module too

    fields = BytesHeaderParser().parsebytes(found.raw[:_HEADER_LIMIT])
    recipients = to or next((named for name in _RECIPIENTS if (named := _addresses(fields, name))), [])
    if not recipients:
        raise Failure(FAILED, f"no recipient in {', '.join(_RECIPIENTS)}: give --to ADDRESS")
    if sender is None:
        named = [field for name in ("X-Envelope-From", "Return-Path") if (field := fields.get(name)) is not None]
        sender = next(iter(_parse(named[:1])), "") if named else found.sender or ""
    return sender, list(dict.fromkeys(recipients))


def _addresses(fields: Message, name: str) -> list[str]:
    return _parse(fields.get_all(name) or [])


def _parse(values: Sequence[object]) -> list[str]:
    from email.utils import getaddresses

    # A field with 8-bit bytes is a Header object; an address that is not one is left out rather than guessed at.
    try:
        found = getaddresses([str(value) for value in values])
    except (ValueError, IndexError):
        return []
    return [address for _, address in found if "@" in address.strip("@") and not re.search(r"[\s<>]", address)]


# -- files


def messages(path: Path) -> Iterator[Found]:
    """The messages at `path`, read one at a time. Raises OSError."""
    if path.is_dir():
        folders = [path / "cur", path / "new"]
        maildir = all(folder.is_dir() for folder in folders)
        for folder in folders if maildir else [path]:
            for file in sorted(folder.iterdir()):
                if file.is_file() and not file.name.startswith("."):
                    yield from messages(file)
        return
    with path.open("rb") as opened:
        mbox = _FROM_LINE.match(opened.readline(1000))
        opened.seek(0)
        if mbox:
            yield from _mbox(path, opened)
        else:
            yield Found(str(path), opened.read(_SIZE_LIMIT + 1))


def _mbox(path: Path, file: BinaryIO) -> Iterator[Found]:
    """Cut at `From ` after an empty line; `>From ` is unquoted (mboxrd), and the empty line before the next goes."""
    lines: list[bytes] = []
    sender, number, empty = "", 0, True
    for line in file:
        begins = _FROM_LINE.match(line) if empty else None
        if begins:
            if number:
                yield _of_mbox(path, number, lines, sender)
            number += 1
            lines, empty = [], False
            sender = begins[1].decode("utf-8", "replace")
            sender = sender.strip("<>") if "@" in sender else ""
        else:
            lines.append(line)
            empty = line in (b"\n", b"\r\n")
    if number:
        yield _of_mbox(path, number, lines, sender)


def _of_mbox(path: Path, number: int, lines: list[bytes], sender: str) -> Found:
    if lines and lines[-1] in (b"\n", b"\r\n"):
        lines = lines[:-1]
    return Found(f"{path}:{number}", _QUOTED.sub(rb"\1", b"".join(lines)), sender)
