"""import: what is found in files, for whom it is, and that a repeat does nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rcqueue.commands.importing import Found, envelope, messages
from rcqueue.commands.status import Failure
from tests.client.standin import StandIn, problem

from .conftest import Cli

MAIL = b"From: a@x.example\r\nTo: Ben <ben@example.org>, \r\n cleo@example.org\r\n\r\nbody\rbare\n\x00\xff"


def _mbox(*mails: bytes) -> bytes:
    return b"".join(b"From sender@x.example Tue Nov 24 10:00:00 2026\n" + mail + b"\n" for mail in mails)


# -- files


def test_a_message_as_it_stands(home: Path) -> None:
    (home / "a.eml").write_bytes(MAIL)
    assert list(messages(home / "a.eml")) == [Found(str(home / "a.eml"), MAIL)]


def test_mbox_is_cut_and_unquoted(home: Path) -> None:
    mails = [
        b"To: a@b\n\nFrom here it is text\n\nFrom: here too\n>>From quoted\n",
        b"To: a@b\n\nends in empty lines\n\n\n",
        b"To: a@b\r\n\r\nCRLF\r\n",
    ]
    stored = _mbox(*(mail.replace(b"\n>>From", b"\n>>>From") for mail in mails))
    (home / "box").write_bytes(stored)
    found = list(messages(home / "box"))
    assert [one.raw for one in found] == mails
    assert [one.place for one in found] == [f"{home}/box:{n}" for n in (1, 2, 3)]
    assert {one.sender for one in found} == {"sender@x.example"}


def test_mbox_with_a_from_line_after_an_empty_one_begins_a_mail(home: Path) -> None:
    (home / "box").write_bytes(
        b"From MAILER-DAEMON Tue 10:00\nTo: a@b\n\none\n\nFrom <x@y> Tue 10:00\nTo: c@d\n\ntwo\n"
    )
    assert [(one.raw, one.sender) for one in messages(home / "box")] == [
        (b"To: a@b\n\none\n", ""),
        (b"To: c@d\n\ntwo\n", "x@y"),
    ]


def test_maildir_and_folders(home: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (home / "dir" / name).mkdir(parents=True)
    for name in ("cur/1:2,S", "new/2", "tmp/3", "cur/.hidden"):
        (home / "dir" / name).write_bytes(MAIL)
    assert [Path(one.place).name for one in messages(home / "dir")] == ["1:2,S", "2"]
    (home / "folder").mkdir()
    (home / "folder" / "a.eml").write_bytes(MAIL)
    (home / "folder" / "b.mbox").write_bytes(_mbox(MAIL + b"\n", MAIL + b"\n"))
    (home / "folder" / "c.eml").write_bytes(b"From here on it is no mbox\n")
    assert [one.raw for one in messages(home / "folder")] == [
        MAIL,
        MAIL + b"\n",
        MAIL + b"\n",
        b"From here on it is no mbox\n",
    ]


# -- for whom


@pytest.mark.parametrize(
    ("fields", "sender", "recipients"),
    [
        ("To: Ben <ben@b.example>, (c) cleo@b.example", "", ["ben@b.example", "cleo@b.example"]),
        ("Delivered-To: d@b.example\nTo: t@b.example", "", ["d@b.example"]),
        (
            "X-Envelope-To: <e@b.example>\nX-Envelope-To: f@b.example\nTo: t@b.example",
            "",
            ["e@b.example", "f@b.example"],
        ),
        ("X-Envelope-To: undisclosed\nTo: t@b.example", "", ["t@b.example"]),
        ("Return-Path: <r@x.example>\nTo: t@b.example", "r@x.example", ["t@b.example"]),
        ("X-Envelope-From: <>\nReturn-Path: <r@x.example>\nTo: t@b.example", "", ["t@b.example"]),
        ("To: t@b.example, T <t@b.example>", "", ["t@b.example"]),
        ("To: =?utf-8?q?x?= <é@b.example>", "", None),
    ],
)
def test_the_envelope_is_that_of_the_fields(fields: str, sender: str, recipients: list[str] | None) -> None:
    found = Found("x", fields.encode() + b"\n\nbody\n")
    told, to = envelope(found, None, None)
    assert told == sender
    assert recipients is None or to == recipients
    assert all("@" in one for one in to)


def test_what_is_told_comes_first_and_mbox_last() -> None:
    found = Found("x", b"Return-Path: <r@x>\nTo: t@b.example\n\n", "line@x")
    assert envelope(found, "s@x", ["a@b"]) == ("s@x", ["a@b"])
    assert envelope(found, "", None) == ("", ["t@b.example"])
    assert envelope(Found("x", b"To: t@b.example\n\n", "line@x"), None, None) == ("line@x", ["t@b.example"])
    with pytest.raises(Failure, match="no recipient in X-Envelope-To"):
        envelope(Found("x", b"\xff\x00 no header at all"), None, None)


# -- the command


def test_bytes_go_in_as_they_are_and_a_repeat_does_nothing(standin: StandIn, signed_in: Cli, home: Path) -> None:
    (home / "a.eml").write_bytes(MAIL)
    (home / "box").write_bytes(_mbox(b"To: a@b.example\n\none\n", b"To: a@b.example\n\ntwo\n"))
    first = signed_in("import", str(home / "a.eml"), str(home / "box"), "--from", "s@x.example")
    assert (first.status, first.err) == (0, "rcqueue: 3 imported, 0 not\n")
    assert [line.split("\t")[1] for line in first.out.splitlines()] == [
        f"{home}/a.eml",
        f"{home}/box:1",
        f"{home}/box:2",
    ]
    headers, body = standin.calls("POST", "/api/v1/import")[0]
    assert body == MAIL
    assert headers["content-type"] == "application/octet-stream"
    asked = standin.requests[0][1].partition("?")[2]
    assert asked == "sender=s%40x.example&rcpt=ben%40example.org&rcpt=cleo%40example.org"

    again = signed_in("import", str(home / "a.eml"), str(home / "box"), "--from", "s@x.example", "--json")
    assert len(standin.written) == 3, "the same keys"
    assert json.loads(again.out.splitlines()[0]) == {
        "place": f"{home}/a.eml",
        "ids": [first.out.split("\t")[0]],
    }
    signed_in("import", str(home / "a.eml"), "--to", "other@example.org")
    assert len(standin.written) == 4, "to somebody else it is another"


def test_one_that_fails_does_not_stop_the_rest(standin: StandIn, signed_in: Cli, home: Path) -> None:
    (home / "none.eml").write_bytes(b"Subject: to nobody\n\n")
    (home / "good.eml").write_bytes(MAIL)
    ended = signed_in("import", str(home / "missing.eml"), str(home / "none.eml"), str(home / "good.eml"))
    assert ended.status == 1
    assert ended.out.endswith("good.eml\n")
    assert ended.err.splitlines() == [
        f"rcqueue: {home}/missing.eml: can't be read: No such file or directory",
        f"rcqueue: {home}/none.eml: no recipient in X-Envelope-To, X-Original-To, Delivered-To, To: give --to ADDRESS",
        "rcqueue: 1 imported, 2 not",
    ]


def test_one_that_is_refused(standin: StandIn, signed_in: Cli, home: Path) -> None:
    for name in ("a.eml", "b.eml"):
        (home / name).write_bytes(MAIL)
    standin.answers["POST /api/v1/import"] = problem("too-large", 413, "over 50 MiB")
    ended = signed_in("import", str(home / "a.eml"), str(home / "b.eml"))
    assert ended.status == 1
    assert ended.err.count("over 50 MiB") == 2
    standin.requests.clear()
    standin.answers["POST /api/v1/import"] = problem("forbidden", 403, "no right", right="release")
    ended = signed_in("import", str(home / "a.eml"), str(home / "b.eml"))
    assert ended.status == 3
    assert len(standin.requests) == 1, "the others would be refused as well"
