"""Hostile text in every kind of widget, with the first gate left out, in a real pseudo terminal: nothing of it gets
through the last one. The same check on the same application without it finds plenty."""

import ast
import inspect
import re
import sys

import pytest
from textual.drivers.linux_driver import LinuxDriver

from rcqueue.terminal.driver import _MODES
from tests.payloads import PAYLOADS
from tests.ptyharness import KEYS, Pty
from tests.vt_oracle import find_foreign_controls

# Of each payload, from its first control code on (if it has one, and more than that); but for two that we may send too.
COMMANDS = {
    name: found[0].encode("utf-8", "replace")
    for name, text in PAYLOADS
    if (found := re.search(r"[\x00-\x1f\x7f-\x9f][^B]+", text)) and name not in ("csi-cursor-report", "csi-cut-off")
}


def record(*how: str, env: dict[str, str] | None = None) -> bytes:
    """All that the application writes, from start to end, on a terminal that has room for every widget."""
    with Pty([sys.executable, "-m", "tests.terminal.apps", "hostile", *how], height=310, env=env) as pty:
        pty.wait_until(lambda: b"all shown" in pty.recorded, what="the end of the show")
        pty.settle()
        for key in ("tab", "down", "end", "tab", "down", "pagedown", "tab", "tab", "end"):
            pty.send(KEYS[key])
            pty.settle(0.05)
        pty.send(KEYS["ctrl+q"])
        pty.wait_for_end()
        return bytes(pty.recorded)


def commands_in(recorded: bytes) -> list[str]:
    return [name for name, command in COMMANDS.items() if command in recorded]


def test_there_are_payloads() -> None:
    assert len(PAYLOADS) == len(dict(PAYLOADS)) >= 36
    assert len(COMMANDS) >= 25


@pytest.mark.parametrize("env", [{}, {"RCQUEUE_PLAIN": "1", "COLORTERM": "", "TERM": "tmux-256color"}], ids=str)
def test_nothing_hostile_reaches_the_terminal(env: dict[str, str]) -> None:
    recorded = record(env=env)
    assert find_foreign_controls(recorded) == []
    assert commands_in(recorded) == []
    assert b"safe.txt" in recorded and b"paypal" in recorded  # it was shown, what there is to show


def test_the_check_sees_what_the_gate_holds_back() -> None:
    found = find_foreign_controls(recorded := record("ungated"))
    assert len(found) > 100
    assert len({line.split()[0] for line in found}) > 25
    assert len(commands_in(recorded)) > 20


def test_the_check_sees_what_plain_textual_lets_through() -> None:
    assert len(find_foreign_controls(record("stock"))) > 100


@pytest.mark.parametrize(
    "hostile",
    [text for _, text in PAYLOADS if re.search(r"[\x00-\x1f\x7f-\x9f]", text) and "\x07\x07" not in text]
    + [
        "\x1b[2J",
        "\x1b[31m",
        "\x1b[?47h",
        "\x1b[?2026$p\x1b[c",
        "\x1b]52;c;?\x07",
        "\x1b]0;x\x07",
        "plain",
        "\x1b[?25h\n",
    ],
)
def test_a_driver_refuses_what_is_no_mode(hostile: str) -> None:
    assert not _MODES.fullmatch(hostile)


def test_modes_that_textual_sets_are_let_through() -> None:
    """Each literal that Textual's driver writes."""
    source = re.sub(r"^ *#.*", "", inspect.getsource(LinuxDriver), flags=re.MULTILINE)
    written = [ast.literal_eval(f'"{text}"') for text in re.findall(r'write\("([^"{]+)"\)', source)]
    assert len(written) > 20
    assert [text for text in written if not _MODES.fullmatch(text)] == []


def test_the_oracle() -> None:
    assert find_foreign_controls("\x1b[1;38;2;1;2;3mé日\x1b[K\x1b[2;3H\r\x1b[6n".encode()) == []
    for text in ("\x1b[31;99m", "\x1b[2J", "\x1b[4h", "\x1b]0;", "\n", "\x9b", "\u202e", "e" + "\u0301" * 5, "\ue000"):
        assert find_foreign_controls(f"ok{text}".encode())
    assert find_foreign_controls(b"\xff")
