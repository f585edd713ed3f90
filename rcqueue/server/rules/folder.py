"""The scanner's folder: files in it are replaced whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MODE = 0o644  #: the scanner is another user


def read(folder: Path, name: str) -> bytes | None:
    """None: there is no such file. Raises OSError; links are not followed."""
    try:
        opened = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(opened, "rb") as file:
        return file.read()


def put(folder: Path, name: str, content: bytes | None) -> None:
    """Makes a file be this, on the disk when it returns; None: makes it be gone. Raises OSError."""
    if content is None:
        (folder / name).unlink(missing_ok=True)
    else:
        part = folder / f".{name}.part"  # no scanner reads what ends so
        part.unlink(missing_ok=True)
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
        try:
            with os.fdopen(opened, "wb") as file:
                os.fchmod(file.fileno(), MODE)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(folder / name)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(here)
    finally:
        os.close(here)
