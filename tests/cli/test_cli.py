"""The whole command line: the registry against its commands, help, and how commands end."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rcqueue import __version__, cli
from rcqueue.model.actions import Action, server_actions
from tests.client.standin import StandIn, mail_id, row

from .conftest import Cli, on_terminal


def _commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command that does something by itself."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        yield words
    for action in nested:
        for name, inner in action.choices.items():
            yield from _commands(inner, (*words, name))


COMMANDS = sorted(_commands(cli.build_parser()))


@pytest.mark.parametrize("action", server_actions(), ids=lambda action: action.name)
def test_every_action_that_reaches_the_server_is_a_command(action: Action) -> None:
    assert tuple((action.cli or action.verb).split()) in COMMANDS


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_says_what_it_does_and_how_it_ends(cli: Cli, words: tuple[str, ...]) -> None:
    ended = cli(*words, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert "exit status: 0 done, 1 failed, 2 usage, 3 refused (rights or claim), 4 not found, 5 server" in ended.out
    assert f"usage: rcqueue {' '.join(words)} " in ended.out
    assert "password" not in ended.out.split("usage:")[1].split("\n\n")[0].lower().replace(
        "rcqueue people password", ""
    )


def test_help_and_version(cli: Cli) -> None:
    ended = cli("--help")
    assert ended.status == 0
    for word in {words[0] for words in COMMANDS}:
        assert f"\n    {word} " in ended.out
    assert cli("--version") == (0, f"rcqueue {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["nonsense"], ["list", "--nonsense"], ["--nonsense"], ["list", "--lim", "3"]])
def test_what_is_no_command(cli: Cli, arguments: list[str]) -> None:
    ended = cli(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("usage: ")


def test_options_of_the_server_stand_before_or_after_the_command(standin: StandIn, signed_in: Cli) -> None:
    assert signed_in("--server", standin.url, "whoami").status == 0
    assert signed_in("whoami", "--server", standin.url).status == 0
    assert signed_in("--server", "https://127.0.0.1:9", "whoami", "--server", standin.url).status == 0


# -- the terminal


def test_without_a_terminal_it_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run([sys.executable, "-m", "rcqueue"], input="", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "rcqueue: standard input is not a terminal; for scripts there are rcqueue list, show and watch\n"
    )
    monkeypatch.setenv("TERM", "dumb")
    ended = on_terminal()
    assert ended.status == 2
    assert ended.out.startswith("rcqueue: TERM is dumb")
    assert ended.out.count("\n") == 1


# -- how commands end


def test_whoever_reads_may_stop_reading(standin: StandIn, signed_in: Cli) -> None:
    standin.rows = [row(n, subject="x" * 500) for n in range(1, 2001)]
    command = f"{sys.executable} -m rcqueue list | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    first, status = done.stdout.splitlines()
    assert first.startswith(mail_id(1))
    assert status == "0"
    full = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m rcqueue list > /dev/full"], capture_output=True, text=True
    )
    assert (full.returncode, full.stderr) == (1, "rcqueue: No space left on device\n")


def test_an_exception_is_one_line_without_what_was_in_hand(
    signed_in: Cli, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*arguments: object) -> None:
        secret = "the-secret"
        raise ValueError(f"could not do it with {secret}")

    monkeypatch.setattr("rcqueue.client.api.Api.whoami", breaks)
    ended = signed_in("whoami")
    assert ended.status == 1
    assert ended.err.count("\n") == 1
    assert "ValueError in " in ended.err
    assert "secret" not in ended.err


def test_ctrl_c(signed_in: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rcqueue.client.api.Api.whoami", interrupted)
    assert signed_in("whoami") == (130, "", "")


@pytest.mark.parametrize(
    "command", [["serve"], ["migrate"], ["config", "check"], ["people", "first-admin", "anna"], ["demo"]]
)
def test_what_runs_in_the_server_half_gets_its_arguments(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    import types

    got: list[argparse.Namespace] = []
    names = {"serve": "serve", "migrate": "migrate", "config": "check_config", "people": "first_admin"}
    module = types.SimpleNamespace()
    setattr(module, names.get(command[0], "demo_command"), lambda args: got.append(args) or 7)
    asked: list[str] = []
    monkeypatch.setattr("rcqueue.commands.server.import_module", lambda name: asked.append(name) or module)
    config = [] if command == ["demo"] else ["--config", "/etc/rcqueue.toml"]
    assert cli(*command, *config).status == 7
    (args,) = got
    if command == ["demo"]:
        assert asked == ["rcqueue.demo.command"]
        assert (args.serve_only, args.mails, args.rate, args.colleagues) == (False, 20, 1.0, 3)
        assert (args.data_dir, args.http, args.smtp) == (None, None, None)
    else:
        assert asked == ["rcqueue.server.command"]
        assert str(args.config) == "/etc/rcqueue.toml"


def test_without_the_server_half(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'sqlalchemy'", name="sqlalchemy")

    monkeypatch.setattr("rcqueue.commands.server.import_module", missing)
    ended = cli("serve", "--config", "x.toml")
    assert ended.status == 1
    assert ended.err == ("rcqueue: the server half is not installed (sqlalchemy is missing): install rcqueue[server]\n")


@pytest.mark.parametrize("rate", ["x", "-1", "nan", "1e9"])
def test_a_rate_that_is_none(cli: Cli, rate: str) -> None:
    ended = cli("demo", f"--rate={rate}")
    assert ended.status == 2
    assert f"'{rate}': expected mails a second, 0 to 10000" in ended.err


def test_the_terminal_alone_is_told_from_a_command() -> None:
    alone = cli._terminal_alone(["--server", "http://127.0.0.1:1", "--queue", "main"])
    assert alone is not None and alone.server == "http://127.0.0.1:1"
    for others in (["list"], ["--help"], ["--server"], ["--server", "http://x", "list"], ["--version"], ["--wrong"]):
        assert cli._terminal_alone(others) is None, others


def test_a_theme_that_is_named_is_remembered_and_one_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rcqueue import app, settings

    monkeypatch.setattr("rcqueue.commands.terminal.refusal", lambda *_: None)
    monkeypatch.setattr(app.RcqueueApp, "run", lambda self: None)
    assert cli.main(["--server", "http://127.0.0.1:9", "--theme", "mono"]) == 0
    assert settings.load().theme == "mono"
    assert cli.main(["--theme", "plaid"]) == 2
    assert "no theme 'plaid'; expected one of 16-colours, dark, high-contrast, light, mono" in capsys.readouterr().err
    assert settings.load().theme == "mono"
