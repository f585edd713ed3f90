"""The commands as plain data, out of the one parser of them all: what completion and the man page are made from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """An option (with flags) or an argument (without)."""

    flags: tuple[str, ...]
    metavar: str  #: what its value is called; "" when it takes none
    help: str
    choices: tuple[str, ...]

    @property
    def file(self) -> bool:
        return self.metavar in ("FILE", "DIR") or (self.metavar == "PATH" and not self.flags)  # else of a customer

    @property
    def filter(self) -> bool:
        return self.metavar == "FILTER"


@dataclass(frozen=True, slots=True)
class Node:
    """One command: `path` is the words that lead to it, () for rcqueue itself."""

    path: tuple[str, ...]
    help: str
    usage: str
    more: str  #: what follows the options in its --help
    words: tuple[Word, ...]
    commands: tuple[tuple[str, str], ...]  #: those below it, with their help


def walk(parser: argparse.ArgumentParser, path: tuple[str, ...] = (), help: str = "") -> Iterator[Node]:
    """The parser's command, then those below it, in their order."""
    words: list[Word] = []
    below: list[tuple[str, argparse.ArgumentParser, str]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {choice.dest: choice.help or "" for choice in action._choices_actions}
            below += [(name, child, said.get(name, "")) for name, child in action.choices.items()]
        else:
            words.append(_word(parser, action))
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    commands = tuple((name, text) for name, _, text in below)
    yield Node(path, help, usage, parser.epilog or "", tuple(words), commands)
    for name, child, text in below:
        yield from walk(child, (*path, name), text)


def _word(parser: argparse.ArgumentParser, action: argparse.Action) -> Word:
    takes = action.nargs != 0
    metavar = action.metavar or action.dest.upper().replace("_", "-")
    help = (action.help or "") % {"prog": parser.prog, "default": action.default}
    return Word(
        tuple(action.option_strings),
        str(metavar) if takes else "",
        help,
        tuple(map(str, action.choices or ())),
    )
