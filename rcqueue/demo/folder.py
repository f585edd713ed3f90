"""The demo's folder: made for this run, 0700, gone at its end; what dead runs left goes at the next start."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "rcqueue-demo-"


@contextlib.contextmanager
def demo_folder(keep: Path | None) -> Iterator[Path]:
    """A folder for one run. `keep` is used instead, and stays."""
    if keep is not None:
        keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield keep.resolve()
        return
    remove_leftovers(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    alive = os.open(folder / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(alive)


def remove_leftovers(where: Path) -> list[Path]:
    """Removes the folders of our own runs that are over (nobody holds the lock on `alive`); those removed."""
    removed = []
    for folder in where.glob(PREFIX + "*"):
        try:
            if folder.stat(follow_symlinks=False).st_uid != os.getuid() or folder.is_symlink():
                continue
            alive = os.open(folder / "alive", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        finally:
            os.close(alive)
        shutil.rmtree(folder, ignore_errors=True)
        removed.append(folder)
    return removed
