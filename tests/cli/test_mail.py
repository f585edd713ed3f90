"""list, show and watch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rcqueue.commands.output import cells_of
from tests.client.standin import RAW, TIME, StandIn, mail_id, problem, row

from .conftest import Cli, on_terminal

EVIL = "\x1b]0;pwned\x07\u202eabc"
M = mail_id(1)


# -- list


def test_list_into_a_pipe_has_whole_values_between_tabs(standin: StandIn, signed_in: Cli) -> None:
    standin.rows = [row(1, subject="a\tb" + "x" * 300, claim={"who": "ben", "mails": 1}), row(2)]
    ended = signed_in("list")
    assert (ended.status, ended.err) == (0, "")
    first, second = [line.split("\t") for line in ended.out.splitlines()]
    assert first[:9] == [
        M,
        "2026-11-24T10:00:00.000Z",
        "ONHOLD",
        "SPAM",
        "7.5",
        "2048",
        "ben",
        "sender1@gmail.com",
        "sales@example.org",
    ]
    assert first[9] == "a b" + "x" * 300
    assert len(second) == 10


@pytest.mark.parametrize("columns", [80, 110, 150])
def test_list_on_a_terminal_is_aligned_and_fits(standin: StandIn, signed_in: Cli, columns: int) -> None:
    standin.rows = [
        row(1, subject="日本語" * 40),
        row(2, fromEmail="é" * 60),
        row(3, subject=EVIL),
        row(4, toEmail="語" * 40),
    ]
    ended = on_terminal("list", columns=columns)
    titles, *lines = ended.out.replace("\r\n", "\n").splitlines()
    assert ended.status == 0
    assert titles.split()[:2] == ["ID", "AT"]
    assert ("VERDICT" in titles) == (columns == 150)
    assert all(sum(map(cells_of, line)) <= columns for line in lines)
    assert {line.index("sales@") for line in lines[:3]} == {titles.index("TO")}
    assert sum(map(cells_of, lines[3].partition("Subj")[0])) == titles.index("SUBJECT")
    assert lines[0].endswith("…")
    assert "\x1b" not in ended.out
    assert "\u202e" not in ended.out


def test_list_asks_page_by_page_until_the_end_or_the_limit(standin: StandIn, signed_in: Cli) -> None:
    standin.rows = [row(n) for n in range(1, 1202)]
    assert len(signed_in("list", "--json").out.splitlines()) == 1201
    assert len(standin.calls("GET", "/api/v1/mails")) == 3
    for limit in (1, 499, 500, 501, 1000):
        assert len(signed_in("list", "--json", "--limit", str(limit)).out.splitlines()) == limit


def test_list_json_is_the_row_and_what_may_not_be_seen_is_absent(standin: StandIn, signed_in: Cli) -> None:
    blind = row(1)
    del blind["subject"]
    standin.rows = [blind, row(2, subject="é\u2028")]
    first, second = [json.loads(line) for line in signed_in("list", "--json").out.splitlines()]
    assert first == blind
    assert "subject" not in first
    assert second["id"] == mail_id(2)


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ([], ""),
        (["from:gmail.com", "score:>8"], "from:gmail.com score:>8"),
        (["from:gmail.com -verdict:virus"], "from:gmail.com -verdict:virus"),
        (["-from:gmail.com"], "-from:gmail.com"),
        (["status:any", "-rule:X", "--json"], "status:any -rule:X"),
        (["--json", "--", "-invoice"], "-invoice"),
        (['subject:"invoice 7"'], 'subject:"invoice 7"'),
    ],
)
def test_filters_go_out_as_they_were_meant(standin: StandIn, signed_in: Cli, words: list[str], query: str) -> None:
    asked: list[str] = []
    standin.answers["GET /api/v1/mails"] = lambda request, body: (
        asked.append(request.query_params["query"]) or {"seq": 1, "rows": []}
    )
    assert signed_in("list", *words).status == 0
    assert [" ".join(one.split()) for one in asked] == [query]


def test_a_wrong_filter_says_term_place_and_what_fits(standin: StandIn, signed_in: Cli) -> None:
    standin.answers["GET /api/v1/mails"] = problem(
        "query", 400, "no field 'fro'", term="fro:x", place=4, expected="from"
    )
    ended = signed_in("list", "fro:x")
    assert ended.status == 2
    assert ended.err == "rcqueue: no field 'fro'; term fro:x; expected from\n"


def test_list_mails_has_one_line_a_recipient_that_matches(standin: StandIn, signed_in: Cli) -> None:
    many = row(1, recipients=3, matching=3, toEmail="a@example.org")
    some = row(2, recipients=2, matching=1, toEmail="b@example.org")
    lines = [
        {"id": M + f"00{n}", "toEmail": f"{n}@example.org", "status": "ONHOLD", "version": n, "expiry": TIME}
        for n in range(2)
    ]
    standin.answers[f"GET /api/v1/mails/{M}/envelope"] = {"id": M, "sender": "s", "mails": lines, "more": 1}
    there = {M + "002": many | {"toEmail": "2@example.org"}, mail_id(2) + "001": some}

    def page(request, body):
        query = request.query_params["query"]
        if " id:" not in query:
            return {"seq": 1, "rows": [many, some]}
        assert query.startswith("to:example.org ")
        found = there.get(query.partition(" id:")[2])
        return {"seq": 1, "rows": [found] if found else []}

    standin.answers["GET /api/v1/mails"] = page
    shown = [json.loads(line) for line in signed_in("list", "--mails", "--json", "to:example.org").out.splitlines()]
    assert [(one["id"], one["toEmail"], one["matching"], one["recipients"]) for one in shown] == [
        (M + "000", "0@example.org", 1, 1),
        (M + "001", "1@example.org", 1, 1),
        (M + "002", "2@example.org", 1, 1),
        (mail_id(2) + "001", "b@example.org", 1, 1),
    ]
    assert len(signed_in("list", "--mails", "--limit", "3", "to:example.org").out.splitlines()) == 3


# -- show


def test_show_raw_writes_the_stored_bytes_as_they_are(standin: StandIn, signed_in: Cli, home: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "rcqueue", "show", M, "--part", "raw"], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, RAW, b"")
    path = home / "a.eml"
    path.write_text("older")
    assert signed_in("show", M, "--part", "raw", "--output", str(path)).status == 0
    assert path.read_bytes() == RAW
    assert path.stat().st_mode & 0o777 == 0o600
    assert signed_in("show", M, "--part", "raw", "--output", "/dev/null").status == 0


def test_show_raw_never_to_a_terminal(standin: StandIn, signed_in: Cli) -> None:
    for more in ([], ["--output", "/dev/tty"]):
        ended = on_terminal("show", M, "--part", "raw", *more)
        assert ended.status == 2
        assert "terminal" in ended.out
        assert "body" not in ended.out
    assert not standin.calls("GET", f"/api/v1/mails/{M}/raw"), "nothing was read"


def test_a_file_is_there_whole_or_not_at_all(standin: StandIn, signed_in: Cli, home: Path) -> None:
    path = home / "a.eml"
    path.write_text("older")
    standin.answers[f"GET /api/v1/mails/{M}/raw"] = problem("forbidden", 403, "no", **{"class": "body"})
    assert signed_in("show", M, "--part", "raw", "--output", str(path)).status == 3
    assert path.read_text() == "older"
    assert not list(home.glob("*.part"))
    ended = signed_in("show", M, "--part", "raw", "--output", str(home / "no" / "a.eml"))
    assert (ended.status, ended.err) == (1, f"rcqueue: {home}/no/a.eml: can't be written: No such file or directory\n")


PARTS = {
    "summary": {
        "row": row(1, recipients=2, claim={"who": "ben", "mails": 1}, degraded="no boundary"),
        "verdict": {"id": M, "verdict": "SPAM", "score": 7.5, "required": 5},
        "envelope": {"id": M, "sender": "", "mails": [], "more": 7},
        "headers": {"id": M, "fields": [{"name": "Subject", "value": "Subject 1"}], "withheld": 3},
    },
    "verdict": {
        "id": M,
        "verdict": "SPAM",
        "score": 7.5,
        "reason": "content",
        "rules": [{"name": "BAYES_99", "points": 3.5, "description": "Bayes"}, {"name": "X"}],
        "scans": [
            {"scanner": "spamd", "kind": "SPAM", "score": 7.5, "required": 5, "seconds": 0.4},
            {"scanner": "clamav", "kind": "VIRUS", "threats": ["Eicar"], "seconds": 0.01},
            {"scanner": "rspamd", "error": "it closed the connection in the middle"},
        ],
    },
    "receipt": {
        "id": M,
        "receipt": {
            "at": "2026-11-24T10:00:00Z",
            "client": "192.0.2.1",
            "helo": "mx",
            "ident": "4F2Z1",
            "forwarded_by": "192.0.2.9",
            "recipients": ["a@b"],
            "trace": [{"by": "mx", "from_": "there", "at": "Tue"}],
            "filters": [{"name": "X-Spam-Flag", "value": "YES"}],
            "body_8bit": True,
            "dsn": {"mail": "RET=HDRS", "recipients": {"a@b": "NOTIFY=NEVER" + EVIL}},
        },
        "origin": "milter",
    },
    "timeline": {
        "id": M,
        "steps": [
            {"at": "2026-11-24T10:00:00Z", "what": "hop", "who": "mx" + EVIL, "detail": "from b", "hearsay": True},
            {"what": "scan", "who": "clamav", "detail": "clean, 0.01 s"},
            {"at": "2026-11-24T10:00:00Z", "what": "attempt", "mail": M + "001", "detail": "attempt 1"},
        ],
        "more": 3,
    },
    "history": {
        "id": M,
        "entries": [
            {"seq": 4, "at": "2026-11-24T10:00:00Z", "kind": "mail.claim", "actor": "ben", "note": "mine"},
            {
                "seq": 9,
                "at": "2026-11-24T10:00:09Z",
                "kind": "mail.released",
                "actor": "system",
                "facts": {"queue_id": "4Abc" + EVIL, "tls": "TLSv1.3 X", "dsn": "not offered", "normalised": True},
            },
        ],
    },
    "attachments": {"id": M, "attachments": [{"name": "a.exe", "type": "application/x", "size": 9, "sha256": "ab"}]},
    "text": {"id": M, "text": "one\n\ttwo" + EVIL, "truncated": True},
}
TELLS = {
    "summary": [
        "status    ONHOLD",
        "claim     ben",
        "(and 7 mails more)",
        "Subject: Subject 1",
        "degraded  no boundary",
    ],
    "verdict": [
        "SPAM  7.5  content",
        "    3.5  BAYES_99  Bayes",
        "spamd: SPAM 7.5 of 5, 0.40 s",
        "clamav: VIRUS: Eicar, 0.01 s",
        "rspamd: away: it closed the connection in the middle, 0.00 s",
    ],
    "timeline": [
        "(and 3 steps before)",
        "(as others said) from b",
        "-                    scan            clamav            clean, 0.01 s",
        f"{M}001 attempt 1",
    ],
    "receipt": [
        "client     192.0.2.1",
        "through    192.0.2.9",
        "way in     milter",
        "RET=HDRS",
        "<a@b> NOTIFY=NEVER",
        "hop        from there by mx; Tue",
        "X-Spam-Flag: YES",
        "with       8BITMIME",
    ],
    "history": ["4  mail.claim      ben  mine", "queue id 4Abc", "TLSv1.3 X; DSN not offered; line ends made CRLF"],
    "attachments": ["a.exe  sha256 ab"],
    "text": ["one\n        two", "abc\n(cut: there is more"],
}


@pytest.mark.parametrize("part", PARTS)
def test_show_a_part(standin: StandIn, signed_in: Cli, home: Path, part: str) -> None:
    path = f"GET /api/v1/mails/{M}" + ("" if part == "summary" else f"/{part}")
    standin.answers[path] = PARTS[part]
    ended = signed_in("show", M, "--part", part)
    assert (ended.status, ended.err) == (0, "")
    for words in TELLS[part]:
        assert words in ended.out
    assert "\x1b" not in ended.out and "\u202e" not in ended.out

    shown = json.loads(signed_in("show", M, "--part", part, "--json").out)
    assert shown.keys() == PARTS[part].keys() | ({"source"} if part == "text" else set()) | shown.keys()
    file = home / "out"
    assert signed_in("show", M, "--part", part, "--output", str(file)) == (0, "", "")
    assert file.read_text() == ended.out


def test_show_what_is_not_there(standin: StandIn, signed_in: Cli) -> None:
    assert signed_in("show", mail_id(99)) == (4, "", "rcqueue: there is no such mail\n")
    ended = signed_in("show", "nonsense")
    assert ended.status == 2
    assert "'nonsense' is no id: a message's has 13 characters" in ended.err


def test_clean_mail_that_passed_has_no_kind(standin: StandIn, signed_in: Cli) -> None:
    kinds = [("PASSED", "POLICY"), ("PASSED", "SPAM"), ("ONHOLD", "POLICY")]
    standin.rows = [row(n, status=status, verdict=verdict) for n, (status, verdict) in enumerate(kinds)]
    assert [line.split("\t")[3] for line in signed_in("list", "status:any").out.splitlines()] == ["", "SPAM", "POLICY"]


# -- watch


class Watch:
    """`rcqueue watch` as a process; its lines as they come."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rcqueue", "watch", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def until(self, count: int) -> None:
        deadline = time.monotonic() + 10
        while len(self.lines) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.lines) >= count, self.lines

    def end(self) -> tuple[int, str]:
        self.process.wait(10)
        self._thread.join(10)
        assert self.process.stderr is not None
        with self.process.stderr, self.process.stdout:  # type: ignore[union-attr]
            return self.process.returncode, self.process.stderr.read()


def _subscribed(standin: StandIn) -> None:
    deadline = time.monotonic() + 10
    while not standin.said and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)


def test_watch_prints_what_happens_and_says_when_it_ends(standin: StandIn, signed_in: Cli) -> None:
    watch = Watch("--json")
    _subscribed(standin)
    standin.append(2)
    standin.append(1, kind="people.lock", message=None, row=None, note="ben")
    watch.until(3)
    standin.kick = 1012
    time.sleep(0.1)
    standin.append(1)
    watch.until(4)
    standin.kick = 4403
    status, err = watch.end()
    assert [json.loads(line)["seq"] for line in watch.lines] == [1, 2, 3, 4]
    assert status == 3
    assert err.splitlines() == [
        "rcqueue: the connection broke off; connecting again",
        "rcqueue: connected again; what was missed follows",
        "rcqueue: no right to view is left",
    ]


def test_watch_with_a_filter_asks_where_the_row_does_not_tell(standin: StandIn, signed_in: Cli) -> None:
    watch = Watch("from:gmail.com")
    _subscribed(standin)
    standin.append(1, row=row(1, fromEmail="x@other.example", sender="x@other.example"))
    standin.append(1, kind="mail.release", row=row(2, status="RELEASING"))
    standin.append(1, row=row(3, recipients=3, matching=3), message=mail_id(3))
    standin.append(1, row=row(99, recipients=3, matching=3), message=mail_id(99))
    standin.append(1)
    watch.until(3)
    standin.kick = 4401
    status, _ = watch.end()
    assert [line.split("\t")[1:4] for line in watch.lines] == [
        ["mail.release", "system", mail_id(2)],
        ["mail.hold", "system", mail_id(3)],
        ["mail.hold", "system", mail_id(5)],
    ]
    assert status == 3
    query = standin.calls("GET", "/api/v1/mails/rows")
    assert query, "the server was asked about the mails to many"


def test_watch_ends_quietly_when_it_is_interrupted(standin: StandIn, signed_in: Cli) -> None:
    watch = Watch()
    _subscribed(standin)
    standin.append(1)
    watch.until(1)
    watch.process.send_signal(signal.SIGINT)
    assert watch.end() == (130, "")


def test_watch_ends_quietly_when_nobody_reads_any_more(standin: StandIn, signed_in: Cli) -> None:
    end, written = os.pipe()
    command = [sys.executable, "-m", "rcqueue", "watch"]
    with subprocess.Popen(command, stdout=written, stderr=subprocess.PIPE, text=True) as watch:
        os.close(written)
        _subscribed(standin)
        standin.append(1)
        assert os.read(end, 1)
        os.close(end)  # as `head -n1` leaves
        standin.append(1)
        assert (watch.wait(10), watch.stderr.read()) == (0, "")  # type: ignore[union-attr]


def test_watch_says_at_once_that_there_is_no_server(signed_in: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RCQUEUE_SERVER", "http://127.0.0.1:1")
    ended = signed_in("watch")
    assert (ended.status, ended.out) == (5, "") and len(ended.err.splitlines()) == 1


def test_watch_with_a_wrong_filter(standin: StandIn, signed_in: Cli) -> None:
    ended = signed_in("watch", "fro:x")
    assert ended.status == 2
    assert "expected from" in ended.err
