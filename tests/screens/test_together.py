"""Working together at the screen: the next mails, handing over, a filter of one's own, where colleagues look."""

from __future__ import annotations

from typing import Any

import pytest

from rcqueue.client.feed import PresenceChanged
from rcqueue.model.act import Dealt
from rcqueue.model.journal import Presence
from rcqueue.model.mail import RowClaim, Seen
from rcqueue.model.standing import Claims, Standing
from rcqueue.screens.dialogs import Ask
from tests.fakes import NOW
from tests.screens.terminal import Terminal, queue, terminal

from .test_queue import newest


def says(t: Terminal, who: str, message: str | None, pane: str = "") -> None:
    t.network.feeds[-1].events_now.put_nowait(PresenceChanged([Presence(who=who, message=message, pane=pane)]))


async def test_w_claims_the_next_and_shows_what_is_mine(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    async with terminal(queue()) as t:

        async def next_(count: int, query: str = "", for_seconds: int | None = None) -> Dealt:
            asked.append((count, query))
            return Dealt(seq=1, messages=["x"] * 7, mails=9)

        t.api.next = next_
        await t.press("w")
        await t.shows("Claim how many of the next mails that nobody holds?")
        await t.press("7", "enter")  # in the place of the 20 that stands there
        await t.until(lambda: "9 mails of 7 messages for you" in t.flash)
        assert asked == [(7, "")] and t.app.desk is not None and t.app.desk.query.text == "claim:me"
        await t.press("w", "enter")  # again, of the same list and as many as before
        await t.until(lambda: len(asked) == 2)
        assert asked[1] == (7, "")


async def test_a_hands_over_with_a_note_and_what_is_handed_is_said() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("a")
        await t.shows("Hand win@lucky.example over to whom?")
        await t.type("bob")
        await t.press("enter")
        await t.shows("A note for bob")
        await t.type("yours")
        await t.press("enter")
        await t.until(lambda: t.calls("act"))
        _, id, verb, body = t.calls("act")[0]
        assert (id, verb, body.person, body.note) == (newest(store), "assign", "bob", "yours")
        await t.until(lambda: "handed over: win@lucky.example to bob" in t.flash)


async def test_what_waits_for_me_is_mine_and_says_from_whom() -> None:
    claim = RowClaim(who="anna", mails=1, session="", by="bob", note="the bank wants this")
    assert claim.of("anna", "s7") and not claim.of("carol", "s7")
    assert not RowClaim(who="anna", mails=1, session="s9").of("anna", "s7")


async def test_W_asks_for_a_filter_before_it_asks_anything_else() -> None:
    async with terminal(queue()) as t:
        await t.press("W")
        await t.until(lambda: "claim what of it? / or f narrows the list first" in t.flash)
        assert t.app.screen is t.app.queue


async def test_W_says_who_holds_what_before_it_takes_and_gives_back() -> None:
    standing: list[Standing] = [Standing(id=1, who="bob", query="to:acme.example", created=NOW, both=2)]
    ended: list[int] = []
    async with terminal(queue(), filter="from:lucky.example") as t:

        async def claims(query: str | None = None) -> Claims:
            return Claims(standing=standing, held={"carol": 3, "anna": 1})

        async def stand(query: str, for_seconds: int | None = None) -> int:
            standing.append(Standing(id=2, who="anna", query=query, created=NOW))
            return 2

        async def end_standing(id: int) -> None:
            ended.append(id)

        t.api.claims, t.api.stand, t.api.end_standing = claims, stand, end_standing
        await t.press("W")
        await t.until(lambda: isinstance(t.app.screen, Ask))
        said = t.app.screen.sentence  # type: ignore[attr-defined]
        assert "carol holds 3 mails" in said and "bob claims to:acme.example: 2 mails here match both" in said
        assert "anna" not in said
        await t.press("escape")
        assert len(standing) == 1
        await t.press("W", "enter")
        await t.until(lambda: "is yours" in t.flash)
        assert standing[1].query == "from:lucky.example"
        await t.press("W")
        await t.until(lambda: ended == [2])


async def test_where_colleagues_look_is_in_the_list_and_followed_until_a_key() -> None:
    store = queue()
    async with terminal(store) as t:
        says(t, "bob", newest(store, 2), "verdict")
        await t.shows("(bob)")
        await t.shows("bob reads the verdict of")
        await t.press("at")
        await t.until(lambda: t.app.queue.view.cursor == newest(store, 2), "the cursor follows")
        await t.shows("following bob: any key ends it")
        says(t, "bob", newest(store, 4), "headers")
        await t.until(lambda: t.app.queue.view.cursor == newest(store, 4))
        await t.press("k")
        assert t.app.queue.view.cursor == newest(store, 3)
        says(t, "bob", newest(store, 6), "headers")
        await t.until(lambda: t.app.desk is not None and t.app.desk.presence["bob"].message == newest(store, 6))
        await t.pilot.pause()
        assert t.app.queue.view.cursor == newest(store, 3), "the cursor's mail changes only by the operator"
        await t.press("at")
        says(t, "bob", None)
        await t.until(lambda: "bob has left" in t.flash)


async def test_who_saw_it_stands_in_the_headers() -> None:
    store = queue()
    async with terminal(store, size=(140, 40)) as t:
        real = t.api.summary

        async def summary(id: str, query: str | None = None) -> Any:
            return (await real(id, query)).model_copy(update={"seen": [Seen(who="bob", at=NOW, how="read")]})

        t.api.summary = summary
        await t.press("j")
        await t.shows("Seen by  bob <1m ago (read)")
