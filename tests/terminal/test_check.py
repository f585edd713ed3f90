"""Why a terminal is refused, and what its capabilities are taken to be."""

import io
import os
import pty
from collections.abc import Iterator
from typing import TextIO

import pytest

from rcqueue.terminal.caps import Caps
from rcqueue.terminal.check import refusal
from tests.ptyharness import set_size

GOOD = {"TERM": "xterm-256color"}


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    master, slave = pty.openpty()
    set_size(slave, 80, 24)
    with open(slave, "r+b", buffering=0) as raw, io.TextIOWrapper(raw, encoding="utf-8", write_through=True) as text:
        yield text
    os.close(master)


def test_a_good_terminal(terminal: TextIO) -> None:
    assert refusal(GOOD, terminal, terminal) is None


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "TERM is not set: a terminal that can move its cursor is needed"),
        ({"TERM": "dumb"}, "TERM is dumb"),
        (
            GOOD | {"RCQUEUE_CAPS": "-scroll bold"},
            "RCQUEUE_CAPS: 'bold' is not + or - and one of regions, scroll",
        ),
        (GOOD | {"RCQUEUE_CAPS": "+\x1b[2J"}, r"'+\x1b[2J'"),
    ],
)
def test_the_environment(environ: dict[str, str], says: str, terminal: TextIO) -> None:
    answer = refusal(environ, terminal, terminal)
    assert answer and says in answer and answer.isprintable()


def test_no_terminal(terminal: TextIO) -> None:
    assert "standard input is not a terminal" in (refusal(GOOD, io.StringIO(), terminal) or "")
    assert "standard output is not a terminal" in (refusal(GOOD, terminal, io.StringIO()) or "")


@pytest.mark.parametrize(("width", "height", "fits"), [(59, 24, False), (60, 16, True), (80, 15, False), (0, 0, True)])
def test_the_size(width: int, height: int, fits: bool, terminal: TextIO) -> None:
    set_size(terminal.fileno(), width, height)
    answer = refusal(GOOD, terminal, terminal)
    assert answer is None if fits else answer == f"the terminal has {width}x{height} cells, at least 60x16 are needed"


@pytest.mark.parametrize(("encoding", "fits"), [("utf-8", True), ("UTF8", True), ("ascii", False), ("latin-1", False)])
def test_the_encoding(encoding: str, fits: bool, terminal: TextIO) -> None:
    with open(terminal.fileno(), "w", encoding=encoding, closefd=False) as out:
        answer = refusal(GOOD, terminal, out)
    assert answer is None if fits else answer is not None and "UTF-8 is needed" in answer


def test_capabilities() -> None:
    xterm = Caps.of({"TERM": "xterm-256color"})
    assert xterm == Caps(regions=True, scroll=True, lines=True, erase=True)
    assert Caps.of({"TERM": "xterm-256color", "RCQUEUE_CAPS": "-erase +repeat"}) == Caps(
        regions=True, scroll=True, lines=True, repeat=True
    )
    assert Caps.of({"TERM": "xterm-256color", "RCQUEUE_PLAIN": "1"}) == Caps(diff=False)
