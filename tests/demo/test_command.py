"""`rcqueue demo` from outside, as real processes: what it prints, how it ends, and what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.ptyharness import Pty
from tests.tmux import Tmux

pytestmark = pytest.mark.slow

DEMO = [sys.executable, "-m", "rcqueue", "demo"]
COLLEAGUES = {"bob", "carol", "dave"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An own place for temporary folders, so that runs side by side do not tidy up after each other."""
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


def until(true: Callable[[], object], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def folders(place: Path) -> list[Path]:
    return sorted(place.glob("rcqueue-demo-*"))


def held(demo: DemoServer) -> int:
    return int(demo.get("anna", "/counts")["status"].get("ONHOLD", 0))


# -- serving


def test_it_says_where_it_serves_and_ends_with_its_folder(place: Path) -> None:
    with DemoServer(mails=3, environ={"TMPDIR": str(place)}) as demo:
        assert set(demo.ready) == {"http", "smtp", "next_hop", "accounts"}
        accounts = demo.ready["accounts"]
        assert all(set(account) == {"name", "password", "role", "token_file"} for account in accounts)
        assert {"admin", "operator", "blind"} <= {account["role"] for account in accounts}
        assert httpx.get(demo.http + "/healthz", trust_env=False).status_code == 200
        assert held(demo) >= 3
        (folder,) = folders(place)
        assert folder.stat().st_mode & 0o777 == 0o700
        files = [Path(account["token_file"]) for account in accounts]
        assert all(file.is_relative_to(folder) and file.stat().st_mode & 0o777 == 0o600 for file in files)
        assert demo.next_hop.is_relative_to(folder)
        demo.process.terminate()
        assert demo.process.wait(15) == 0
    assert demo.process.stdout is not None and demo.process.stdout.read() == ""
    assert folders(place) == []


def test_what_a_killed_run_left_goes_at_the_next_start_and_what_a_living_one_has_stays(place: Path) -> None:
    environ = {"TMPDIR": str(place)}
    with DemoServer(environ=environ) as killed, DemoServer(environ=environ) as living:
        killed.process.kill()
        killed.process.wait()
        assert folders(place) == sorted(demo.next_hop.parent for demo in (killed, living))
        with DemoServer(environ=environ) as third:
            assert folders(place) == sorted(demo.next_hop.parent for demo in (living, third))
        living.process.send_signal(signal.SIGHUP)
        assert living.process.wait(15) == 0
    assert folders(place) == []


def test_a_data_dir_is_kept_and_goes_on_where_it_ended(tmp_path: Path, place: Path) -> None:
    kept = tmp_path / "kept"
    with DemoServer(mails=4, data_dir=kept, environ={"TMPDIR": str(place)}) as first:
        ids = [row["id"] for row in first.get("anna", "/mails")["rows"]]
        assert first.run("otto", "claim", ids[0]).returncode == 0
        again = subprocess.run([*DEMO, "--serve-only", "--data-dir", str(kept)], capture_output=True, text=True)
        assert again.returncode == 1
        assert again.stderr == f"rcqueue demo: {kept / 'data'} is served by another process\n"
    assert folders(place) == []
    with DemoServer(colleagues=2, data_dir=kept) as second:
        assert [row["id"] for row in second.get("anna", "/mails")["rows"]] == ids
        assert [row["id"] for row in second.get("anna", "/mails", query="claim:otto")["rows"]] == ids[:1]
        for name, account in first.accounts.items():
            assert second.accounts[name]["role"] == account["role"]
            assert second.get(name, "/whoami")["name"] == name
        for account, works in ((second.accounts["bella"], True), (first.accounts["bella"], False)):
            body = {"name": "bella", "password": account["password"], "kind": "cli", "label": "test"}
            answer = httpx.post(second.http + "/api/v1/login", json=body, trust_env=False)
            assert answer.is_success == works
        until(lambda: second.get("anna", "/mails", query="claim:bob")["rows"], 20, "a new colleague at work")
    assert (kept / "data" / "queue.db").exists()


def test_mail_comes_in_and_colleagues_work_on_it() -> None:
    with DemoServer(mails=20, rate=10, colleagues=3) as demo:
        began = held(demo)
        assert began >= 20

        def working() -> bool:
            rows = demo.get("anna", "/mails", query="-claim:none", limit=100)["rows"]
            return bool({row["claim"]["who"] for row in rows} & COLLEAGUES)

        until(working, 20, "a colleague's claim")
        until(lambda: held(demo) > began + 20, 20, "the count to rise")


# -- refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "rcqueue demo: standard input is not a terminal; for scripts there are rcqueue list, show and watch"),
        (["--serve-only", "--http", "here"], "rcqueue demo: --http: HOST:PORT was expected, such as "),
    ],
    ids=["no tty", "http"],
)
def test_what_can_t_be_done_is_said_in_one_line(options: list[str], said: str, place: Path) -> None:
    environ = os.environ | {"TMPDIR": str(place)}
    ended = subprocess.run(
        [*DEMO, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ, timeout=30
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith(said) and ended.stderr.count("\n") == 1
    assert folders(place) == []


# -- with the terminal


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_however_the_terminal_ends_the_server_ends_and_its_folder_goes(place: Path) -> None:
    with Pty(DEMO, env={"TMPDIR": str(place)}, width=80, height=24) as pty:
        pty.wait_for("live", 30)
        assert len(folders(place)) == 1
        (server,) = children(pty.pid)
        os.kill(pty.pid, signal.SIGKILL)
        until(lambda: not runs(server), 10, "the end of the server")
    assert folders(place) == []


def rows(screen: str) -> list[str]:
    """The lines of the table, those that are of a mail."""
    return [line for line in screen.splitlines()[3:] if re.match(r"[> ][*! ] .{11} ( *\d+[mhd]| <1m) ", line)]


def shown_held(screen: str) -> int:
    found = re.search(r"([\d,]+) held", screen)
    return int(found[1].replace(",", "")) if found else 0


def test_in_a_small_terminal_there_is_a_queue_at_work_and_c_claims(place: Path) -> None:
    environ = {"TMPDIR": str(place)}
    with Tmux(DEMO, 80, 24, environ, name="demo") as screen:
        first = screen.wait("live", 60)
        assert "rcqueue" in first and not folders(Path("/nowhere"))
        screen.keys("p")
        seen = {row[15:] for row in rows(screen.wait(lambda shown: len(rows(shown)) >= 15))}
        screen.keys("PageDown")
        screen.wait(lambda shown: len(seen | {row[15:] for row in rows(shown)}) >= 20)
        screen.wait(lambda shown: shown_held(shown) > shown_held(first), 20)
        screen.keys("g")
        screen.wait(lambda shown: any(row[3:14].strip() in COLLEAGUES for row in rows(shown)), 40)
        screen.keys("/")
        screen.type("claim:none")
        screen.keys("Enter")
        screen.wait(lambda shown: " of " in shown.splitlines()[1])  # the list is the filter's
        screen.wait(lambda shown: any(row.startswith(">  " + " " * 11) for row in rows(shown)))
        screen.keys("c")
        screen.wait("claimed: ")
        screen.keys("C-q")
        screen.wait("exit-status 0")
    assert folders(place) == []
