"""Every private name of Textual and Rich that `rcqueue.terminal` uses. When an upgrade moves one, this fails first."""

import inspect

import pytest
import textual._cells
import textual._compositor
import textual.drivers._writer_thread
from textual import events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.screen import Screen

from rcqueue.terminal.driver import FrugalApp, FrugalDriver


@pytest.mark.parametrize("name", ["_display", "_handle_exception", "_fatal_error", "_print_error_renderables"])
def test_methods_of_the_application(name: str) -> None:
    assert callable(getattr(App, name))


@pytest.mark.parametrize(
    "name",
    ["_driver", "_batch_count", "_running", "_closed", "_exception", "_exit_renderables", "_close_messages_no_wait"],
)
def test_attributes_of_the_application(name: str) -> None:
    assert hasattr(App(), name)


def test_methods_of_the_driver() -> None:
    for name in ("_sigtstp_application", "_sigcont_application"):
        assert callable(getattr(LinuxDriver, name))
        assert f"self.{name}" in inspect.getsource(LinuxDriver.__init__)
    source = inspect.getsource(LinuxDriver)
    for name in ("_key_thread", "_app", "_loop"):
        assert f"self.{name}" in source + inspect.getsource(Driver)


def test_only_the_display_method_draws() -> None:
    """The compositor's updates go through `App._display` and nowhere else."""
    source = inspect.getsource(Screen)
    assert source.count("app._display(") == 2 and "_driver.write" not in source
    display = inspect.signature(App._display)
    assert list(display.parameters) == ["self", "screen", "renderable"]


def test_what_an_update_consists_of() -> None:
    assert list(inspect.signature(textual._compositor.LayoutUpdate).parameters) == ["strips", "region"]
    assert list(inspect.signature(textual._compositor.ChopsUpdate).parameters) == ["chops", "spans", "chop_ends"]
    assert issubclass(textual._compositor.ChopsUpdate, textual._compositor.CompositorUpdate)
    assert textual._cells.cell_len("日a") == 3


def test_the_answer_to_the_fence() -> None:
    answers = list(XTermParser().feed("\x1b[1;1R"))
    assert [type(answer) for answer in answers] == [events.CursorPosition]


def test_everything_overridden_exists() -> None:
    """No override of ours has lost what it overrides."""
    ours = {
        *("get_driver_class", "_display", "get_system_commands", "action_screenshot", "save_screenshot"),
        *("deliver_screenshot", "return_code", "panic", "_fatal_error", "_print_error_renderables"),
    }
    for name in ours:
        assert name in vars(FrugalApp) and hasattr(App, name)
    theirs = {
        *("write", "start_application_mode", "stop_application_mode", "close", "process_message"),
        *("_sigtstp_application", "_sigcont_application"),
    }
    for name in theirs:
        assert name in vars(FrugalDriver) and hasattr(LinuxDriver, name)
