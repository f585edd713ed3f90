"""`make soak`: a demo under load for SOAK_MINUTES (default 10): what must stay flat, and a journal without a fault.

50 mails a second by default (SOAK_RATE), 6 colleagues. Prints a line every half minute; files the samples by commit in
build/soak/. Exit status 1 if memory or descriptors of the server grow, or the journal does not verify.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil

from rcqueue.server.store.journal import first_fault
from tests.demo_server import DemoServer
from tests.faults import commit

EVERY = 30.0
RSS_GROWTH = 0.10  #: of the first half's peak
FDS_GROWTH = 10


def sample(demo: DemoServer) -> dict[str, float]:
    process = psutil.Process(demo.process.pid)
    health = httpx.get(demo.http + "/healthz", timeout=20).json()
    return {
        "rss_mb": round(process.memory_info().rss / 1e6, 1),
        "fds": process.num_fds(),
        "cpu": process.cpu_percent(),
        "held": health["mails"].get("ONHOLD", 0),
        "seq": health["seq"],
        "waiting": health["waiting"],
    }


def verify(folder: Path) -> str | None:
    """What is wrong with the journal, or None."""
    with sqlite3.connect(folder / "data" / "queue.db") as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM entry ORDER BY seq")
        return first_fault(SimpleNamespace(**dict(row)) for row in rows)


def main() -> int:
    minutes, rate = float(os.environ.get("SOAK_MINUTES", "10")), float(os.environ.get("SOAK_RATE", "50"))
    samples: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="rcqueue-soak-") as place:
        folder = Path(place)
        with DemoServer(mails=20, rate=rate, colleagues=6, data_dir=folder) as demo:
            ends = time.monotonic() + 60 * minutes
            while time.monotonic() < ends:
                time.sleep(min(EVERY, max(0.0, ends - time.monotonic())))
                samples.append(sample(demo))
                print(json.dumps(samples[-1]), flush=True)
        fault = verify(folder)
    file = Path("build/soak") / f"{commit()}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"minutes": minutes, "rate": rate, "fault": fault, "samples": samples}, indent=1) + "\n")
    half = len(samples) // 2
    faults = [fault] if fault else []
    if half:
        early, late = (max(s["rss_mb"] for s in part) for part in (samples[:half], samples[half:]))
        if late > early * (1 + RSS_GROWTH):
            faults.append(f"memory grew from {early} MB to {late} MB")
        if samples[-1]["fds"] > samples[half - 1]["fds"] + FDS_GROWTH:
            faults.append(f"descriptors grew from {samples[half - 1]['fds']:.0f} to {samples[-1]['fds']:.0f}")
    for why in faults:
        print(why, file=sys.stderr)
    print(f"{'FAILED' if faults else 'passed'}, filed in {file}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
