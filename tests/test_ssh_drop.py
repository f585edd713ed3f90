"""A connection drops in the middle of an act on many: the server finishes it, exactly the mails that were confirmed are
tried, and it is there on return. 1,500 mails; with `RCQUEUE_FULL=1` 14,000."""

from __future__ import annotations

import os
import re
import smtplib
import time
from collections import Counter
from collections.abc import Callable

import pytest

from rcqueue.model.ids import encode_mail, parse_id
from tests.app.terminals import sign_in
from tests.demo_server import DemoServer
from tests.ptyharness import KEYS

MAILS = 14_000 if os.environ.get("RCQUEUE_FULL") == "1" else 1_500
LATE = 20
pytestmark = pytest.mark.slow


def send(demo: DemoServer, count: int, subject: str) -> set[str]:
    """Ids of the mails, as the server names them."""
    ids = set()
    with smtplib.SMTP("127.0.0.1", demo.smtp_port) as client:
        client.ehlo()
        for n in range(count):
            client.mail("ada@sender.example")
            client.rcpt("sales@acme.example")
            raw = f"From: Ada <ada@sender.example>\r\nSubject: {subject} {n}\r\n\r\nBody.\r\n"
            _, said = client.data(raw.encode())
            message = said.decode().split(" as ")[-1].split(",")[0].strip()
            ids.add(encode_mail(parse_id(message)[0], 0))
    return ids


def wait(what: Callable[[], object], seconds: float, pause: float = 0.2) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(pause)


def the_act(demo: DemoServer) -> dict[str, object]:
    acts = demo.get("anna", "/acts")["acts"]
    return acts[0] if acts else {}


def test_a_release_of_many_goes_on_when_the_terminal_is_gone():
    with DemoServer(environ={"RCQUEUE__NEXT_HOP__SESSIONS": "8"}) as demo:
        confirmed = send(demo, MAILS, "Outbreak")
        with sign_in(demo, "anna", width=80, height=24) as anna:
            anna.send("/subject:outbreak\r")
            anna.wait_for(f" of {MAILS:,}", 30)
            anna.send("*r")
            anna.wait_for(f"Type {MAILS} to confirm", 60)
            anna.send(str(MAILS).encode() + KEYS["enter"])
            wait(lambda: the_act(demo).get("state") == "running", 30, 0.005)
            anna.hang_up()
        early = list((demo.next_hop / "new").iterdir())
        assert not early, "it was not in the middle of it"
        late = send(demo, LATE, "Outbreak late")
        wait(lambda: the_act(demo)["state"] == "done", 300)
        assert the_act(demo)["done"] == MAILS
        wait(lambda: demo.get("anna", "/counts")["status"]["RELEASED"] == MAILS, 300)

        with sign_in(demo, "anna", width=80, height=24) as anna:  # she is back
            anna.send("A")
            anna.wait_for(f"{MAILS:,} of {MAILS:,}", 30)
            anna.send(KEYS["enter"])
            anna.wait_for("It was done to each mail that was tried.", 30)

        # What came in later matches the filter too. It was not meant, and nothing of it was tried.
        tried, after = [], ""
        while after is not None:
            page = demo.get(
                "anna", f"/acts/{the_act(demo)['id']}/results", limit=5000, **({"after": after} if after else {})
            )
            tried += [one["id"] for one in page["results"]]
            after = page["next"]
        assert Counter(tried) == Counter(confirmed)
        releases = []
        for path in (demo.next_hop / "new").iterdir():
            found = re.match(rb"X-Rcqueue-Release: (\w{16})-\d+\r\n", path.read_bytes())
            assert found
            releases.append(found[1].decode())
        assert Counter(releases) == Counter(confirmed)
        assert demo.get("anna", "/counts")["status"]["ONHOLD"] == len(late) == LATE
