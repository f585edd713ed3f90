"""Completion, tried in the shells themselves, and the manual page, set by groff."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from rcqueue.commands.completion import script as completion
from rcqueue.commands.manual import page
from rcqueue.commands.tree import walk
from rcqueue.model.fields import FIELDS
from tests import surface

from .conftest import Cli

#: What is typed, the last word unfinished; what must be offered, and what must not.
TYPED = [
    ("", {"list", "release", "people"}, {"lock", "--json"}),
    ("--s", {"--server"}, {"--json", "list"}),
    ("rel", {"release"}, {"list"}),
    ("people ", {"lock", "create", "first-admin"}, {"release", "people"}),
    ("--server URL people l", {"list", "lock"}, {"login"}),
    ("people lock ben b", {"bodies"}, {"--json"}),
    ("show --", {"--part", "--json", "--output"}, {"--limit"}),
    ("show --part ", {"summary", "raw", "timeline"}, {"--part", "list"}),
    ("release --as st", {"stripped"}, {"status:", "--as"}),
    ("list sta", {"status:"}, {"status", "--sort"}),
    ("release --filter ver", {"verdict:"}, set()),
    ("list --limit ", set(), {"--limit", "list"}),
    ("list list --j", {"--json"}, {"lock"}),
]

# What a completion is asked for, without a keyboard: each prints what would be offered, a word a line.
_BASH = """source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }
_rcqueue; printf '%s\\n' "${COMPREPLY[@]}" """
_ZSH = """compdef() { :; }; source $1; shift; words=("$@"); CURRENT=$#; P=$words[-1]
_describe() { local n; for n in $names; do [[ $n = $P* ]] && print -r -- ${n%%:*}; done; }
compadd() { local w; for w in "$@"; do [[ $w = $P* && $w != -S && -n $w && $w != -- ]] && print -r -- $w; done; }
_files() { :; }
_rcqueue; true"""
_FISH = 'source $argv[1]; complete -C "$argv[2]" | string replace -r "\\t.*" ""; true'


@cache
def _script(shell: str) -> str:
    return completion(shell, surface.build_parser())


def offered(shell: str, typed: str, folder: Path) -> set[str]:
    file = folder / f"rcqueue.{shell}"
    file.write_text(_script(shell))
    words = ["rcqueue", *typed.split(" ")]
    command = {
        "bash": ["bash", "--norc", "-c", _BASH, "bash", str(file), *words],
        "zsh": ["zsh", "-f", "-c", _ZSH, "zsh", str(file), *words],
        "fish": ["fish", "--no-config", "-c", _FISH, str(file), " ".join(words)],
    }[shell]
    home = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "TERM": "dumb", "LANG": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=home, check=False, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_offers_what_fits_and_nothing_else(shell: str, tmp_path: Path) -> None:
    for typed, must, must_not in TYPED:
        found = offered(shell, typed, tmp_path)
        assert must <= found and not must_not & found, (typed, found)


def test_every_option_of_every_command_is_completed(tmp_path: Path) -> None:
    for node in walk(surface.build_parser()):
        flags = {flag for word in node.words for flag in word.flags if flag.startswith("--")}
        assert flags <= offered("bash", " ".join((*node.path, "--")), tmp_path), node.path


def test_the_command_prints_the_script(cli: Cli) -> None:
    ended = cli("completion", "fish")
    assert ended == (0, completion("fish", surface.build_parser()), "")
    assert cli("completion", "csh").status == 2


def test_the_manual_page_is_good_roff_and_whole(cli: Cli) -> None:
    ended = cli("man")
    assert (ended.status, ended.err) == (0, "") and ended.out == page(surface.build_parser())
    set_ = subprocess.run(
        ["groff", "-man", "-Tutf8", "-P-cbou", "-ww", "-rLL=100n"], input=ended.out, capture_output=True, text=True
    )
    assert (set_.returncode, set_.stderr) == (0, "")
    for words in surface.commands():
        assert re.search(rf"^ +rcqueue {' '.join(words)}$", set_.stdout, re.MULTILINE), words
    for flag in ("--expect", "--dry-run", "--no-limit"):
        assert flag in set_.stdout
    assert all(f"{name}:" in set_.stdout for name in FIELDS if name in ("status", "from", "verdict"))
    assert "\x1b" not in set_.stdout and "RCQUEUE_TOKEN_FILE" in set_.stdout
