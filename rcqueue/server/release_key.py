"""The key that passes of released mail are signed with: data_dir/release.key, and the one before it."""

from __future__ import annotations

import os
import re
import secrets
import time
from pathlib import Path

from .config import ConfigMistake

NAME = "release.key"
BYTES = 32
DAYS = 30.0  #: then a new one is made, at a start

_KEYS = re.compile(r"(?:[0-9a-f]{64}\n){1,2}")


def release_keys(folder: Path) -> tuple[bytes, ...]:
    """The key to sign with, then the one before it, whose passes may be under way. Made at the first start.

    Raises ConfigMistake: the file can't be read, holds something else, or others may read it.
    """
    file = folder / NAME
    try:
        keys = _read(file)
        if not keys or time.time() - file.stat().st_mtime > DAYS * 86400:
            keys = (secrets.token_bytes(BYTES), *keys)[:2]
            _write(file, keys)
    except OSError as error:
        raise ConfigMistake(f"{file}: {error.strerror}; the key of released mail's passes was expected") from None
    return keys


def _read(file: Path) -> tuple[bytes, ...]:
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return ()
    with os.fdopen(opened, encoding="ascii", errors="replace") as lines:
        if os.fstat(opened).st_mode & 0o077:
            raise ConfigMistake(
                f"{file}: others may read it; mode 0600 was expected. Without the file a new one is made"
            )
        text = lines.read(1000)
    if not _KEYS.fullmatch(text):
        raise ConfigMistake(f"{file}: one or two keys were expected. Without the file a new one is made")
    return tuple(bytes.fromhex(line) for line in text.split())


def _write(file: Path, keys: tuple[bytes, ...]) -> None:
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(opened, "w", encoding="ascii") as out:
        out.write("".join(f"{key.hex()}\n" for key in keys))
        out.flush()
        os.fsync(opened)
    new.rename(file)
