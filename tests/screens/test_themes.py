"""Each screen in each theme: all can be read, and what a colour says a word or mark says too."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest
from rich.color import ColorType
from rich.segment import Segment
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import ModalScreen

from rcqueue import theme
from rcqueue.app import RcqueueApp
from rcqueue.widgets.plain_table import PlainTable
from tests.contrast import PALETTES, contrast, rgb

from . import test_snapshots as snapshots
from .terminal import queue, terminal

THEMES = {"dark": 4.5, "light": 4.5, "high-contrast": 7.0, "16-colours": 4.5, "mono": None}

#: Every screen that there is a snapshot of, as the snapshot brings it about.
SCREENS = {
    name.removeprefix("test_"): test
    for name, test in vars(snapshots).items()
    if name.startswith("test_") and list(inspect.signature(test).parameters) == ["snap_compare", "size"]
}

#: What a text in the colour of a meaning must say by itself; who looks is anna.
SAYS = {
    "mine": r"anna|\byou\b",
    "bad": r"VIRUS|fail|lost|down|away|no answer|not there|wrong|refuse|rolled back|can't|old|differs|!",
    "warn": r"exp|\b\d+[hm]\b|old|UNCERTAIN|uncertain|lost|lack|paused|at most|451|alert|bodies|held|differs|!",
}  # warn: hours are less than a day; `bodies` stands under LOCKED


def test_there_are_five_and_no_more() -> None:
    assert theme.names([theme.packaged()]) == sorted(THEMES)


@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_can_be_read_in_every_theme(screen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if screen == "palette":  # while it is open it keeps its frame as it was
        for name in THEMES:
            monkeypatch.setenv("RCQUEUE_THEME", name)
            read(screen, [name])
    else:
        read(screen, THEMES)


def read(screen: str, names: Iterable[str]) -> None:
    """Brings the screen about, and looks at it in each of these themes."""

    def compare(app: RcqueueApp, terminal_size: tuple[int, int], run_before: Callable[[Pilot[Any]], Awaitable[None]]):
        async def run() -> None:
            async with app.run_test(size=terminal_size) as pilot:
                await run_before(pilot)
                for name in names:
                    chosen = theme.load(name, [theme.packaged()])
                    app.register_theme(chosen)
                    app.theme = chosen.name
                    await pilot.pause()
                    look(app, name)

        asyncio.run(run())
        return True

    SCREENS[screen](compare, (100, 30))


def look(app: RcqueueApp, name: str) -> None:
    found = list(segments(app))
    assert sum(len(segment.text.strip()) for segment in found) > 20, (name, found)
    meanings = {app.theme_variables[f"queue-{meaning}"].lower(): meaning for meaning in SAYS}
    for segment in found:
        style, text = segment.style, segment.text.strip()
        if not text or style is None:
            continue
        front, back = style.color, style.bgcolor
        least = THEMES[name]
        if least is None:
            assert all(c is None or c.is_default for c in (front, back)), (name, text, style)
            continue
        assert front is not None and back is not None, (name, text, style)
        named = name == "16-colours"
        assert (front.type == back.type == ColorType.STANDARD) == named, (name, text, style)
        for palette in PALETTES if named else (None,):
            assert contrast(rgb(front, palette), rgb(back, palette)) >= least, (name, text, style, palette)
        if name == "dark" and re.search(r"\w", text):
            assert front.triplet is not None
            meaning = meanings.get(front.triplet.hex)
            assert meaning is None or re.search(SAYS[meaning], text), (
                f"only its colour says that it is {meaning}: {text}"
            )


def segments(app: RcqueueApp) -> Iterator[Segment]:
    """What is painted; of a question only itself, since what is behind it is made paler."""
    screen, strips = app.screen, app.screen._compositor.render_strips()
    region = Region(0, 0, *screen.size)
    if isinstance(screen, ModalScreen):
        region = Region.from_union([child.region for child in screen.walk_children() if child.region.area])
    for y in range(region.y, min(region.bottom, len(strips))):
        yield from strips[y].crop(region.x, region.right)


@pytest.mark.parametrize("chosen", ["", "16-colours", "dark"])
async def test_no_color_is_no_colour_unless_a_theme_is_chosen(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with terminal(queue(), theme=chosen) as t:
        look(t.app, chosen or "mono")


def test_a_cell_without_a_word_says_nothing_by_a_colour() -> None:
    table = PlainTable(("A", "B", "C"))
    cells = table._cells([("", "warn"), ("late", "warn"), ("", "bad")], [4, 4, 4], cursor=True)
    assert [(text.strip(), style) for text, style in cells][1:3] == [("", ""), ("late", "warn")]


def test_the_check_finds_what_can_not_be_read_and_what_only_a_colour_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(THEMES, "dark", 15.0)
    with pytest.raises(AssertionError, match="dark"):
        read("queue_alerts", ["dark"])
    monkeypatch.setitem(THEMES, "dark", 4.5)
    monkeypatch.setitem(SAYS, "mine", "nobody")
    with pytest.raises(AssertionError, match="only its colour says that it is mine: anna"):
        read("queue_alerts", ["dark"])
