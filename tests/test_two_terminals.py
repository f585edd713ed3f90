"""The main job, with real processes: two people in two terminals on one queue, and the next hop."""

from __future__ import annotations

import smtplib
import sys
import time
from pathlib import Path

import pytest

from .demo_server import DemoServer
from .tmux import Tmux

pytestmark = pytest.mark.slow


def sign_in(demo: DemoServer, name: str, width: int = 80, height: int = 24) -> Tmux:
    """A terminal in which `name` has signed in by the login screen."""
    screen = Tmux([sys.executable, "-m", "rcqueue", "--server", demo.http], width, height, name=name)
    try:
        screen.wait("assword")
        screen.type(name)
        screen.keys("Tab")
        screen.type(demo.accounts[name]["password"])
        screen.keys("Enter")
        screen.wait("live")
    except BaseException:
        screen.close()
        raise
    return screen


def send(demo: DemoServer, raw: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", demo.smtp_port) as client:
        client.sendmail("ada@sender.example", ["sales@acme.example"], raw)


def row_of(screen: str, subject: str) -> str:
    return next((line for line in screen.splitlines() if subject in line), "")


def arrived(folder: Path, seconds: float = 30) -> bytes:
    deadline = time.monotonic() + seconds
    while not (found := list((folder / "new").iterdir())):
        assert time.monotonic() < deadline, "nothing came to the next hop"
        time.sleep(0.1)
    (one,) = found
    return one.read_bytes()


def test_one_claims_the_other_sees_it_and_is_refused_and_the_bytes_arrive_as_stored():
    head = b"From: Ada <ada@sender.example>\r\nTo: sales@acme.example\r\nSubject: Quarterly figures\r\n"
    raw = head + b"\r\n.dot\r\nBody \xe4\r\n"
    with DemoServer() as demo:
        send(demo, raw)
        with sign_in(demo, "anna") as anna, sign_in(demo, "otto") as otto:
            for screen in (anna, otto):
                screen.wait("Quarterly figures")
            anna.keys("c")
            anna.wait(lambda shown: row_of(shown, "Quarterly")[3:].startswith("anna "))
            otto.wait(lambda shown: row_of(shown, "Quarterly")[3:].startswith("anna "), 5)
            otto.keys("r")
            refused = otto.wait(lambda shown: "anna holds" in shown)
            assert "RELEASING" not in refused
            anna.keys("r")
            anna.wait("released to sales@acme.example")
            otto.wait("anna released it")
            listed = demo.run("anna", "list", "status:any", "--json").stdout
            message = listed.split(b'"id"')[1].split(b'"')[1].decode()
            copy = arrived(demo.next_hop)
            stored = demo.run("anna", "show", message, "--part", "raw").stdout
    assert stored == raw
    release, the_pass, rest = copy.split(b"\r\n", 2)
    assert release.startswith(b"X-Rcqueue-Release: ") and the_pass.startswith(b"X-Rcqueue-Pass: ") and rest == stored
