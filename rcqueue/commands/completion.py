"""completion: the scripts by which a shell completes our commands, made from the parser. They ask no server."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from rcqueue import __version__
from rcqueue.model.fields import FIELDS

from .arguments import Commands
from .status import DONE
from .tree import Node, Word, walk

_MORE = """
  bash    rcqueue completion bash > ~/.local/share/bash-completion/completions/rcqueue
  zsh     rcqueue completion zsh > a folder of $fpath, as _rcqueue
  fish    rcqueue completion fish > ~/.config/fish/completions/rcqueue.fish
"""
_TERMS = tuple(f"{name}:" for name in FIELDS)


def add(commands: Commands, parser: argparse.ArgumentParser) -> None:
    completion = commands.add("completion", "print a shell's completion of rcqueue", more=_MORE, connects=False)
    completion.add_argument("shell", metavar="SHELL", choices=tuple(_SHELLS), help="bash, zsh or fish")
    completion.set_defaults(run=lambda args: _print(args.shell, parser))


def _print(shell: str, parser: argparse.ArgumentParser) -> int:
    print(script(shell, parser), end="")
    return DONE


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script for `bash`, `zsh` or `fish`."""
    return _SHELLS[shell](list(walk(parser)))


def _at(node: Node) -> str:
    return "".join(f"/{word}" for word in node.path)


def _known(nodes: Iterable[Node]) -> list[str]:
    return [_at(node) for node in nodes if node.path]


def _arguments(node: Node) -> list[Word]:
    return [word for word in node.words if not word.flags]


def _values(word: Word) -> tuple[str, ...]:
    return word.choices or (_TERMS if word.filter else ())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _after(nodes: Iterable[Node], values: str, files: str, nothing: str) -> list[str]:
    """Branches of a `case`, by place and the word before: what an option's value may be. `values` has room for them."""
    lines = []
    for node in nodes:
        for word in node.words:
            if word.flags and word.metavar:
                cases = "|".join(f'"{_at(node)} {flag}"' for flag in word.flags)
                offered = values.format(" ".join(_values(word))) if _values(word) else files if word.file else nothing
                lines.append(f"        {cases}) {offered} return ;;")
    return lines


def _bash(nodes: Sequence[Node]) -> str:
    offers = []
    for node in nodes:
        words = [name for name, _ in node.commands] + [flag for word in node.words for flag in word.flags]
        words += [value for word in _arguments(node) for value in _values(word)]
        files = " compopt -o default;" if any(word.file for word in _arguments(node)) else ""
        offers.append(f'        "{_at(node)}"){files} words="{" ".join(words)}" ;;')
    known, after = _known(nodes), _after(nodes, 'words="{}" ; _rcqueue_offer;', "compopt -o default;", "")
    return f"""# bash completion of rcqueue {__version__}, made by `rcqueue completion bash`
_rcqueue_offer() {{
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    [[ ${{COMPREPLY[0]}} != *: ]] || compopt -o nospace
}}
_rcqueue() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} at= words= i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at/${{COMP_WORDS[i]}}" in
        {"|".join(known)}) at+=/${{COMP_WORDS[i]}} ;;
        esac
    done
    [[ $cur != : && $before != : ]] || return
    case "$at $before" in
{chr(10).join(after)}
    esac
    case "$at" in
{chr(10).join(offers)}
    esac
    _rcqueue_offer
}}
complete -F _rcqueue rcqueue
"""


def _zsh(nodes: Sequence[Node]) -> str:
    offers = []
    for node in nodes:
        named = [(name, help) for name, help in node.commands]
        named += [(flag, word.help) for word in node.words for flag in word.flags]
        described = " ".join(_quoted(f"{name}:{help}") for name, help in named)
        values = " ".join(value for word in _arguments(node) for value in _values(word))
        more = f" compadd -S '' -- {values};" if values else ""
        more += " _files;" if any(word.file for word in _arguments(node)) else ""
        offers.append(f'        "{_at(node)}") names=({described}); _describe -V rcqueue names;{more} ;;')
    known, after = _known(nodes), _after(nodes, "compadd -- {};", "_files;", "")
    return f"""#compdef rcqueue
# zsh completion of rcqueue {__version__}, made by `rcqueue completion zsh`
_rcqueue() {{
    local at= i
    local -a names
    for ((i = 2; i < CURRENT; i++)); do
        case "$at/$words[i]" in
        {"|".join(known)}) at+=/$words[i] ;;
        esac
    done
    case "$at $words[CURRENT-1]" in
{chr(10).join(after)}
    esac
    case "$at" in
{chr(10).join(offers)}
    esac
}}
if [[ $funcstack[1] = _rcqueue ]]; then _rcqueue "$@"; else compdef _rcqueue rcqueue; fi
"""


def _fish(nodes: Sequence[Node]) -> str:
    lines = []
    for node in nodes:
        start = f"complete -c rcqueue -n '__rcqueue_at \"{_at(node)}\"'"
        lines += [f"{start} -a {name} -d {_fish_quoted(help)}" for name, help in node.commands]
        for word in node.words:
            values = f" -a '{' '.join(_values(word))}'" if _values(word) else ""
            if word.flags:
                flags = "".join(f" -l {f[2:]}" if f.startswith("--") else f" -s {f[1:]}" for f in word.flags)
                takes = (" -r -F" if word.file else f" -x{values}") if word.metavar else ""
                lines.append(f"{start}{flags}{takes} -d {_fish_quoted(word.help)}")
            elif word.file or values:
                lines.append(f"{start}{' -F' if word.file else values}")
    return f"""# fish completion of rcqueue {__version__}, made by `rcqueue completion fish`
function __rcqueue_at
    set -l at
    for word in (commandline -opc)[2..-1]
        if contains -- "$at/$word" {" ".join(_known(nodes))}
            set at "$at/$word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c rcqueue -f
{chr(10).join(lines)}
"""


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
