"""The rules of the queue screen: what a key acts on, what moves and what does not, where answers are said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from textual import events

from rcqueue.client.feed import Closed, Connected, Lost, Resync
from rcqueue.client.http import ApiProblem
from rcqueue.model.act import ActProgress, ActRequest
from rcqueue.model.journal import Hello
from rcqueue.model.mail import Status
from rcqueue.screens.dialogs import Ask
from tests.fakes import NOW, Store
from tests.screens.terminal import queue, terminal


def newest(store: Store, n: int = 0) -> str:
    return sorted(store.messages, reverse=True)[n]


def bob(store: Store, kind: str, message: str, **to: object) -> None:
    """A colleague does something to the first mail of a message."""
    store.change(f"mail.{kind}", "bob", store.messages[message], [0], **to)


async def test_the_queue_is_there() -> None:
    async with terminal(queue()) as t:
        assert "3,312 held" in t.shown[0] and "anna  admin" in t.shown[0]
        assert t.shown[0].endswith("live")
        assert t.shown[2].split() == ["WHO", "AGE", "SCORE", "KIND", "FROM", "TO", "SUBJECT"]
        assert t.at == "win@lucky.example"
        assert "x 43" in t.shown[4] and "PHISH" in t.shown[4]
        await t.shows("Subject  You have been selected")


# -- promise 6: the row under the cursor is the row acted on


async def test_new_mail_does_not_move_the_row_under_the_cursor() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("j", "j")
        before, acted_on = t.shown[3:13], newest(store, 2)
        seq = store.seq
        for n in range(3):
            store.now += timedelta(milliseconds=1)
            store.hold(f"new{n}@x.example", ["a@acme.example"], "new")
        await t.shows("^ 3 new above (g)")
        assert t.shown[3:13] == before
        await t.press("r")
        await t.until(lambda: t.calls("act"))
        _, id, verb, body = t.calls("act")[0]
        assert (id, verb) == (acted_on, "release")
        assert body.as_of == seq
        await t.press("g")
        await t.until(lambda: t.at == "new2@x.example")
        assert "new above" not in t.text


async def test_what_changed_after_it_was_painted_is_not_acted_on() -> None:
    store = queue()
    async with terminal(store) as t:
        app = t.app
        app.queue.table.paint = lambda: None  # the screen stays as it is, whatever the feed brings
        bob(store, "extend", newest(store), status=Status.ONHOLD)
        await t.until(lambda: app.queue.view.current.row.version == store.seq)
        await t.press("d")
        await t.until(lambda: t.flash)
        assert "has changed since you saw it: nothing done" in t.flash
        assert store.messages[newest(store)].mails[0].status == Status.ONHOLD


async def test_a_key_behind_a_new_filter_does_not_act_on_the_list_before() -> None:
    async with terminal(queue()) as t:
        await t.press("slash", *"nobody")
        for key, character in (("enter", "\r"), ("d", "d")):  # both before anything is painted
            t.app.post_message(events.Key(key, character))
        await t.until(lambda: t.flash)
        assert "no mail under the cursor" in t.flash and not t.calls("act")


async def test_the_screen_shows_the_row_that_a_key_acts_on_though_its_lines_are_asked_for_again() -> None:
    async with terminal(queue()) as t:
        table = t.app.queue.table
        table.paint = lambda: None
        assert table.painted.row.sender == "win@lucky.example" and "win@lucky.example" in t.shown[3]
        t.app.queue.view.move(2)  # as an answer would that is not painted yet
        t.app.queue.view.replace(t.app.queue.view.lines[2:], None, None)
        table.refresh()  # as a focus or a theme that changes does
        await t.pilot.pause()
        assert table.painted.row.sender == "win@lucky.example" and "win@lucky.example" in t.shown[3]
        assert t.shown[3].startswith(">")


async def test_what_is_marked_is_the_row_that_was_painted_under_the_cursor() -> None:
    async with terminal(queue()) as t:
        seen, view = t.app.queue.table.painted.id, t.app.queue.view
        t.app.queue.table.paint = lambda: None
        view.move(2)  # as when rows that the cursor was on its way to come in
        await t.press("v")
        assert list(view.marks) == [seen]


async def test_a_row_that_bob_releases_greys_in_place_and_goes_when_the_cursor_does() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("j", "j")
        bob(store, "release", newest(store, 2), status=Status.RELEASING)
        bob(store, "release", newest(store, 3), status=Status.RELEASING)
        await t.shows("bob released it")
        assert t.shown[5].startswith(">") and "scan@copier.example" in t.shown[5] and "bob released it" in t.shown[5]
        assert "shop@deals.example" in t.shown[6] and "bob released it" in t.shown[6]
        await t.press("j")
        assert "bob released it" not in t.text
        assert t.at == "list@news.example"


async def test_a_claim_by_a_colleague_is_painted_and_refused_to_others() -> None:
    store = queue()
    async with terminal(store, role="operator") as t:
        bob(store, "claim", newest(store), claim="bob", fence=9)
        await t.until(lambda: "bob" in t.shown[3])
        assert " r release" not in t.shown[-1] and "take over" not in t.shown[-1]
        await t.press("r")
        await t.until(lambda: t.flash)
        assert t.flash.strip() == "bob holds this: nothing done; ask bob, or wait until the claim lapses"
        assert not t.calls("act")


async def test_the_server_has_the_last_word_on_who_holds_it() -> None:
    store = queue()
    async with terminal(store) as t:
        t.network.feeds[0].held_up = True
        bob(store, "claim", newest(store), claim="bob", fence=9)
        await t.press("r")
        await t.until(lambda: t.flash)
        assert t.flash.strip() == "bob holds this: t takes over (says why to bob)"


async def test_take_over_says_why() -> None:
    store = queue()
    async with terminal(store) as t:
        bob(store, "claim", newest(store), claim="bob", fence=9)
        await t.until(lambda: "bob" in t.shown[3])
        await t.press("t")
        await t.shows("bob holds win@lucky.example. Why")
        await t.press("enter")
        await t.shows("a reason is needed")
        await t.type("shift ends")
        await t.press("enter")
        await t.until(lambda: "anna" in t.shown[3])
        assert t.calls("act")[0][3].reason == "shift ends"


async def test_my_claim_names_its_fence() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("c")
        await t.until(lambda: "anna" in t.shown[3])
        store.messages[newest(store)].mails[0].fence = 77
        store.change("mail.note", "bob", store.messages[newest(store)], [0])
        await t.until(lambda: t.app.queue.table.painted.row.claim.fence == 77)
        await t.press("d")
        await t.until(lambda: len(t.calls("act")) == 2)
        assert t.calls("act")[1][3].fence == 77


async def test_a_key_hit_twice_acts_once_and_keys_act_in_order() -> None:
    store = queue()
    async with terminal(store) as t:
        t.network.feeds[0].held_up = True  # nothing of it is painted yet
        await t.press("c", "r", "r")
        await t.shows("recall with u")
        assert [call[2] for call in t.calls("act")] == ["claim", "release"]
        assert t.calls("act")[1][3].fence == store.seq - 1


async def test_a_sign_in_that_ends_shows_nothing_more() -> None:
    async with terminal(queue()) as t:
        await t.network.feeds[0].events_now.put(Closed(4403, "no right to view is left"))
        await t.shows("no right to view is left: ^q leaves; sign in again")
        assert not t.at and "lucky.example" not in t.text


async def test_pasted_text_triggers_no_keys() -> None:
    async with terminal(queue()) as t:
        t.app.post_message(events.Paste("drrcd\nr\n"))
        await t.press("j")
        assert not t.calls("act") and t.at == "it-desk@acrne.example"


# -- one release: no dialog, a recall key


async def test_a_release_asks_nothing_and_can_be_recalled_from_anywhere() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("j", "r")
        await t.shows("released to 43 recipients, recall with u, 10 s")
        await t.shows("you released it")
        await t.press("j", "j", "u")
        await t.until(lambda: len(t.calls("act")) == 2)
        _, id, verb, body = t.calls("act")[1]
        assert (id, verb) == (newest(store, 1), "recall")
        assert body.query is None  # what is being released matches the filter no more
        await t.shows("recalled")


async def test_the_recall_key_counts_down_and_goes() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("r")
        await t.shows("recall with u, 10 s")
        assert " u recall" in t.shown[-1]
        store.now = NOW + timedelta(seconds=7)
        await t.shows("recall with u, 3 s")
        await t.press("j")
        store.now = NOW + timedelta(seconds=11)
        await t.until(lambda: " u recall" not in t.shown[-1])


# -- many


async def test_a_rescan_of_many_is_weighed_and_asked_by_how_many_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    async with terminal(queue(), size=(100, 24)) as t:
        real, acts = t.api.store_act, t.api.acts_made

        async def store_act(request: ActRequest) -> ActProgress:
            act = acts[(await real(request)).id][1]
            act.state, act.would = "weighing", {"hold": 3, "pass": 40}
            return act.model_copy(deep=True)

        monkeypatch.setattr(t.api, "store_act", store_act)
        await t.press("v", "v")
        await t.shows("2 marked")
        await t.press("E")
        await t.shows("Scanning 44")
        await t.shows("98 %  3 would hold  40 would pass")
        assert not isinstance(t.app.screen, Ask)
        ((_, act, _),) = acts.values()
        act.state, act.would = "stored", {"hold": 4, "pass": 40}
        await t.shows("40 of 44 mails, of 2 marked messages, would pass now.")
        await t.press("4", "4", "enter")
        assert not t.calls("confirm_act")
        await t.press("backspace", "0", "enter")
        await t.until(lambda: t.calls("confirm_act") == [("confirm_act", act.id, 40)])


async def test_many_are_released_by_typing_their_count() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("v", "v", "v")
        await t.shows("3 marked")
        await t.press("r")
        await t.shows("Release 45 mails to ")
        await t.shows("Type 45 to confirm.")
        await t.type("44")
        await t.press("enter")
        await t.shows("type 45, or esc leaves")
        assert not t.calls("confirm_act")
        await t.press("escape")
        await t.shows("nothing done")
        await t.press("r")
        await t.until(lambda: isinstance(t.app.screen, Ask))
        await t.type("45")
        await t.press("enter")
        await t.shows("45 mails released")
        assert t.calls("confirm_act") == [("confirm_act", "A1", 45)]
        assert "marked" not in t.shown[13]


async def test_all_that_match_and_those_that_bob_holds() -> None:
    store = queue(20)
    async with terminal(store) as t:
        bob(store, "claim", newest(store), claim="bob")
        await t.press("slash")
        await t.type("from:lucky.example")
        await t.press("enter")
        await t.until(lambda: t.shown[3].endswith("You have bee..") and "2 of" in t.shown[1])
        await t.press("asterisk", "d")
        await t.shows("Delete 2 mails to ")
        await t.shows("Type 2 to confirm.")
        await t.type("2")
        await t.press("enter")
        await t.shows("1 mail deleted, 1 held by others")


async def test_a_long_act_shows_how_far_it_is_and_stops() -> None:
    store = queue()
    async with terminal(store) as t:
        t.api.step = 5
        await t.press("j", "v", "d")
        await t.until(lambda: isinstance(t.app.screen, Ask))
        await t.type("43")
        await t.press("enter")
        await t.until(lambda: "Deleting 43" in t.shown[-3] and "[=" in t.shown[-3] and "^x stops" in t.shown[-3])
        await t.press("ctrl+x")
        await t.shows("stopped: ")
        assert t.calls("stop_act")
        assert "Deleting" not in t.text


# -- the filter


async def test_a_filter_and_what_is_wrong_with_it() -> None:
    async with terminal(queue()) as t:
        await t.press("slash")
        await t.until(lambda: "searches" in t.shown[-1])
        await t.type("fom:x")
        await t.press("enter")
        await t.shows("fom:x (character 1): no field 'fom'; expected from")
        await t.press("escape")
        assert t.shown[1].strip() == "/ status:onhold"
        await t.press("slash")
        await t.type("score:>20")
        await t.press("enter")
        await t.until(lambda: t.at == "gro@evil.example")
        await t.shows("6 of ")


async def test_keys_typed_into_the_filter_are_no_acts() -> None:
    async with terminal(queue()) as t:
        await t.press("slash")
        await t.type("drc")
        assert not t.calls("act") and t.shown[1].strip() == "/ drc"


async def test_nothing_matches_and_what_would() -> None:
    store = queue(10)
    for message in list(store.messages.values())[:4]:
        store.change("mail.release", "bob", message, range(len(message.mails)), status=Status.RELEASED)
    bob(store, "delete", newest(store), status=Status.DELETED)
    async with terminal(store, filter="size:>1k subject:selected") as t:
        await t.shows("Nothing on hold matches.")
        await t.shows("1 deleted does: S shows them.")
        await t.press("S")
        await t.until(lambda: "DELETED" in t.shown[3])


async def test_an_empty_queue_fills_by_itself() -> None:
    store = Store()
    async with terminal(store) as t:
        await t.shows("Nothing is on hold.")
        store.hold("a@b.example", ["c@acme.example"], "hello")
        await t.until(lambda: t.at == "a@b.example")


# -- stale


async def test_a_lost_feed_is_loud_and_acts_look_first() -> None:
    store = queue()
    async with terminal(store) as t:
        feed = t.network.feeds[0]
        feed.held_up = True
        await feed.events_now.put(Lost("connection refused", NOW - timedelta(seconds=14), 1))
        await t.until(lambda: t.shown[0].endswith("14s old"))
        await t.shows("(connection refused), trying again; acts check first")
        before = t.shown[3:13]
        bob(store, "claim", newest(store), claim="bob")
        await t.press("d")
        await t.shows("The feed is 14s old. As it is now: on hold, held by bob.")
        await t.press("escape")
        assert not t.calls("act")
        assert t.shown[3:13] == before
        feed.held_up = False
        await feed.events_now.put(Connected(Hello(api=1, server="test", journal="J")))
        await feed.events_now.put(Resync(store.seq))
        await t.until(lambda: t.shown[0].endswith("live") and "bob" in t.shown[3])
        assert [line[20:] for line in t.shown[4:13]] == [line[20:] for line in before[1:]]


async def test_while_stale_y_goes_on_with_what_was_read() -> None:
    store = queue()
    async with terminal(store) as t:
        feed = t.network.feeds[0]
        feed.held_up = True
        await feed.events_now.put(Lost("gone", NOW - timedelta(seconds=3), 1))
        await t.until(lambda: t.shown[0].endswith("old"))
        store.change("mail.note", "bob", store.messages[newest(store, 5)], [0])
        await t.press("d")
        await t.shows("delete win@lucky.example.")
        await t.press("y", "enter")
        await t.until(lambda: t.calls("act"))
        assert t.calls("act")[0][3].as_of == store.seq - 1
        await t.shows("no longer matches")


async def test_a_server_that_is_gone_is_said_and_nothing_is_done() -> None:
    store = queue()
    async with terminal(store) as t:
        t.api.down = True
        await t.press("d")
        await t.shows("can't be reached: connection refused")
        assert store.messages[newest(store)].mails[0].status == Status.ONHOLD


# -- bodies


async def test_moving_reads_no_body_and_a_body_closes_when_the_cursor_leaves() -> None:
    async with terminal(queue()) as t:
        await t.press("j", "tab", "tab", "tab")
        await t.shows("The body is closed. b opens it")
        await t.press("j", "k")
        await t.pilot.pause(0.3)
        assert not [call for call in t.calls("part") if call[2] == "text"]
        await t.press("b")
        await t.shows("your password expires today")
        assert "Body(open)" in t.text
        await t.press("j")
        assert "your password" not in t.text and "Body(open)" not in t.text
        await t.press("k")
        await t.pilot.pause(0.3)
        assert "your password" not in t.text
        assert len([call for call in t.calls("part") if call[2] == "text"]) == 1


async def test_a_locked_body_says_so_and_is_not_asked_for() -> None:
    async with terminal(queue(), role="blind") as t:
        assert "Body(locked)" in t.text
        await t.press("b")
        await t.shows("You may not read bodies at acme/sales.")
        assert not [call for call in t.calls("part") if call[2] == "text"]


async def test_a_right_taken_away_closes_the_body_it_opened() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("b")
        await t.shows("your password expires today")
        t.api.locks = ["bodies"]
        entry = store.change("people.lock", "carol", store.messages[newest(store)], [])
        store.journal[-1] = entry.model_copy(update={"message": None, "row": None})
        await t.shows("Body(locked)")
        assert "your password" not in t.text


# -- colleagues, idleness, quitting


async def test_colleagues_are_told_when_the_cursor_rests() -> None:
    store = queue()
    async with terminal(store) as t:
        feed = t.network.feeds[0]
        await t.press("j", "j", "k")
        await t.until(lambda: feed.presence)
        assert feed.presence == [(newest(store, 1), "headers")]


async def test_idleness_is_counted_from_the_last_key() -> None:
    async with terminal(queue()) as t:
        await t.pilot.pause(0.3)
        assert t.network.idle() >= 0.3
        await t.press("j")
        assert t.network.idle() < 0.3


async def test_quitting_signs_out() -> None:
    async with terminal(queue()) as t:
        await t.press("ctrl+q")
        await t.until(lambda: t.calls("logout"))


# -- hostile text


async def test_markup_in_a_mail_is_text() -> None:
    store = Store()
    store.hold("[/x]@evil.example", ["[@click=app.bell]a@acme.example"], "[/foo] [link=http://x]A[/] [red]")
    async with terminal(store, size=(140, 40)) as t:
        await t.shows("[/foo] [link=http://x]A[/] [red]")
        await t.press("enter")
        await t.shows("[/foo] [link=http://x]A[/] [red]")


async def test_what_the_server_refuses_of_a_list_is_said() -> None:
    async with terminal(queue()) as t:

        async def refuse(*_: object, **__: object) -> None:
            raise ApiProblem("forbidden", 403, "Forbidden", "subject: needs the class subject")

        t.api.page = refuse
        await t.press("slash")
        await t.type("subject:x")
        await t.press("enter")
        await t.until(lambda: "needs the class subject" in t.flash)


async def test_marks_fall_off_what_has_left() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("v", "v", "v")
        await t.shows("3 marked")
        bob(store, "delete", newest(store), status=Status.DELETED)
        await t.shows("2 marked")
        await t.press("c")
        await t.until(lambda: t.calls("store_act"))
        assert t.calls("store_act")[0][1].ids == [newest(store, 1), newest(store, 2)]
        await t.until(lambda: "marked" not in t.shown[13], "the marks gone, though the mail stays")


async def test_the_pane_that_is_chosen_scrolls_also_beside_another() -> None:
    store = queue()
    for message in store.messages.values():
        message.rules = [f"RULE_{n}" for n in range(40)]
    async with terminal(store, size=(140, 40)) as t:
        await t.press("tab")
        await t.shows("RULE_5")
        assert "RULE_39" not in t.text
        await t.press(*["right_square_bracket"] * 14)
        await t.shows("RULE_39")
        assert "Subject  You have been selected" in t.text  # the other one stays


async def test_many_changes_of_a_mail_are_read_together_and_what_is_shown_stays_until_then() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press(*["tab"] * 4)
        await t.shows("decision")
        asked = len(t.calls("part"))
        for n in range(40):
            bob(store, "claim", newest(store), claim="bob", fence=n)
            await t.pilot.pause(0.01)
            assert "..." not in map(str.strip, t.shown)  # the dots of what is not here yet
        await t.until(lambda: t.text.count("claim  ") >= 4, "the claims")
        assert len(t.calls("part")) - asked < 10
