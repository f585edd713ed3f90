"""Pages to operate by: outgoing, history, what expires unread, the display on a wall."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rcqueue.model.health import Alert, Flow, Wall
from rcqueue.model.mail import Status
from rcqueue.screens import outgoing
from rcqueue.widgets.health import spark
from rcqueue.widgets.wall import big, lines
from tests.fakes import NOW, FakeNetwork
from tests.screens.terminal import queue, terminal
from tests.screens.test_snapshots import on_its_way


async def test_a_next_hop_is_paused_with_a_reason_and_limited() -> None:
    store = queue()
    store.outgoing = on_its_way()
    async with terminal(store) as t:
        await t.press("ctrl+o")
        await t.shows("Greylisted")
        await t.press("j", "p")  # on a mail its next hop is meant
        await t.shows("Pause mx1.acme.example:25? 39 mails wait for it")
        await t.press("enter")
        await t.shows("a reason is needed")
        await t.type("they move")
        await t.press("enter")
        await t.shows("mx1.acme.example:25 is paused")
        assert " p pause " in t.shown[-1]
        await t.press("G", "k")
        await t.until(lambda: " p resume " in t.shown[-1])
        await t.press("p")
        await t.shows("Resume mx3.partner.example:25?")
        await t.press("escape", "l")
        await t.shows("How many mails a minute may go to mx3")
        await t.type("x")
        await t.press("enter")
        await t.shows("expected a number from 1 to 1000000, or none")
        await t.press(*["backspace"] * 5)
        await t.type("60")
        await t.press("enter")
        await t.shows("Why?")
        await t.type("asked")
        await t.press("enter")
        await t.shows("gets at most 60 a minute")
        assert t.calls("set_hop") == [
            ("set_hop", "pause", "mx1.acme.example:25", "they move", None),
            ("set_hop", "limit", "mx3.partner.example:25", "asked", 60),
        ]


async def test_of_thousands_on_their_way_one_goes_down_to_the_last() -> None:
    store = queue()
    store.outgoing = found = on_its_way()
    one = found.mails[3]
    found.mails += [one.model_copy(update={"id": f"000000000{n:04}000"}) for n in range(1, 2300)]
    async with terminal(store) as t:
        await t.press("ctrl+o")
        await t.shows("2,305 mails on the way")
        assert t.calls("outgoing") == [("outgoing", None)]
        assert "looks anew" not in t.text
        for _ in range(5):
            await t.press("G")
            await t.pilot.pause(0.05)
        await t.until(lambda: len(t.app.screen.table.rows) == 2305 + len(found.next_hops), "all of it")
        await t.shows("as it was at")  # so many are not read again every two seconds
        await t.press("g")
        await t.until(lambda: "looks anew" not in t.text)
        assert t.calls("outgoing")[-1] == ("outgoing", None)


async def test_a_mail_on_its_way_is_tried_at_once_or_settled() -> None:
    store = queue()
    store.outgoing = on_its_way()
    real = store.messages[sorted(store.messages)[0]]
    store.change("mail.release", "anna", real, [0], status=Status.UNCERTAIN)
    store.outgoing.mails[0].id = real.id + "000"
    async with terminal(store) as t:
        await t.press("ctrl+o")
        await t.shows("Greylisted")
        await t.press("j")
        await t.until(lambda: t.shown[-2].strip() == "the answer was lost after the dot")
        await t.press("s")
        await t.shows("Did the mail to ops@acme.example arrive?")
        await t.type("arrived")
        await t.press("enter")
        await t.until(lambda: t.calls("act"))
        _, id, verb, body = t.calls("act")[0]
        assert (id, verb, body.settle, body.as_of) == (store.outgoing.mails[0].id, "settle", "arrived", 60)
        assert t.flash.strip() == "ops@acme.example: it changed"
        store.outgoing.seq = store.seq
        t.app.screen._look()
        await t.until(lambda: t.app.screen.found.seq == store.seq)
        await t.press("s")
        await t.type("arrived")
        await t.press("enter")
        await t.until(lambda: t.flash.strip() == "ops@acme.example is settled: arrived")
        await t.until(lambda: " r retry now" not in t.shown[-1])
        await t.press("j")
        await t.until(lambda: " r retry now" in t.shown[-1])


async def test_a_mail_that_left_stays_under_the_cursor_and_no_key_acts_on_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outgoing, "EVERY", 3600.0)
    store = queue()
    store.outgoing = found = on_its_way()
    real = store.messages[sorted(store.messages)[0]]
    store.change("mail.release", "anna", real, [0], status=Status.RELEASING)
    found.mails[2].id = real.id + "000"
    async with terminal(store) as t:
        await t.press("ctrl+o")
        await t.shows("Greylisted")
        await t.press("j", "j")
        below = t.app.screen.table.keys[3]
        left = next(mail for mail in found.mails if mail.id == t.app.screen.table.key)
        found.mails.remove(left)
        t.app.screen._look()
        await t.shows(f"{left.toEmail}   no longer here")
        await t.press("r", "s", "p", "l")
        assert not t.calls("act") and t.app.screen is not t.app.queue and "?" not in t.text.replace("? help", "")
        assert " r retry now" not in t.shown[-1] and "> " + "  " + left.toEmail in t.text
        await t.press("j")
        assert "no longer here" not in t.text and t.app.screen.table.key == below
        await t.press("r")
        await t.until(lambda: t.calls("act"))
        assert t.calls("act")[0][1:3] == (below, "try")


async def test_what_one_did_is_found_again_undone_and_gone_to() -> None:
    store = queue()
    newest = [store.messages[i] for i in sorted(store.messages, reverse=True)]
    async with terminal(store) as t:
        await t.press("j", "j", "d")
        await t.shows("you deleted it")
        await t.press("h")
        await t.shows("DELETED")
        await t.until(lambda: " u undo" in t.shown[-1])
        await t.press("slash")
        await t.type("forward")
        await t.press("enter")
        await t.shows("expected one of claim, unclaim")
        await t.press(*["backspace"] * 7)
        await t.type("delete")
        await t.press("enter")
        await t.shows("what you did: delete")
        assert t.calls("history")[-1] == ("history", None, "delete")
        await t.press("u")
        await t.shows("restore: 1 mail")
        assert t.calls("act")[-1][1:3] == (f"{newest[2].id}000", "restore")
        await t.press("enter")
        await t.shows(f"id:{newest[2].id} status:any")
        await t.until(lambda: t.at == "scan@copier.example")
        await t.press("escape")  # back to where one was
        await t.until(lambda: "id:" not in t.shown[1] and t.at == "scan@copier.example")


async def test_what_expires_unread_is_said_and_shown_and_left_again() -> None:
    store = queue()
    newest = [store.messages[i] for i in sorted(store.messages, reverse=True)]
    newest[7].kept_for = timedelta(hours=5)
    store.expiring = 2
    async with terminal(store) as t:
        await t.shows("2 expire unread")
        await t.press("j", "j", "j")
        at = t.at
        await t.press("X")
        await t.until(lambda: t.shown[0].startswith(" rcqueue  expiring unread") and t.at.endswith("bulk-mail.example"))
        assert "expires:<1d" in t.shown[1]
        await t.press("escape")
        await t.until(lambda: t.at == at and t.shown[0].startswith(" rcqueue  main"))
        await t.press("X")
        await t.shows("expiring unread")
        await t.press("slash", "enter")  # another filter: one has come to stay
        await t.until(lambda: t.shown[0].startswith(" rcqueue  main"))
        assert " esc back" not in t.shown[-1]


def counts() -> Wall:
    flow = Flow(came=[1] * 60, went=[0] * 60, came_day=[9] * 48, went_day=[0] * 48)
    return Wall(now=NOW, status={"ONHOLD": 1234}, verdict={"SPAM": 1234}, customers={"acme": 1234}, flow=flow)


async def test_a_wall_shows_counts_at_once_and_goes_on_when_the_server_is_back() -> None:
    store = queue()
    store.wall = counts()
    async with terminal(store, role="wall", signed_in=False) as t:
        await t.shows("acme")
        await t.until(lambda: t.shown[0].endswith("live"))
        made = {call[0] for call in t.api.calls}
        assert made == {"login", "whoami", "wall"}  # of mail nothing is so much as asked
        t.api.down = True
        t.app.screen._look()
        await t.shows("old, trying again")
        assert "acme" in t.text
        t.api.down = False
        t.app.screen._look()
        await t.until(lambda: t.shown[0].endswith("live"))
        await t.press("h", "H", "ctrl+o", "slash", "A")  # no key leads further
        assert {call[0] for call in t.api.calls} == made


async def test_who_sees_more_can_look_at_the_wall_too_and_leave_it() -> None:
    store = queue()
    store.wall = counts()
    async with terminal(store, size=(80, 24), network=FakeNetwork(store, role="operator")) as t:
        t.app.open("wall.show")
        await t.shows("VERDICT")
        await t.press("escape")
        await t.until(lambda: "VERDICT" not in t.text)


def test_the_figure_and_what_stands_around_fits_any_window() -> None:
    assert big(10) == ["     _ ", "  | | |", "  | |_|"]
    wall = counts()
    wall.customers = {f"c{n}": n + 1 for n in range(50)}
    wall.alerts = [Alert(name="disk", since=NOW, text="the disk is full " * 9)]
    for width, height in ((80, 20), (140, 36), (40, 12)):
        shown = lines(wall, width, height)
        assert all(sum(len(text) for text, _ in line) <= max(width, 80) for line in shown)
    shown = ["".join(text for text, _ in line) for line in lines(wall, 80, 24)]
    assert any("others" in line for line in shown) and any("alert" not in line and "full" in line for line in shown)


def test_a_sparkline_is_as_tall_as_its_numbers_and_digits_where_there_are_no_blocks() -> None:
    assert spark([0, 1, 4, 8], 8) == "▁▂▅█"
    assert spark([0, 1, 4, 8], 8, blocks=False) == "0259"
    assert spark([0, 0], 0) == "▁▁"
