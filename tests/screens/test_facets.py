"""The facet strip: what its keys do to the filter, and what moves and what does not."""

from __future__ import annotations

from rcqueue.widgets.facets import Facets, items
from tests.screens.terminal import Terminal, queue, terminal


def cursor(t: Terminal) -> str:
    strip = t.app.query_one(Facets)
    return strip.items[strip.at].term


async def test_enter_narrows_minus_leaves_out_and_backspace_takes_back() -> None:
    async with terminal(queue()) as t:
        await t.press("f")
        await t.shows("SENDERS")
        assert cursor(t) == "from:list@news.example"
        await t.press("enter")
        await t.until(lambda: t.at == "list@news.example" and "3,000 of" in t.shown[1])
        assert t.shown[1].startswith(" / from:list@news.example ")
        await t.press("backspace")
        await t.until(lambda: t.at == "win@lucky.example")
        await t.press("j", "minus")
        await t.until(lambda: t.shown[1].startswith(" / -from:it-desk@acrne.example "))
        await t.until(lambda: all("acrne" not in line for line in t.shown[3:9]))
        await t.until(lambda: cursor(t) != "from:it-desk@acrne.example")
        await t.press("enter", "enter")
        await t.until(lambda: t.shown[1].count("from:") == 2)
        await t.press("escape")
        await t.until(lambda: "SENDERS" not in t.text and "Headers" in t.text)
        await t.press("j", "d")
        await t.until(lambda: t.calls("act"))


async def test_counts_follow_the_mail_and_the_cursor_stays_on_its_value() -> None:
    store = queue(10)
    async with terminal(store) as t:
        await t.press("f")
        await t.shows("SENDERS")
        await t.press(*["j"] * 5)
        on = cursor(t)
        for _ in range(700):
            store.hold("new@x.example", ["a@acme.example"], "new")
        await t.shows("new@x.example")
        assert cursor(t) == on


async def test_a_count_that_is_not_whole_has_a_plus() -> None:
    async with terminal(queue(), size=(120, 40)) as t:
        await t.press("f")
        await t.shows("BAYES_99")
        assert any("BAYES_99" in line[:30] and "3,312+" in line[:30] for line in t.shown)
        assert any("SPAM" in line[:30] and line[:30].rstrip().endswith("42") for line in t.shown)


async def test_in_the_strip_no_key_acts_on_mail() -> None:
    async with terminal(queue()) as t:
        await t.press("f")
        await t.shows("SENDERS")
        await t.press("r", "d", "c", "x", "v")
        assert not t.calls("act") and not t.app.queue.view.marks
        assert "narrows" in t.shown[-1] and "release" not in t.shown[-1]
        await t.press("question_mark")
        await t.shows("take the last term of the filter back")


async def test_from_110_columns_it_stands_at_the_left_and_below_it_takes_the_place_of_the_panes() -> None:
    async with terminal(queue(), size=(110, 40)) as t:
        await t.press("f")
        await t.shows("SENDERS")
        assert t.shown[2].startswith("  SENDERS") and "WHO" in t.shown[2][30:] and "Headers" in t.text
        await t.pilot.resize_terminal(109, 40)
        await t.until(lambda: t.shown[2].split()[0] == "WHO" and "Headers" not in t.text)
        assert t.shown.index("  SENDERS") > 15


async def test_a_click_goes_there_and_another_narrows() -> None:
    async with terminal(queue(), size=(120, 40)) as t:
        await t.press("f")
        await t.shows("SENDERS")
        await t.pilot.click("Facets", offset=(5, 3))
        await t.until(lambda: cursor(t) == t.app.query_one(Facets).items[3].term)
        assert t.shown[1].startswith(" / status:onhold")
        wanted = cursor(t)
        await t.pilot.click("Facets", offset=(5, 3))
        await t.until(lambda: t.shown[1].startswith(f" / {wanted}"))


def test_a_facet_without_values_has_no_heading() -> None:
    assert items([]) == []


async def test_nothing_matches_says_so() -> None:
    async with terminal(queue(), filter="from:nobody.example") as t:
        await t.press("f")
        await t.shows("nothing matches")
        await t.press("enter", "minus", "j", "k", "G")
        assert t.shown[1].startswith(" / from:nobody.example")
