"""Amavis's quarantine: mail that it sends to a quarantine address by SMTP, or writes into a folder.

Either way the message begins with fields that amavis put on top, which say whose it is. They are its envelope, and no
part of the message: they are taken off, or a release would show each recipient all the others. A field of the same name
further down is the sender's, and is not believed.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import logging
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, select

from rcqueue.model.mail import Receipt, from_us
from rcqueue.server.amavis import FILES, file_of, origin_of
from rcqueue.server.config import SECOND, Amavis
from rcqueue.server.store import tables as t
from rcqueue.server.store.writer import Stopped

from .hold import CONTROL, Busy, Intake

log = logging.getLogger(__name__)

SETTLED = 2.0  #: seconds since a file was last written: amavis writes it where it stays

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[ \t]*((?:[^\r\n]*)(?:\r?\n[ \t][^\r\n]*)*)\r?\n")
_ENVELOPE = (b"x-envelope-from", b"x-envelope-to", b"x-envelope-to-blocked", b"x-quarantine-id")
_BESIDE = (b"return-path", b"delivered-to", b"x-amavis-", b"x-spam-")  # amavis's too, or of who stored it
_MAIL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{9,30}")


class Quarantined(NamedTuple):
    mail_id: str
    sender: str
    recipients: list[str]  #: those whose mail amavis stopped
    raw: bytes  #: the message, its envelope taken off


def quarantined(raw: bytes) -> Quarantined | None:
    """What amavis put into its quarantine; None: these bytes are not of amavis, or say of nobody whose they are."""
    found: dict[bytes, str] = {}
    kept, at = [], 0
    while field := _FIELD.match(raw, at):
        name = field[1].lower()
        if name in _ENVELOPE and name not in found:
            found[name] = re.sub(rb"\r?\n(?=[ \t])", b"", field[2]).decode("utf-8", "replace")
        elif name.startswith(_BESIDE):
            kept.append(field[0])
        else:
            break
        at = field.end()
    mail_id = found.get(b"x-quarantine-id", "").strip("<> \t")
    to = found.get(b"x-envelope-to-blocked", found.get(b"x-envelope-to", ""))
    recipients = list(dict.fromkeys(filter(None, _addresses(to))))
    senders = _addresses(found.get(b"x-envelope-from", ""))
    if not _MAIL_ID.fullmatch(mail_id) or not recipients or b"x-envelope-from" not in found:
        return None
    if any(CONTROL.search(address) for address in (*senders, *recipients)):
        return None
    return Quarantined(mail_id, senders[0] if senders else "", recipients, b"".join(kept) + raw[at:])


# As amavis writes an envelope address: in angle brackets, its local part quoted where it has to be.
_PATH = re.compile(r'<((?:"(?:[^"\\]|\\.)*"|[^<>"])*)>')


def _addresses(text: str) -> list[str]:
    return _PATH.findall(text)


class AmavisFolder:
    """Adopts the files of a quarantine folder. They stay where they are: amavis's own clearing out removes them."""

    def __init__(self, intake: Intake, folder: Path, config: Amavis, size_limit: int) -> None:
        self._intake, self._folder, self._poll, self._size_limit = intake, folder, config.poll / SECOND, size_limit
        self._known: set[str] | None = None  # files adopted, or complained of
        self.trouble = ""  #: why the folder can not be read now

    async def run(self) -> None:
        while True:
            try:
                await self.beat()
                self._note("")
            except OSError as error:
                self._note(f"{self._folder}: {error.strerror or type(error).__name__}")
            except (Busy, Stopped):
                pass
            except Exception:
                log.exception("amavis: the quarantine could not be adopted")
            await asyncio.sleep(self._poll)

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            log.warning("amavis: %s", trouble or "the quarantine can be read again")

    async def beat(self) -> None:
        """Looks once. Raises OSError, Busy, Stopped."""
        if self._known is None:
            self._known = await self._intake.marshal.database.read(_known)
        found = await asyncio.to_thread(lambda: list(_files(self._folder, time.time() - SETTLED)))
        for file in found:
            if file not in self._known:
                await self._adopt(file)
                self._known.add(file)

    async def _adopt(self, file: str) -> None:
        mail = await asyncio.to_thread(self._read, file)
        if mail is None:
            return
        marshal = self._intake.marshal
        receipt = Receipt(at=from_us(marshal.clock.now()), protocol="amavis", ident=mail.mail_id)
        origin = origin_of(mail.mail_id, file)
        await self._intake.hold(mail.sender, mail.recipients, mail.raw, receipt, origin=origin)

    def _read(self, file: str) -> Quarantined | None:
        why = ""
        raw = b""
        try:
            opened = os.open(self._folder / file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(opened, "rb") as stream:
                if not stat.S_ISREG(os.fstat(opened).st_mode):
                    why = "a regular file was expected"
                else:
                    source = gzip.GzipFile(fileobj=stream) if file.endswith(".gz") else stream
                    raw = io.BufferedReader(source).read(self._size_limit + 1)
        except (OSError, EOFError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        if not why and len(raw) > self._size_limit:
            why = f"over the limit of {self._size_limit} bytes"
        if not why and b"\r\n" not in raw[:2000]:
            raw = raw.replace(b"\n", b"\r\n")
        mail = quarantined(raw) if not why else None
        if mail is None:
            log.warning(
                "amavis: %s is not adopted: %s", file, why or "X-Envelope-... and X-Quarantine-ID were expected"
            )
        return mail


def _files(folder: Path, before: float, below: str = "") -> Iterator[str]:
    """Files, by their path below the folder, last written before a time. Amavis spreads them over one level at most."""
    with os.scandir(folder / below) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False) and not below:
                yield from _files(folder, before, entry.name)
            elif entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < before:
                yield f"{below}/{entry.name}" if below else entry.name


def _known(connection: Connection) -> set[str]:
    origins = connection.execute(select(t.message.c.origin).where(t.message.c.origin.like(FILES))).scalars()
    return {found[1] for origin in origins if (found := file_of(origin)) is not None}
