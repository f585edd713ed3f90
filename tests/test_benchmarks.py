"""The benchmarks run: a little of each, nothing asserted of how long it took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.shift import of_the_journal

pytestmark = pytest.mark.slow


MAY_BE_0 = ("million", "idle", "many", "shift")  #: what an idle terminal is sent, more memory, mails decided twice


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
        ("shift", 7),
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
    assert all(figure["reached"] for figure in measured if figure["goal"] == 0)  # what must not be, at any size
    assert filed["machine"]["fsync_p99_ms"] > 0 and filed["quick"]


A, B, MAIL = 5, 6, (7, 0)


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([("claim", A), ("delete", A)], (1, 0)),
        ([("delete", A)], (1, 0)),
        ([("claim", A), ("unclaim", A), ("claim", B), ("release", B)], (1, 0)),
        ([("claim", A), ("lapse", None), ("claim", B)], (0, 0)),
        ([("claim", A), ("claim", B)], (0, 1)),
        ([("claim", A), ("delete", B)], (1, 1)),
        ([("release", A), ("delete", A)], (1, 1)),
    ],
)
def test_a_mail_that_two_people_have_is_found_in_the_journal(
    entries: list[tuple[str, int | None]], found: tuple[int, int]
):
    message, n = MAIL
    leaf = json.dumps({"mails": [[n, "ONHOLD", 1, "0"]]})
    rows = [SimpleNamespace(kind=f"mail.{kind}", account=who, message=message, leaf=leaf) for kind, who in entries]
    assert of_the_journal(rows) == found


def test_an_unknown_name_is_refused():
    command = [sys.executable, "-m", "benchmarks", "paginng"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parent.parent)
    assert done.returncode == 2 and "paginng: expected some of start, paging, claims" in done.stderr
