"""Profiles and token files: which is used, and what each mistake says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rcqueue.client import session
from rcqueue.client.session import Profile, SessionError, choose, find_token, load_profiles, read_token, write_token

TOKEN = "tok-123"


@pytest.fixture
def profiles(home: Path) -> Path:
    path = session.profiles_path()
    path.parent.mkdir()
    (path.parent / "ca.pem").touch()
    path.write_text(
        'default = "work"\n[work]\nserver = "https://mail.example/"\nuser = "anna"\nca = "ca.pem"\n'
        '[lab]\nserver = "http://127.0.0.1:8025"\nproxy = "http://proxy.example:3128"\n'
    )
    return path


def test_a_profile_as_it_stands(profiles: Path) -> None:
    known = load_profiles()
    assert known.default == "work"
    ca = str(profiles.parent / "ca.pem")
    assert known.by_name["work"] == Profile("https://mail.example", "anna", ca, "", "work")


def test_no_file_is_no_profile(home: Path) -> None:
    assert load_profiles() == session.Profiles()
    assert choose() is None


@pytest.mark.parametrize(
    ("arguments", "environ", "server"),
    [
        (
            {"server": "https://a.example", "profile": "lab"},
            {"RCQUEUE_SERVER": "https://b.example"},
            "https://a.example",
        ),
        ({"profile": "lab"}, {"RCQUEUE_SERVER": "https://b.example"}, "http://127.0.0.1:8025"),
        ({}, {"RCQUEUE_SERVER": "https://b.example"}, "https://b.example"),
        ({}, {}, "https://mail.example"),
    ],
)
def test_which_is_used(profiles: Path, arguments: dict, environ: dict, server: str) -> None:
    chosen = choose(**arguments, environ=environ)
    assert chosen is not None
    assert chosen.server == server


def test_a_server_by_address_takes_the_certificates_of_its_profile(profiles: Path) -> None:
    chosen = choose("https://mail.example", environ={})
    assert chosen is not None
    assert (chosen.name, chosen.ca) == ("work", str(profiles.parent / "ca.pem"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('default = 7\n[a]\nserver="https://x"', "default: expected the name of a profile, found a number"),
        ('default = "b"\n[a]\nserver="https://x"', "default: expected one of a, found 'b'"),
        ('server = "https://x"', "server: expected a table [server] or the key default, found a text"),
        ('[a]\nserver="https://x"\nport=1', "[a] port: unknown key; expected server, user, ca or proxy"),
        ('[a]\nserver="https://x"\nuser=["b"]', "[a] user: expected a text in quotes, found a list"),
        ('[a]\nuser="b"', "[a] server: missing; expected https://HOST[:PORT]"),
        ('[a]\nserver="mail.example"', "[a] server: 'mail.example' is no server's address"),
        ('[a]\nserver="http://mail.example"', "[a] server: refused: http://mail.example would carry"),
        ('[a]\nserver="https://x"\nca="no.pem"', "[a] ca: expected a file of certificates, found none at"),
        ('["../a"]\nserver="https://x"', "[../a]: expected a name of letters"),
        ("[a", "not TOML: "),
        ("\udcff", "can't be read: not UTF-8"),
    ],
)
def test_a_mistake_names_file_key_and_what_was_expected(profiles: Path, text: str, says: str) -> None:
    profiles.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SessionError) as caught:
        load_profiles()
    assert str(caught.value).startswith(f"{profiles}: {says}")
    assert "\n" not in str(caught.value)


def test_a_profile_that_is_not_there(profiles: Path) -> None:
    with pytest.raises(SessionError, match=r"no profile 'x' in .*profiles.toml: expected one of lab, work"):
        choose(profile="x")


# -- token files


def _kept(home: Path) -> Path:
    return write_token(Profile("https://x", name="work"), TOKEN)


def test_what_is_written_is_found_again_and_dropped(home: Path) -> None:
    profile = Profile("https://x", name="work")
    assert find_token(profile, environ={}) is None
    path = write_token(profile, TOKEN)
    assert path == home / "run" / "rcqueue" / "work.token"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    write_token(profile, "another")
    assert find_token(profile, environ={}) == "another"
    assert [file.name for file in path.parent.iterdir()] == ["work.token"]
    session.drop_token(profile)
    session.drop_token(profile)
    assert find_token(profile, environ={}) is None


def test_the_mask_of_the_process_does_not_open_it(home: Path) -> None:
    before = os.umask(0)
    try:
        path = _kept(home)
    finally:
        os.umask(before)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_named_file_wins(home: Path, token_file: Path) -> None:
    profile = Profile("https://x", name="work")
    write_token(profile, TOKEN)
    assert find_token(profile, environ={"RCQUEUE_TOKEN_FILE": str(token_file)}) == token_file.read_text().strip()


@pytest.mark.parametrize(
    ("mode", "taken"),
    [
        (0o600, True),
        (0o400, True),
        (0o700, True),
        (0o640, False),
        (0o604, False),
        (0o644, False),
        (0o660, False),
        (0o620, False),
        (0o602, False),
        (0o666, False),
        (0o610, False),
        (0o601, False),
    ],
)
def test_modes_of_a_token_file(home: Path, mode: int, taken: bool) -> None:
    path = _kept(home)
    path.chmod(mode)
    for environ in ({}, {"RCQUEUE_TOKEN_FILE": str(path)}):
        if taken:
            assert find_token(Profile("https://x", name="work"), environ=environ) == TOKEN
        else:
            with pytest.raises(SessionError, match=rf"refused: mode {mode:04o} opens it to others; expected 0600"):
                find_token(Profile("https://x", name="work"), environ=environ)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o755, 0o770, 0o1777, 0o710])
def test_modes_of_its_folder(home: Path, mode: int) -> None:
    folder = _kept(home).parent
    folder.chmod(mode)
    profile = Profile("https://x", name="work")
    for use in (lambda: find_token(profile, environ={}), lambda: write_token(profile, TOKEN)):
        with pytest.raises(SessionError, match="opens it to others; expected 0700"):
            use()


def _link(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


@pytest.mark.parametrize("change", [_link, _pipe, _folder])
def test_what_is_no_regular_file(home: Path, change: Callable[[Path], None]) -> None:
    path = _kept(home)
    change(path)
    with pytest.raises(SessionError, match="refused: expected a regular file"):
        read_token(path)
    with pytest.raises(SessionError, match="refused: expected a regular file"):
        find_token(Profile("https://x", name="work"), environ={})


def test_a_folder_that_is_a_link(home: Path) -> None:
    folder = _kept(home).parent
    folder.rename(folder.with_name("real"))
    folder.symlink_to("real")
    with pytest.raises(SessionError, match="expected a folder of your own"):
        find_token(Profile("https://x", name="work"), environ={})


@pytest.mark.parametrize(
    "change", [lambda path: os.chown(path, 12345, -1), lambda path: os.chown(path.parent, 12345, -1)]
)
def test_of_somebody_else(home: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]) -> None:
    path = _kept(home)
    if os.geteuid() == 0:
        change(path)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(SessionError, match=r"refused: it belongs to user \d+; expected your own"):
        find_token(Profile("https://x", name="work"), environ={})


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words\n", b"two\nlines\n", b"x\r\nInjected: 1", b"\xff", b"x" * 5000]
)
def test_what_holds_no_token(token_file: Path, content: bytes) -> None:
    token_file.write_bytes(content)
    with pytest.raises(SessionError) as caught:
        read_token(token_file)
    assert str(caught.value) == f"{token_file}: expected one line with one token"


def test_a_file_that_is_not_there(home: Path) -> None:
    with pytest.raises(SessionError, match="no such token file"):
        find_token(Profile("https://x"), environ={"RCQUEUE_TOKEN_FILE": str(home / "none")})


@pytest.mark.parametrize(
    "url", ["https://../../etc", "https://a/../../b", "https://[::1]:8025", "https://UPPER.example"]
)
def test_the_name_of_a_file_for_any_address(url: str) -> None:
    name = session.token_path(Profile(url), Path("/run/x")).relative_to("/run/x")
    assert len(name.parts) == 1
    assert not str(name).startswith(".")
