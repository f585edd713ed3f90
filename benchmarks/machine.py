"""What the figures were taken on, so that those of two runs can be told apart."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

SYNCS, STARTS = 200, 9


def fsync_ms() -> list[float]:
    """How long each of some syncs of one page took, where the benchmarks keep their stores."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(SYNCS):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(1000 * (time.perf_counter() - began))
    return took


def pass_ms() -> float:
    took = []
    for _ in range(STARTS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        took.append(1000 * (time.perf_counter() - began))
    return median(took)


def described() -> dict[str, Any]:
    syncs = fsync_ms()
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "fsync_median_ms": round(median(syncs), 3),
        "fsync_p99_ms": round(quantiles(syncs, n=100)[-1], 3),
        "pass_ms": round(pass_ms(), 1),
    }


def line(machine: dict[str, Any]) -> str:
    return (
        f"{machine['cores']} cores, load {machine['load']}, Python {machine['python']}, {machine['system']}, "
        f"fsync median {machine['fsync_median_ms']} ms p99 {machine['fsync_p99_ms']} ms, "
        f"python -c pass {machine['pass_ms']} ms"
    )


def commit(root: Path) -> str:
    """The commit that is measured, with -dirty if what is there is not what was committed; "unknown" outside of git."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True).stdout.strip()

    name = git("rev-parse", "--short=12", "HEAD")
    return (name + ("-dirty" if git("status", "--porcelain", "--untracked-files=no") else "")) or "unknown"
