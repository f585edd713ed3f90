"""A terminal's session as one moving picture (SVG), from what tmux shows: each state of the screen as long as it stood.

A line of the screen that stands in several states is written once. Nothing in the picture is a script; it moves by CSS.
"""

from __future__ import annotations

import html
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from .tmux import Tmux

CELL, LINE, FONT = 8.4, 18, 14  #: pixels: a cell's width, a line's height, the font's size
LONGEST, LAST = 2.5, 4.0  #: seconds that one state is shown at most; and the last one
SHORTEST = 0.12  #: what stood shorter is left out

_CONSOLE = Console(width=400, color_system="truecolor", force_terminal=True)
_WORD = re.compile(r"\S+")

Frame = tuple[float, str, str]  #: seconds, the screen with its escape sequences, what was typed


class Recorder:
    """Looks at a screen until it is closed. `typed` is shown below it: set it to the keys as they are pressed."""

    def __init__(self, screen: Tmux) -> None:
        self.screen, self.typed = screen, ""
        self.frames: list[Frame] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(0.04):
            shown = self.screen.coloured()
            if not self.frames or self.frames[-1][1:] != (shown, self.typed):
                self.frames.append((time.monotonic(), shown, self.typed))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def states(self) -> Iterator[Frame]:
        """Each state that stood long enough to be seen, with the seconds that it is shown."""
        ends = [at for at, _, _ in self.frames[1:]] + [self.frames[-1][0] + LAST]
        for number, ((at, shown, typed), end) in enumerate(zip(self.frames, ends, strict=True)):
            last = number == len(self.frames) - 1
            if last or end - at >= SHORTEST:
                yield (LAST if last else min(LONGEST, end - at)), shown, typed


def animated(states: list[Frame], width: int, height: int, *, text: str, background: str) -> str:
    """The picture, for a screen of so many cells; `text` and `background` are the terminal's own colours."""
    total = sum(seconds for seconds, _, _ in states)
    numbers: dict[str, int] = {}  # of what is drawn of a line
    shown: list[str] = []
    rules: list[str] = []
    at = 0.0
    for number, (seconds, screen, typed) in enumerate(states):
        lines = [_line(line, text, background) for line in AnsiDecoder().decode(screen)]
        used = [(numbers.setdefault(line, len(numbers)), row) for row, line in enumerate(lines) if line]
        rows = "".join(f'<use href="#l{line}" y="{row * LINE}"/>' for line, row in used)
        keys = f'<text x="{CELL}" y="{height * LINE + 26}" class="k">{html.escape(typed)}</text>' if typed else ""
        shown.append(f'<g class="s" style="animation-name:f{number}">{rows}{keys}</g>')
        begin, end = 100 * at / total, 100 * (at + seconds) / total
        before = f"0%,{begin:.3f}%{{visibility:hidden}}" if number else ""
        after = f"{end:.3f}%,100%{{visibility:hidden}}" if number < len(states) - 1 else ""
        rules.append(f"@keyframes f{number}{{{before}{begin:.3f}%,{end:.3f}%{{visibility:visible}}{after}}}")
        at += seconds
    drawn = "".join(f'<g id="l{number}">{line}</g>' for line, number in numbers.items())
    w, h = width * CELL + 2 * CELL, height * LINE + 40
    style = (
        f".s{{visibility:hidden;animation-duration:{total:.2f}s;animation-timing-function:step-end;"
        "animation-iteration-count:infinite}"
        f"text{{font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:{FONT}px}}"
        ".k{opacity:.75}" + "".join(rules)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.0f} {h}" width="{w:.0f}" height="{h}">'
        f"<style>{style}</style><defs>{drawn}</defs>"
        f'<rect width="100%" height="100%" fill="{background}"/>'
        f'<g transform="translate({CELL},8)" fill="{text}">{"".join(shown)}</g></svg>\n'
    )


def _line(line: Text, text: str, background: str) -> str:
    """One line of the screen: a background where there is one, and each run of text at its own place."""
    out: list[str] = []
    x = 0.0
    for words, style, _ in line.render(_CONSOLE):
        wide = cell_len(words) * CELL
        style = style or Style.null()
        front, back = _hex(style.color, text), _hex(style.bgcolor, background)
        if style.reverse:
            front, back = back, front
        if back != background:
            out.append(f'<rect x="{x:.1f}" width="{wide:.1f}" height="{LINE}" fill="{back}"/>')
        for word in _WORD.finditer(words):  # not every viewer keeps runs of spaces
            look = f' fill="{front}"' if front != text else ""
            look += ' font-weight="bold"' if style.bold else ""
            look += ' text-decoration="underline"' if style.underline else ""
            look += ' opacity=".6"' if style.dim else ""
            at, length = x + cell_len(words[: word.start()]) * CELL, cell_len(word[0]) * CELL
            out.append(
                f'<text x="{at:.1f}" y="{LINE - 5}" textLength="{length:.1f}"{look}>{html.escape(word[0])}</text>'
            )
        x += wide
    return "".join(out)


def _hex(color: Color | None, default: str) -> str:
    return default if color is None or color.is_default else color.get_truecolor().hex


def write(recorder: Recorder, file: Path, width: int, height: int) -> None:
    """Files what was seen, in the dark theme's colours."""
    picture = animated(list(recorder.states()), width, height, text="#c8ccd0", background="#14171a")
    file.write_text(picture, encoding="utf-8")
