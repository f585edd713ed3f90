"""A scanner whose files are pushed: its lint, its reload, and whether it answers as before.

Neither spamd nor clamd says when it has read its files anew, or whether it has. So each push writes one more file, a
rule on a word that is new each time; the scanner has its new rules when it finds that word in a mail of ours.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from rcqueue.model.scan import ScanResult
from rcqueue.server.config import SECOND, RulesAt
from rcqueue.server.scan.base import ScanEnvelope, Scanner
from rcqueue.server.scan.clamav import ClamAV

from . import folder, programs
from .check import PROBE, ScannerType, faults

T = TypeVar("T")

_LINT: dict[ScannerType, tuple[str, ...]] = {
    "spamassassin": ("spamassassin", "--lint", "-x", "-p", "/dev/null", "--siteconfigpath", "{folder}"),
    "clamav": ("clamscan", "--no-summary", "--stdout", "--database", "{file}", "{folder}/empty"),
}
_PROBES: dict[ScannerType, tuple[str, str]] = {
    "spamassassin": (
        f"{PROBE}.cf",
        "# rcqueue's own: how it knows that its rules were read.\nbody RCQUEUE_PROBE_{word} /rcqueueprobe{word}/\n"
        "describe RCQUEUE_PROBE_{word} The word of the last push\nscore RCQUEUE_PROBE_{word} 0.001\n",
    ),
    "clamav": (f"{PROBE}.ndb", "Rcqueue.Probe.{word}:0:*:{hex}\n"),
}
_HEAD = "From: <rcqueue@localhost>\r\nTo: <rcqueue@localhost>\r\nSubject: rules\r\nMessage-ID: <{}@localhost>\r\n\r\n"
#: Test files that scanners know, in halves, so that no scanner takes this file for one of them.
_KNOWN = (
    "",
    "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X",
    r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*",
)
_PAUSE = 0.1  #: seconds between two looks whether it knows the new rules
_AGAIN = 5.0  #: seconds in which a scanner has to answer that was not told anything new


class NotTaken(Exception):
    """Why a scanner does not do with its new files; `lines` in words that may be shown."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


class Target:
    """A scanner's folder and the scanner that reads it. `known`: what it says to mails that it knows."""

    def __init__(self, scanner: Scanner, type_: ScannerType, at: RulesAt) -> None:
        self.name, self.type, self.at = scanner.name, type_, at
        self._scanner = scanner
        self._seconds = at.timeout / SECOND

    async def read(self, name: str) -> bytes | None:
        """The file as it stands. Raises NotTaken."""
        return await self._file(folder.read, name)

    async def put(self, name: str, content: bytes | None) -> None:
        """Raises NotTaken."""
        await self._file(folder.put, name, content)

    async def lint(self, name: str, content: bytes) -> None:
        """Checks a file with those that stand in the folder. Raises NotTaken; nothing was changed then."""
        if wrong := faults(name, content.decode()):
            more = [f"... and {len(wrong) - programs.MOST_LINES} more"] if wrong[programs.MOST_LINES :] else []
            raise NotTaken(*wrong[: programs.MOST_LINES], *more)
        with TemporaryDirectory(prefix="rcqueue-lint-") as scratch:
            await self._file(_lay_out, Path(scratch), name, content, self.type == "spamassassin")
            command = self.at.lint or _LINT[self.type]
            words = [word.replace("{folder}", scratch).replace("{file}", f"{scratch}/{name}") for word in command]
            ended = await self._run("lint", words, scratch)
        # clamscan ends with 0 when a rule of YARA is broken, and only says so.
        bad = ended.status != 0 or (self.type == "clamav" and any(line.startswith("LibClamAV") for line in ended.lines))
        if bad:
            raise NotTaken(*(ended.lines or [f"lint ended with status {ended.status} and said nothing"]))

    async def known(self) -> list[str | None]:
        """What kind of mail each of the known ones is to it. Raises NotTaken when it does not say."""
        results = await asyncio.gather(*map(self._ask, _KNOWN))
        if (why := next((r.error or r.skipped for r in results if r.error or r.skipped), None)) is not None:
            raise NotTaken(f"{self.name}: {why}")
        return [result.kind for result in results]

    async def answers_as(self, before: list[str | None]) -> None:
        """Raises NotTaken when it does not, or is silent for some seconds."""
        until = time.monotonic() + _AGAIN
        while True:
            try:
                now = await self.known()
                break
            except NotTaken:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(_PAUSE)
        if now != before:
            raise NotTaken(f"{self.name} no longer answers as before to an empty mail and to the test files")

    async def reload(self) -> None:
        """Tells it to read its files anew, and waits until it has. Raises NotTaken."""
        word = secrets.token_hex(8).upper()
        name, text = _PROBES[self.type]
        await self.put(name, text.format(word=word, hex=f"rcqueueprobe{word}".encode().hex()).encode())
        await self._tell()
        until = time.monotonic() + self._seconds
        while True:
            result = await self._ask(f"rcqueueprobe{word}")
            if any(word in found for found in (*result.threats, *(rule.name for rule in result.rules))):
                return
            if time.monotonic() > until:
                why = result.error or f"it still answers without what stands in {self.at.folder}"
                raise NotTaken(f"{self.name}: {why}, {self._seconds:g} s after it was told to reload")
            await asyncio.sleep(_PAUSE)

    async def _tell(self) -> None:
        if self.at.reload:
            ended = await self._run("reload", self.at.reload, "/")
            if ended.status != 0:
                raise NotTaken(f"the reload command ended with status {ended.status}", *ended.lines)
        elif self.at.pid_file is not None:
            try:
                os.kill(int(self.at.pid_file.read_text()), signal.SIGHUP)
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else "a number was expected"
                raise NotTaken(f"{self.at.pid_file}: SIGHUP could not be sent: {why}") from None
        elif isinstance(self._scanner, ClamAV) and (why := await self._scanner.reload()) is not None:
            raise NotTaken(f"{self.name}: {why}")

    async def _ask(self, text: str) -> ScanResult:
        raw = _HEAD.format(secrets.token_hex(8)) + text + "\r\n"
        return await self._scanner.scan(raw.encode(), ScanEnvelope())

    async def _run(self, what: str, command: Sequence[str], where: str) -> programs.Ended:
        try:
            return await programs.run(command, Path(where), self._seconds, hide=f"{where}/")
        except TimeoutError:
            raise NotTaken(f"{what} did not end within {self._seconds:g} s") from None
        except OSError as error:
            raise NotTaken(f"{what}: {command[0]}: {error.strerror}") from None

    async def _file(self, do: Callable[..., T], *args: Any) -> T:
        try:
            return await asyncio.to_thread(do, self.at.folder, *args)
        except OSError as error:
            raise NotTaken(f"{self.at.folder}: {error.strerror or type(error).__name__}") from None


def _lay_out(at: Path, scratch: Path, name: str, content: bytes, beside: bool) -> None:
    """A folder for the lint: the file, an empty one, and links to what stands `beside` it."""
    (scratch / "empty").touch()
    (scratch / name).write_bytes(content)
    for file in at.iterdir() if beside else ():
        if file.name != name and not file.name.startswith("."):
            (scratch / file.name).symlink_to(file.absolute())
