"""What an operator has open all night: letters to jump by, a pause, a bell, requests to copy, saved filters, and a
screen that is left alone."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import shlex
import time
from datetime import timedelta
from typing import Any

import pytest

import rcqueue.app
from rcqueue.client.feed import Closed
from rcqueue.model.act import ActBody, ActRequest
from rcqueue.model.actions import ACTIONS
from rcqueue.model.mail import Status, Text
from rcqueue.model.query import parse
from rcqueue.screens import acpi, bell
from rcqueue.screens.dialogs import Ask, Told
from rcqueue.screens.login import LoginScreen
from rcqueue.settings import Settings
from rcqueue.widgets import keymap
from tests.fakes import NOW
from tests.screens.terminal import Terminal, queue, terminal
from tests.screens.test_queue import bob, newest

# -- letters


async def test_a_letter_goes_to_its_row_and_does_nothing_else() -> None:
    async with terminal(queue()) as t:
        await t.press("apostrophe")
        await t.until(lambda: [line[0] for line in t.shown[3:6]] == ["a", "s", "d"])
        await t.press("d")  # which deletes, at other times
        await t.until(lambda: t.at == "scan@copier.example")
        assert not t.calls("act") and [line[0] for line in t.shown[3:6]] == [" ", " ", ">"]
        await t.press("apostrophe", "escape")
        await t.until(lambda: t.shown[5][0] == ">")
        await t.press("apostrophe", "1", "j")
        await t.until(lambda: t.at == "shop@deals.example")


async def test_a_letter_belongs_to_its_row_wherever_that_is_by_then() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("j", "apostrophe")
        await t.until(lambda: t.shown[5][0] == "d")
        t.app.queue.view.turn(1)  # the list moves on under the letters
        t.app.desk.pump()
        before = t.app.queue.view.cursor
        await t.press("d")
        await t.pilot.pause(0.1)
        assert t.app.queue.view.cursor == before and not t.calls("act")


# -- pause


async def test_a_paused_view_holds_still_and_says_so_and_acts_check_first() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("z")
        before = t.shown[3:13]
        bob(store, "claim", newest(store), claim="bob", fence=9)
        bob(store, "claim", newest(store, 1), claim="bob", fence=9)
        store.now += timedelta(minutes=2)
        await t.until(lambda: t.shown[0].endswith("paused 2m, 2 waiting"))
        assert [line[16:] for line in t.shown[3:13]] == [line[16:] for line in before] or "bob" not in t.text
        assert "bob" not in t.text
        await t.press("d")
        await t.shows("The view is paused for 2m. As it is now: on hold, held by bob.")
        await t.press("escape")
        assert not t.calls("act")
        await t.press("z")
        await t.until(lambda: "bob" in t.shown[3] and t.shown[0].endswith("live"))


async def test_more_than_can_wait_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rcqueue.client.desk._MOST_WAITING", 3)
    store = queue()
    async with terminal(store) as t:
        await t.press("z")
        for n in range(5):
            bob(store, "claim", newest(store, n), claim="bob", fence=9)
        await t.until(lambda: "+ waiting" in t.shown[0])
        await t.press("z")
        await t.until(lambda: all("bob" in line for line in t.shown[3:8]))


# -- the bell


async def test_what_comes_in_and_matches_a_rule_rings_at_most_once_in_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = queue()
    clock = [1000.0]
    monkeypatch.setattr(bell, "time", type("Clock", (), {"monotonic": staticmethod(lambda: clock[0])}))
    async with terminal(store, settings=Settings(bell=("from:boss.example", "to:r1@acme.example"))) as t:
        rung: list[str] = []
        monkeypatch.setattr(t.app, "bell", lambda: rung.append(t.flash))
        store.hold("a@other.example", ["sales@acme.example"], "no")
        store.hold("ceo@boss.example", ["sales@acme.example"], "yes")
        await t.shows("bell: ceo@boss.example, SPAM")
        store.hold("ceo@boss.example", ["sales@acme.example"], "too soon")
        await t.until(lambda: "x.example" not in t.text and t.app.queue.view.badge == 3)
        assert len(rung) == 1
        clock[0] += 5.1
        store.hold("x@y.example", ["sales@acme.example", "r1@acme.example"], "of several: the server knows")
        await t.shows("bell: x@y.example (2 mails), SPAM")
        assert len(rung) == 2


# -- requests to copy


def request(text: str) -> dict[str, Any]:
    program, written = shlex.split(text)
    assert program == "rc_acpi.sh" and written.isascii()
    found = json.loads(written)
    assert isinstance(found, dict)
    return found


def test_the_request_of_each_act_and_list() -> None:
    query = parse('from:lucky.example subject:"it\'s\u202e"')
    assert request(acpi.of_list(query)) == {"filter": query.text, "status": "ONHOLD"}
    assert request(acpi.of_list(parse("status:any"))) == {"filter": "status:any"}
    one = ActBody(as_of=7, fence=9, query="score:>3", to=["postmaster"], learn=True)
    assert request(acpi.of_act("release", "ID", one)) == {
        "cmd": "mail.release",
        "id": "ID",
        "filter": "score:>3",
        "to": ["postmaster"],
        "learn": True,
    }
    until = NOW + timedelta(days=7)
    assert request(acpi.of_act("extend", "ID", ActBody(expiry=until)))["expiry"] == round(until.timestamp())
    many = ActRequest(verb="delete", query="from:lucky.example", reason="spam")
    assert request(acpi.of_many(many, 814, parse("from:lucky.example"))) == {
        "filter": "from:lucky.example",
        "status": "ONHOLD",
        "set": "DELETED",
        "confirmation": True,
        "expect": 814,
        "reason": "spam",
    }
    marked = ActRequest(verb="settle", ids=["A", "B"], settle="again")
    assert request(acpi.of_many(marked, 2, query)) == {"cmd": "mail.settle", "id": ["A", "B"], "as": "again"}
    claim = {"cmd": "mail.claim", "filter": "score:>3", "expect": 3}
    assert request(acpi.of_many(ActRequest(verb="claim", query="score:>3"), 3, parse("score:>3"))) == claim
    block = ActRequest(verb="delete", query="score:>3", sender={"scope": "customer"})  # `set` knows no sender
    assert request(acpi.of_many(block, 3, parse("score:>3"))) == claim | {
        "cmd": "mail.delete",
        "sender": {"scope": "customer"},
    }


@pytest.mark.parametrize("allowed", [True, False])
async def test_the_last_act_is_shown_and_copied_only_if_the_person_allows_it(
    allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = queue()
    async with terminal(store, size=(140, 40), settings=Settings(copy=allowed)) as t:
        sent: list[str] = []
        monkeypatch.setattr(t.app._driver, "write", sent.append)
        await t.press("y")
        await t.until(lambda: isinstance(t.app.screen, Told))
        await t.shows('{"status": "ONHOLD"}')
        await t.press("escape", "j", "d")
        await t.until(lambda: t.calls("act"))
        await t.press("y")
        await t.shows("mail.delete")
        assert newest(store, 1) in t.text
        copied = [base64.b64decode(s[7:-1]).decode() for s in sent if s.startswith("\x1b]52;c;")]
        assert [one.split('"')[3] for one in copied] == (["ONHOLD", "mail.delete"] if allowed else [])


async def test_of_a_request_that_is_longer_than_the_screen_the_rest_is_a_key_away() -> None:
    async with terminal(queue()) as t:
        t.app.queue.acting.request = acpi.of("mail.claim", id=[f"{n:013}" for n in range(150)])
        await t.press("y")
        await t.shows("enter goes on   up down show the rest")
        assert "This list" not in t.text
        await t.press(*["down"] * 60)
        await t.shows("This list:")
        await t.press("enter")
        await t.until(lambda: t.app.screen is t.app.queue)


# -- saved filters


async def test_a_filter_is_saved_taken_and_deleted() -> None:
    async with terminal(queue(), filter="from:lucky.example") as t:
        await t.until(lambda: "6 of" in t.shown[1])
        await t.press("o", "F")
        await t.shows("None yet. s saves the filter that is in force")
        await t.press("s")
        await t.until(lambda: isinstance(t.app.screen, Ask))
        await t.type("lucky ones")
        await t.press("enter")
        await t.shows("Share it at which customer?")
        await t.press("enter")
        await t.shows("saved: lucky ones")
        assert t.calls("save_filter") == [("save_filter", "lucky ones", "from:lucky.example", "time", None)]
        await t.press("escape", "slash")
        await t.press(*["backspace"] * 30, "enter")
        await t.until(lambda: "60" not in t.shown[1] and t.at != "win@lucky.example")
        await t.press("F")
        await t.shows("lucky ones")
        await t.press("enter")
        await t.until(lambda: t.shown[1].startswith(" / from:lucky.example") and t.at == "win@lucky.example")
        await t.press("F")
        await t.shows("oldest first")
        await t.press("d")
        await t.shows("Delete the filter lucky ones? Type y.")
        await t.press("y", "enter")
        await t.shows("deleted: lucky ones")
        assert t.calls("delete_filter") == [("delete_filter", "lucky ones", None)]


# -- left alone


async def left_alone(t: Terminal) -> None:
    await t.press("slash")
    await t.type("from:lucky.example")
    await t.press("enter")
    await t.until(lambda: "6 of" in t.shown[1])
    await t.press("v", "v", "j", "tab", "tab", "tab", "b")
    await t.shows("your password expires today")


def in_memory(kind: type) -> list[object]:
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, kind)]


async def sign_in_again(t: Terminal) -> None:
    await t.type("secret")
    await t.press("enter")
    await t.until(lambda: t.app.desk is not None and t.app.queue.view.loaded and bool(t.at), "the queue again")


async def test_after_15_minutes_without_a_key_all_is_blank_and_the_place_is_kept() -> None:
    store = queue()
    async with terminal(store) as t:
        await left_alone(t)
        cursor, marked = t.app.queue.view.cursor, list(t.app.queue.view.marks)
        t.app._last_key = time.monotonic() - rcqueue.app.IDLE + 60
        await t.pilot.pause(1.2)
        assert "your password" in t.text
        t.app._last_key = time.monotonic() - rcqueue.app.IDLE
        await t.until(lambda: isinstance(t.app.screen, LoginScreen))
        await t.shows("15 minutes without a key: sign in again")
        for gone in ("your password", "lucky", "SPAM", "Dear customer"):
            assert gone not in t.text.replace("from:lucky.example", "")
        bob(store, "delete", marked[1], status=Status.DELETED)
        assert t.calls("logout")  # and the claims go with it
        assert not in_memory(Text) and not t.app.queue.reading.parts and t.app.queue.reading.message is None
        await t.press("d", "r", "enter")
        await t.until(lambda: "wrong" in t.text)
        assert not t.calls("act")
        await sign_in_again(t)
        assert t.app.queue.view.cursor == cursor
        await t.until(lambda: list(t.app.queue.view.marks) == marked[:1], "no mark on what left meanwhile")
        assert t.app.queue.tab == "body" and t.shown[1].startswith(" / from:lucky.example")
        await t.shows("The body is closed")
        await t.shows("1 marked")


async def test_a_page_or_a_question_that_is_open_goes_too() -> None:
    async with terminal(queue()) as t:
        await t.press("enter")
        await t.shows("Subject  You have been selected")
        await t.press("b")
        await t.shows("your password expires today")
        await t.press("n")
        await t.until(lambda: isinstance(t.app.screen, Ask))
        t.app._last_key = time.monotonic() - rcqueue.app.IDLE
        await t.until(lambda: isinstance(t.app.screen, LoginScreen))
        assert "selected" not in t.text and "password expires" not in t.text and len(t.app.screen_stack) == 2
        await t.until(lambda: not in_memory(Text), "nothing that was read is in memory")
        await t.press("ctrl+q")  # leaves from there too
        await t.until(lambda: not t.app.is_running)


async def test_what_was_asked_for_before_and_comes_after_is_not_taken_in() -> None:
    async with terminal(queue()) as t:
        part, due = t.api.part, asyncio.Event()

        async def late(*of: Any) -> Any:
            answer = await part(*of)
            await due.wait()
            return answer

        t.api.part = late
        await t.press("tab", "tab", "tab", "b")
        await t.until(lambda: any(call[2] == "text" for call in t.calls("part")))
        t.app._last_key = time.monotonic() - rcqueue.app.IDLE
        await t.until(lambda: isinstance(t.app.screen, LoginScreen))
        assert in_memory(Text)  # on its way
        due.set()
        await t.until(lambda: not in_memory(Text), "nothing of it")
        assert not t.app.queue.reading.parts and "your password" not in t.text


async def test_a_sign_in_that_ended_at_the_server_is_the_same() -> None:
    async with terminal(queue()) as t:
        await left_alone(t)
        cursor = t.app.queue.view.cursor
        await t.network.feeds[0].events_now.put(Closed(4401, "the sign-in has ended"))
        await t.shows("the sign-in has ended: sign in again")
        assert "your password" not in t.text
        await sign_in_again(t)
        assert t.app.queue.view.cursor == cursor


async def test_who_signs_in_there_under_another_name_finds_a_queue_of_their_own() -> None:
    store = queue()
    async with terminal(store) as t:
        await left_alone(t)
        t.app._last_key = time.monotonic() - rcqueue.app.IDLE
        await t.until(lambda: isinstance(t.app.screen, LoginScreen))
        t.network.made.name = "carol"
        await t.press("up", *["backspace"] * 4)
        await t.type("carol")
        await t.press("down")
        await sign_in_again(t)
        assert not t.app.queue.view.marks and t.app.desk.query.text == ""


# -- help


@pytest.mark.parametrize("context", sorted({c for a in ACTIONS for c in a.contexts} - {"app"}))
async def test_every_key_of_a_context_is_in_its_help_page(context: str) -> None:
    from rcqueue.screens.help import HelpScreen

    async with terminal(queue(), size=(140, 120)) as t:
        t.app.push_screen(HelpScreen(context))
        await t.shows("every key of")
        shown = {" ".join(line.split()) for line in t.shown}
        allowed = t.app.queue.situation()
        for action in keymap.of((context, "app")):
            if keymap.keys_of(action) and keymap.allowed(action, allowed):
                assert f"{keymap.keys_name(action)} {action.help}" in shown, action.name
