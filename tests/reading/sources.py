"""The mail that the reading tests run over: the project's own samples, and real mail where there is some.

`RCQUEUE_CORPUS` names a folder of messages, a file each. Of these, 150 are read, the same each time; all of them when
`RCQUEUE_FULL=1`.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from rcqueue.server.reading.scan import Scan, scan

SAMPLES = Path(__file__).parent.parent / "samples"


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.eml").read_bytes()


def header(*lines: str) -> Scan:
    """The scan of a message with these header lines."""
    return scan("\r\n".join((*lines, "", "body\r\n")).encode())


def sources() -> dict[str, list[Path]]:
    """Messages by where they come from."""
    found = {"samples": sorted(SAMPLES.glob("*.eml"))}
    corpus = os.environ.get("RCQUEUE_CORPUS")
    if corpus:
        every = sorted(path for path in Path(corpus).rglob("*") if path.is_file() and path.name != "README.md")
        full = os.environ.get("RCQUEUE_FULL") == "1"
        found["corpus"] = every if full else sorted(Random(7).sample(every, min(150, len(every))))
    return found
