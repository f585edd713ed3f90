"""The pass of a released mail: each thing that it is bound to counts; its key; and no field of ours from outside."""

from __future__ import annotations

import os

import pytest

from rcqueue.server import passes
from rcqueue.server.config import ConfigMistake
from rcqueue.server.release_key import DAYS, NAME, release_keys

from .harness import MAIL

KEY, OTHER = b"k" * 32, b"o" * 32
NOW = 1_764_000_000
SIGNED = ("rel-1", 2, NOW + 60, "ada@sender.example", "ben@example.org")


def carrying(value: str, release: str = "rel-1", mail: bytes = MAIL) -> bytes:
    return f"{passes.RELEASE_FIELD}: {release}\r\n{passes.PASS_FIELD}: {value}\r\n".encode() + mail


def signed(key: bytes = KEY) -> str:
    field = passes.sign(key, *SIGNED, MAIL)
    assert field is not None
    return field[1]


def checked(raw: bytes, sender: str = SIGNED[3], recipient: str = SIGNED[4], now: int = NOW, keys=(KEY,)) -> object:
    return passes.check(keys, raw, sender, recipient, now)


def test_a_pass_is_known_whatever_servers_put_on_top_and_whatever_is_in_the_header():
    value = signed()
    assert checked(carrying(value)) == ("rel-1", 2)
    assert checked(b"Received: from a\r\n by b\r\nX-RCQUEUE-Other: x\r\n" + carrying(value)) == ("rel-1", 2)
    assert checked(carrying(value).replace(b"X-Rcqueue", b"x-rcqUEUE")) == ("rel-1", 2)
    assert checked(carrying(value), now=NOW + 60) == ("rel-1", 2)
    assert checked(carrying(value), keys=(OTHER, KEY)) == ("rel-1", 2)
    for mail in (
        b"Subject: no body\r\n",
        b"Subject: empty\r\n\r\n",
        b"\r\nno header\r\n",
        b"text at once\r\n",
        b" fold\r\n\r\n",
        b"",
    ):
        field = passes.sign(KEY, *SIGNED, f"{passes.RELEASE_FIELD}: rel-1\r\n".encode() + mail)
        assert checked(carrying(field[1], mail=mail)) == ("rel-1", 2), mail


FORGED = {
    "body": lambda v: checked(carrying(v) + b"more\r\n"),
    "recipient": lambda v: checked(carrying(v), recipient="cleo@example.org"),
    "sender": lambda v: checked(carrying(v), sender="eve@sender.example"),
    "release": lambda v: checked(carrying(v, "rel-2")),
    "attempt": lambda v: checked(carrying(v.replace("a=2", "a=3"))),
    "end": lambda v: checked(carrying(v.replace(f"t={NOW + 60}", f"t={NOW + 999}"))),
}


@pytest.mark.parametrize("part", FORGED)
def test_what_is_signed_counts(part, monkeypatch):
    assert FORGED[part](signed()) is None
    # Nothing else would have refused it: with that part left out of what is signed, it passes.
    names = ("release", "attempt", "end", "sender", "recipient", "body")
    real = passes._mac

    def careless(key, *parts):
        return real(key, *(type(p)() if n == part else p for n, p in zip(names, parts, strict=True)))

    monkeypatch.setattr(passes, "_mac", careless)
    assert FORGED[part](signed()) is not None


def test_what_is_no_pass():
    value = signed()
    assert checked(carrying(value), now=NOW + 61) is None  # over
    assert checked(carrying(value), keys=()) is None
    assert checked(carrying(value), keys=(OTHER,)) is None
    assert checked(carrying(signed(OTHER))) is None
    assert checked(MAIL) is None
    assert checked(MAIL + carrying(value)) is None  # in the body
    twice = f"{passes.PASS_FIELD}: {value}\r\n".encode()
    assert checked(twice + carrying(value)) is None
    assert checked(carrying(value).replace(b"X-Rcqueue-Release: rel-1\r\n", b"")) is None
    for odd in ("", "x", value[:-1], value.replace("h=", "h=é"), value.replace("t=", "t=-"), value.upper(), "a" * 5000):
        assert checked(carrying(odd)) is None, odd
    # A header that is not read to its end is no header whose body could be told.
    endless = carrying(value, mail=b"X-Pad: x\r\n" * 50_000 + MAIL)
    assert checked(endless) is None
    assert passes.sign(KEY, *SIGNED, endless) is None


def test_fields_of_ours_go_and_all_else_stays():
    raw = (
        b"X-Rcq-Verdict: forged\r\n folded\r\nFrom: a\r\nx-rcqueue-RELEASE : 1\r\nX-Rcqueues: stays\r\n"
        b"X-Rcqueue-:\r\nSubject: X-Rcq-A: x\r\n\r\nX-Rcq-In: body\r\n"
    )
    left = b"From: a\r\nX-Rcqueues: stays\r\nSubject: X-Rcq-A: x\r\n\r\nX-Rcq-In: body\r\n"
    assert passes.without_ours(raw) == (left, 3)
    assert passes.without_ours(MAIL) == (MAIL, 0)
    assert passes.without_pass(raw) == raw
    assert passes.without_pass(b"X-Rcqueue-Release: 1\r\n" + carrying("x\r\n y")) == b"X-Rcqueue-Release: 1\r\n" + (
        b"X-Rcqueue-Release: rel-1\r\n" + MAIL
    )
    long = b"X-Pad: x\r\n" * 50_000
    assert passes.without_ours(long + b"X-Rcq-A: 1\r\n\r\nX-Rcq-In: body\r\n") == (long + b"\r\nX-Rcq-In: body\r\n", 1)


def test_the_key_is_made_once_and_kept_when_it_is_changed(tmp_path):
    umask = os.umask(0)
    (key,) = release_keys(tmp_path)
    os.umask(umask)
    file = tmp_path / NAME
    assert len(key) == 32 and file.stat().st_mode & 0o777 == 0o600
    assert release_keys(tmp_path) == (key,)
    old = file.stat().st_mtime - DAYS * 86400 - 1
    for before in ((key,), None):
        os.utime(file, (old, old))
        new = release_keys(tmp_path)
        assert len(new) == 2 and new[0] != new[1] and (before is None or new[1:] == before)
        assert release_keys(tmp_path) == new and file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("wrong", ["mode", "text", "link", "folder"])
def test_a_key_that_cannot_be_trusted_is_refused_and_never_said(tmp_path, wrong):
    (key,) = release_keys(tmp_path)
    file = tmp_path / NAME
    match wrong:
        case "mode":
            file.chmod(0o640)
        case "text":
            file.write_text(key.hex()[:-1] + "\n")
        case "link":
            file.rename(tmp_path / "elsewhere")
            file.symlink_to(tmp_path / "elsewhere")
        case "folder":
            file.unlink()
            file.mkdir()
    with pytest.raises(ConfigMistake) as refused:
        release_keys(tmp_path)
    assert str(file) in str(refused.value) and "expected" in str(refused.value)
    assert key.hex()[:10] not in str(refused.value)
