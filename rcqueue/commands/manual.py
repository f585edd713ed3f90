"""man: the manual page, in roff, made from the parser."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator

from rcqueue import __version__

from .arguments import EXIT_HELP, FILTER_HELP, Commands
from .status import DONE
from .tree import Node, Word, walk

_NAME = "rcqueue - marshal a live queue of held mail, with others"
_ENVIRONMENT = (
    ("RCQUEUE_SERVER", "the URL of the server, where neither --server nor --profile names one"),
    ("RCQUEUE_TOKEN_FILE", "a file (0600) with a token in it, by which scripts sign in"),
    ("RCQUEUE_THEME", "the theme of the terminal, where --theme names none"),
    ("NO_COLOR", "the theme is mono, where none is chosen"),
)
_FILES = (
    ("~/.config/rcqueue/profiles.toml", "servers by name, and the default one"),
    ("~/.config/rcqueue/terminal.toml", "the terminal's settings: theme, columns, keys"),
    ("~/.config/rcqueue/themes/", "themes of your own"),
)
_EVERYWHERE = {"--help", "--server", "--profile"}  # said once, of rcqueue itself


def add(commands: Commands, parser: argparse.ArgumentParser) -> None:
    man = commands.add("man", "print the manual page, in roff", more="\n  rcqueue man | man -l -\n", connects=False)
    man.set_defaults(run=lambda args: _print(parser))


def _print(parser: argparse.ArgumentParser) -> int:
    print(page(parser), end="")
    return DONE


def page(parser: argparse.ArgumentParser) -> str:
    root, *commands = walk(parser)
    lines = [
        f'.TH RCQUEUE 1 "" "rcqueue {__version__}" "User Commands"',
        *(".ad l", ".nh"),  # a line with a long word in it is not pulled apart
        *(".SH NAME", _text(_NAME)),
        *(".SH SYNOPSIS", ".B rcqueue", _text(root.usage.removeprefix("rcqueue "))),
        *(".SH DESCRIPTION", _text(" ".join((parser.description or "").split()))),
        *(".SH OPTIONS", *_words(root, frozenset())),
        ".SH COMMANDS",
    ]
    for node in commands:
        if not node.commands:
            lines += _command(node)
    lines += [".SH FILTERS", *_text(FILTER_HELP.strip()).split("\n")]
    lines += [".SH EXIT STATUS", _text(EXIT_HELP.strip().removeprefix("exit status: "))]
    for title, pairs in (("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES)):
        lines.append(f".SH {title}")
        for name, says in pairs:
            lines += [".TP", f".B {_text(name)}", _text(says)]
    return "\n".join(lines) + "\n"


def _command(node: Node) -> Iterator[str]:
    yield f".SS {_text(' '.join(('rcqueue', *node.path)))}"
    yield _text(node.help[:1].upper() + node.help[1:] + ".")
    yield ".PP"
    yield _text(node.usage)
    yield from _words(node, _EVERYWHERE)
    more = node.more.replace(EXIT_HELP, "").replace(FILTER_HELP, "")
    for paragraph in filter(None, map(str.strip, re.split(r"\n\s*\n", textwrap.dedent(more.strip("\n"))))):
        yield from (".PP", *(_text(paragraph).split("\n") if "\n  " not in paragraph else _as_it_is(paragraph)))


def _as_it_is(paragraph: str) -> list[str]:
    return [".nf", *_text(paragraph).split("\n"), ".fi"]


def _words(node: Node, but: frozenset[str] | set[str]) -> Iterator[str]:
    for word in node.words:
        if but.isdisjoint(word.flags):
            yield from (".TP", _named(word), _text(_help(word)))


def _named(word: Word) -> str:
    value = rf"\fI{_text(word.metavar)}\fR" if word.metavar else ""
    flags = ", ".join(rf"\fB{_text(flag)}\fR" for flag in word.flags)
    return f"{flags} {value}".strip()


def _help(word: Word) -> str:
    one_of = f"one of {', '.join(word.choices)}" if word.choices else ""
    return "; ".join(filter(None, (word.help, one_of))) or "see above"


def _text(text: str) -> str:
    """As roff takes it: no line of it is a request, and a hyphen is one that can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^(?=[.'])", r"\\&", escaped)
