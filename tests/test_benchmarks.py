"""The benchmarks run: a little of each, nothing asserted of how long it took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


MAY_BE_0 = ("million", "idle", "many")  #: what is sent to an idle terminal, what more memory one needs


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("start", 2),
        ("paging", 6),
        ("claims", 1),
        ("pages", 80),
        ("scanning", 1),
        ("ways_in", 2),
        ("million", 120),
        ("idle", 3),
        ("many", 8),
    ],
)
def test_it_runs_and_files_its_figures(name: str, figures: int, tmp_path: Path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--results", str(tmp_path), name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parent.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    (filed,) = (json.loads(file.read_text()) for file in tmp_path.glob("*.json"))
    measured = filed["figures"][name]
    assert len(measured) >= figures and all(figure["value"] > 0 or name in MAY_BE_0 for figure in measured)
    assert all(figure["name"] in done.stdout for figure in measured)
    assert filed["machine"]["fsync_p99_ms"] > 0 and filed["quick"]


def test_an_unknown_name_is_refused():
    command = [sys.executable, "-m", "benchmarks", "paginng"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parent.parent)
    assert done.returncode == 2 and "paginng: expected some of start, paging, claims" in done.stderr
