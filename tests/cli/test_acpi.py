"""acpi and rc_acpi.sh: lines, statuses, and how little is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import Response

from tests.client.standin import StandIn

from .conftest import Cli, script

ROOT = Path(__file__).parents[2]
REQUEST = '{ "startTime":0 , "endTime":2147483647 ,"fromDomain":"gmail.com", "status":"ONHOLD" }'


def _answers(standin: StandIn, *objects: dict, status: int = 200) -> None:
    text = "".join(json.dumps(one) + "\n" for one in objects)
    standin.answers["POST /acpi"] = Response(text, status, media_type="application/x-ndjson")


def test_the_request_goes_out_and_the_lines_come_in_as_they_are(standin: StandIn, signed_in: Cli) -> None:
    text = '{"timestamp": 1665516666.609, "expiry": 1665519800, "subject": "\u00e9 \\u001b[31m"}\n'
    standin.answers["POST /acpi"] = Response(text * 3, media_type="application/x-ndjson")
    assert signed_in("acpi", REQUEST) == (0, text * 3, "")
    assert json.loads(standin.calls("POST", "/acpi")[0][1]) == json.loads(REQUEST)
    assert script("acpi", "-", typed=REQUEST).stdout == text * 3


@pytest.mark.parametrize("place", [Path("rc_acpi.sh"), Path("packaging/rc_acpi.sh")])
def test_the_script(standin: StandIn, signed_in: Cli, tmp_path: Path, place: Path) -> None:
    """From the clone, with nothing on PATH that is ours; and with `rcqueue` on PATH."""
    _answers(standin, {"subject": "one"}, {"subject": "two"})
    bare = os.environ | {"PATH": "/usr/bin:/bin"}
    ours = tmp_path / "bin"
    ours.mkdir()
    (ours / "rcqueue").write_text('#!/bin/sh\nprintf "%s\\n" "$#" "$@"\n')
    (ours / "rcqueue").chmod(0o755)
    done = subprocess.run([f"./{place}", REQUEST], cwd=ROOT, env=bare, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == '{"subject": "one"}\n{"subject": "two"}\n'
    there = bare | {"PATH": f"{ours}:/usr/bin:/bin"}
    done = subprocess.run([ROOT / place, REQUEST], cwd="/", env=there, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["3", "acpi", "--", REQUEST]
    done = subprocess.run([ROOT / place], env=bare, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


@pytest.mark.parametrize(
    ("request_", "objects", "status"),
    [
        ("{}", [], 0),
        ("{}", [{"code": "OK", "matches": 3, "confirmationRequired": True}], 0),
        ("{}", [{"code": "ERROR", "message": "unknown key 'x'", "type": "bad-request"}], 2),
        ("{}", [{"code": "ERROR", "message": "no right", "type": "forbidden"}], 3),
        ("{}", [{"code": "ERROR", "message": "taken", "type": "claimed"}], 3),
        ("{}", [{"code": "ERROR", "message": "no such act", "type": "not-found"}], 4),
        ("{}", [{"code": "ERROR", "message": "3 match", "type": "expect"}], 1),
        ("{}", [{"code": "ERROR", "message": "of an older server"}], 1),
        ("{}", [{"subject": "x"}, {"code": "ERROR", "message": "stopped", "type": "unavailable"}], 5),
        ('{"set":"DELETED"}', [{"status": "DELETED", "result": "done"}], 0),
        ('{"set":"DELETED"}', [{"result": "claimed"}, {"result": "done"}], 3),
        ('{"cmd":"mail.claim"}', [{"code": "OK", "done": 1, "results": [{"result": "done"}, {"result": "gone"}]}], 4),
        ('{"cmd":"people.lock"}', [{"code": "OK", "seq": 7}], 0),
    ],
)
def test_statuses(standin: StandIn, signed_in: Cli, request_: str, objects: list[dict], status: int) -> None:
    _answers(standin, *objects, status=200 if status == 0 or len(objects) > 1 else 400)
    ended = signed_in("acpi", request_)
    assert ended.status == status
    assert [json.loads(line) for line in ended.out.splitlines()] == objects


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "the request is not JSON: "),
        ("[1]", "the request: expected one object of JSON"),
        ("", "the request is not JSON: "),
        ("[" * 100_000, "the request is not JSON: "),
    ],
)
def test_what_is_no_request(standin: StandIn, signed_in: Cli, text: str, says: str) -> None:
    ended = signed_in("acpi", text)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("rcqueue: " + says)
    assert not standin.requests


_LOADED = """
import sys
from rcqueue.cli import main
try:
    main(sys.argv[1:])
finally:
    print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_it_loads_no_half_that_it_does_not_need(standin: StandIn, signed_in: Cli) -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED, "acpi", "{}"], capture_output=True, text=True)
    loaded = set(done.stdout.splitlines()[-1].split()[1:])
    assert "httpx" in loaded
    assert not loaded & {"textual", "pydantic", "websockets", "sqlalchemy", "fastapi", "uvicorn"}


def test_the_terminal_refuses_before_anything_is_loaded(cli: Cli) -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED], input="", capture_output=True, text=True)
    loaded = set(done.stdout.splitlines()[-1].split()[1:])
    assert not loaded & {"textual", "rich", "httpx", "pydantic", "websockets", "sqlalchemy"}
    assert done.stderr.count("\n") == 1
