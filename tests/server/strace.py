"""Reads what strace -f -y -ttt -T wrote, as far as the order of writes, syncs and answers is concerned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CALLS = "write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync"

_LINE = re.compile(r"^(?P<pid>\d+)\s+(?P<at>\d+\.\d+) (?P<rest>.*)$")
_RESUMED = re.compile(r"^<\.\.\. (?P<name>\w+) resumed>")
_NAME = re.compile(r"^(?P<name>\w+)\(\d+<(?P<path>[^>]*)>")
_TOOK = re.compile(r"<(\d+\.\d+)>$")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call. Times are seconds."""

    name: str
    path: str
    text: str
    began: float
    ended: float


def read(trace: Path) -> list[Call]:
    """The calls in the order in which they began."""
    return sorted(_calls(trace), key=lambda call: call.began)


def _calls(trace: Path) -> Iterator[Call]:
    open_calls: dict[str, tuple[float, str]] = {}
    for line in trace.read_text(errors="replace").splitlines():
        parts = _LINE.match(line)
        if not parts:
            continue
        pid, at, rest = parts["pid"], float(parts["at"]), parts["rest"]
        if rest.endswith("<unfinished ...>"):
            open_calls[pid] = (at, rest)
            continue
        began, text = at, rest
        if _RESUMED.match(rest):
            if pid not in open_calls:
                continue
            began, first = open_calls.pop(pid)
            text = first + rest
        name, took = _NAME.match(text), _TOOK.search(rest)
        if name:
            # -T gives how long the whole call took, also of one that was interrupted by another's line
            ended = began + float(took[1]) if took else at
            yield Call(name["name"], name["path"], text, began, ended)


def answered_too_early(calls: list[Call], token: str, answer: str) -> str | None:
    """Why an answer broke the promise, or None: a sync of the WAL began after the write of the token's bytes and ended
    before the answer was written."""
    answers = [c for c in calls if answer in c.text and c.path.startswith(("socket:", "TCP:"))]
    if not answers:
        return f"{token}: the answer {answer!r} is not in the trace"
    said = answers[0].began
    writes = [c for c in calls if c.path.endswith("-wal") and token in c.text and c.began < said]
    if not writes:
        return f"{token}: its bytes were not written to the WAL before the answer"
    first = min(c.ended for c in writes)
    syncs = [c for c in calls if c.name in ("fdatasync", "fsync") and c.path.endswith("-wal")]
    if not any(first <= s.began and s.ended <= said for s in syncs):
        return f"{token}: no sync of the WAL between the write and the answer"
    return None
