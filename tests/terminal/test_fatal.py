"""What is said when it breaks, and what is never kept."""

import io
import re
from pathlib import Path

import pytest
from textual.app import ComposeResult
from textual.widgets import Static

from rcqueue.terminal.caps import Caps
from rcqueue.terminal.driver import FrugalApp
from rcqueue.terminal.fatal import SafeStream, describe
from tests.payloads import PAYLOADS


def failure(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return raised


def test_an_error_is_described_by_its_place_not_its_text() -> None:
    for _, text in PAYLOADS:
        line = describe(failure(ValueError(text)))
        assert line.startswith(f"rcqueue: stopped by an internal error: ValueError in {__name__}, line ")
        assert line.isprintable()


def test_the_place_in_our_own_code_is_named_too() -> None:
    class Environment(dict[str, str]):
        def get(self, *args: object) -> str:
            raise LookupError

    with pytest.raises(LookupError) as caught:
        Caps.of(Environment())
    assert re.search(
        rf"LookupError in {__name__}, line \d+, from rcqueue.terminal.caps, line \d+$", describe(caught.value)
    )


def test_an_error_that_was_never_raised() -> None:
    assert describe(KeyError("\x1b")) == "rcqueue: stopped by an internal error: KeyError"


def test_the_stream_for_standard_error() -> None:
    out = io.StringIO()
    stream = SafeStream(out)
    for _, text in PAYLOADS:
        assert stream.write(text) == len(text)
    print("two\nlines", file=stream, flush=True)
    assert out.getvalue().endswith("two\nlines\n")
    assert all(char.isprintable() or char == "\n" for char in out.getvalue())


class App(FrugalApp[None]):
    def compose(self) -> ComposeResult:
        yield Static("hello")


async def test_without_a_terminal_it_is_a_stock_application() -> None:
    async with App().run_test() as pilot:
        assert pilot.app.is_headless
        assert "hello" in pilot.app.export_screenshot()  # what snapshot tests compare


async def test_an_error_reaches_the_test() -> None:
    class Broken(App):
        def on_mount(self) -> None:
            raise ZeroDivisionError

    app = Broken()
    with pytest.raises(ZeroDivisionError):
        async with app.run_test():
            pass
    assert app.return_code == 1


async def test_no_picture_of_the_screen_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    async with App().run_test() as pilot:
        app = pilot.app
        app.save_screenshot("picture.svg", str(tmp_path))
        app.deliver_screenshot("picture.svg", str(tmp_path))
        await app.run_action("screenshot")
        await pilot.pause()
        assert "Screenshot" not in {command.title for command in app.get_system_commands(app.screen)}
        assert any("Screenshots are off" in note.message for note in app._notifications)
    assert list(tmp_path.iterdir()) == []
