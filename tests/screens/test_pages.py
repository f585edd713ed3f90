"""The screens over the queue: one mail, help, palette, people, acts, audit, demo, login."""

from __future__ import annotations

from typing import Any

import pytest

from rcqueue.app import RcqueueApp, Start
from rcqueue.model.act import ActRequest, Verb
from rcqueue.model.actions import ACTIONS
from rcqueue.model.health import Alert
from rcqueue.model.ids import encode_mail
from rcqueue.model.mail import Status
from rcqueue.screens import campaigns
from rcqueue.screens.people import role_at, role_check
from rcqueue.settings import Settings
from rcqueue.widgets import keymap
from tests.fakes import FakeNetwork
from tests.screens.terminal import Terminal, queue, terminal


def newest(t: Terminal, n: int = 0) -> str:
    return sorted(t.store.messages, reverse=True)[n]


# -- one mail


async def test_one_mail_its_parts_and_the_next_one() -> None:
    async with terminal(queue()) as t:
        await t.press("j", "enter")
        await t.shows("Subject  Password expires today")
        assert t.shown[1].strip().startswith("it-desk@acrne.example")
        await t.press("tab")
        await t.shows("BAYES_99")
        await t.press("J")
        await t.until(lambda: t.shown[1].strip().startswith("scan@copier.example"))
        await t.press("e")
        await t.shows("sales@acme.example")
        await t.press("escape")
        await t.until(lambda: t.at == "scan@copier.example")


async def test_acts_on_the_mail_that_is_open() -> None:
    async with terminal(queue()) as t:
        await t.press("v", "enter")  # a mark elsewhere is not what the open mail's keys act on
        await t.until(lambda: t.shown[1].strip().startswith("it-desk@acrne.example"))
        await t.press("d")
        await t.until(lambda: t.calls("act"))
        assert t.calls("act")[0][1:3] == (newest(t, 1), "delete")
        await t.shows("you deleted it")
        await t.until(lambda: " R restore" in t.shown[-1])
        await t.press("R")
        await t.until(lambda: len(t.calls("act")) == 2)
        await t.until(lambda: "on hold" in t.shown[1])


async def test_each_recipient_has_a_row_and_keys_act_on_that_mail_alone() -> None:
    async with terminal(queue()) as t:
        message = t.store.messages[newest(t, 1)]
        await t.press("j", "e")
        await t.shows("r9@acme.example")
        await t.press("j", "j", "d")
        await t.until(lambda: t.calls("act"))
        _, id, verb, body = t.calls("act")[0]
        assert (id, verb, body.query) == (encode_mail(message.number, 2), "delete", None)
        await t.until(lambda: next(line for line in t.shown if "r2@" in line).split()[-1] == "DELETED")
        assert [m.status for m in message.mails[1:4]] == ["ONHOLD", "DELETED", "ONHOLD"]
        await t.until(lambda: " R restore" in t.shown[-1])
        await t.press("j")
        await t.until(lambda: " r release" in t.shown[-1])


async def test_the_body_opens_by_its_key_and_closes_with_the_mail() -> None:
    async with terminal(queue()) as t:
        await t.press("enter", "b")
        await t.shows("your password expires today")
        await t.press("J")
        await t.until(lambda: "The body is closed" in t.text)
        assert len([call for call in t.calls("part") if call[2] == "text"]) == 1


async def test_a_lock_closes_the_open_mail_s_body() -> None:
    async with terminal(queue()) as t:
        await t.press("enter", "b")
        await t.shows("your password expires today")
        t.api.locks = ["bodies"]
        await t.app.desk.who_am_i()
        await t.until(lambda: "You may not read bodies" in t.text)


# -- acts with a question


async def test_a_note_an_extension_and_a_settlement() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("n")
        await t.type("seen before")
        await t.press("enter")
        await t.until(lambda: t.calls("act"))
        assert t.calls("act")[0][3].note == "seen before"
        await t.press("x")
        await t.press("backspace", "backspace")
        await t.type("9y")
        await t.press("enter")
        await t.shows("expected a number and m, h, d or w, at most a year")
        await t.press("backspace", "backspace")
        await t.type("2w")
        await t.press("enter")
        await t.until(lambda: len(t.calls("act")) == 2)
        message = store.messages[newest(t)]
        assert (t.calls("act")[1][3].expiry - message.expiry).days == 14
        store.change("mail.uncertain", "system", message, [0], status=Status.UNCERTAIN)
        await t.until(lambda: " s settle" in t.shown[-1])
        await t.press("s")
        await t.type("perhaps")
        await t.press("enter")
        await t.shows("expected arrived, again or hold")
        await t.press(*["backspace"] * 7)
        await t.type("arrived")
        await t.press("enter")
        await t.until(lambda: len(t.calls("act")) == 3)
        assert t.calls("act")[2][3].settle == "arrived"


async def test_a_key_without_the_right_says_which() -> None:
    async with terminal(queue(), role="auditor") as t:
        await t.press("r")
        await t.until(lambda: t.flash)
        assert t.flash.strip() == "you lack the right to release: nothing done"
        assert not t.calls("act") and "release" not in t.shown[-1]


# -- where to


async def test_jump_to_a_time_and_to_an_id() -> None:
    async with terminal(queue()) as t:
        await t.press("ctrl+g")
        await t.type("nonsense")
        await t.press("enter")
        await t.shows("expected 14:30")
        await t.press(*["backspace"] * 8)
        await t.type(newest(t, 45))
        await t.press("enter")
        await t.until(lambda: t.app.queue.view.cursor == newest(t, 45))


async def test_sorting_goes_round() -> None:
    async with terminal(queue()) as t:
        await t.press("o")
        await t.until(lambda: "+AGE" in t.shown[2] and t.at == "kim@例え.example")
        await t.press("o")
        await t.until(lambda: "-SCORE" in t.shown[2] and t.at == "gro@evil.example")


async def test_a_click_and_the_wheel() -> None:
    async with terminal(queue()) as t:
        await t.pilot.click("QueueTable", offset=(10, 4))
        await t.until(lambda: t.at == "shop@deals.example")


# -- help and palette


async def test_help_has_every_key_of_the_queue() -> None:
    async with terminal(queue(), size=(140, 100)) as t:
        await t.press("question_mark")
        await t.shows("claim it: nobody else can act on it")
        for action in keymap.of(("queue", "app")):
            if action.key and action.name != "view.demo":
                assert action.help in t.text, action.name
        await t.press("escape")
        await t.until(lambda: t.at)


async def test_the_palette_runs_what_it_finds() -> None:
    async with terminal(queue()) as t:
        await t.press("ctrl+p")
        await t.type("claim it")
        await t.shows("claim it: nobody else can act on it   [c]")
        await t.press("enter")
        await t.until(lambda: t.calls("act"))
        assert t.calls("act")[0][1:3] == (newest(t), "claim")


async def test_the_palette_has_nothing_of_textual_s_own() -> None:
    async with terminal(queue(), size=(140, 60)) as t:
        await t.press("ctrl+p")
        await t.shows("claim it")
        assert not any(word in t.text for word in ("Screenshot", "Quit the application", "Maximize", "Keys"))


async def test_every_action_of_the_registry_does_something() -> None:
    """Each action of each screen has a method there, is an act on mail, or opens something."""
    from rcqueue.screens import (
        act,
        acts,
        audit,
        campaigns,
        demo,
        health,
        help,
        history,
        message,
        outgoing,
        page,
        people,
        queue,
        saved,
        wall,
    )
    from rcqueue.screens.acting import HOW
    from rcqueue.widgets import facets

    screens: dict[str, type] = {
        "queue": queue.QueueScreen,
        "message": message.MessageScreen,
        "people": people.PeopleScreen,
        "acts": acts.ActsScreen,
        "act": act.ActScreen,
        "audit": audit.AuditScreen,
        "health": health.HealthScreen,
        "help": help.HelpScreen,
        "demo": demo.DemoScreen,
        "campaigns": campaigns.CampaignsScreen,
        "facets": facets.Facets,
        "filters": saved.SavedScreen,
        "outgoing": outgoing.OutgoingScreen,
        "history": history.HistoryScreen,
        "wall": wall.WallScreen,
    }
    assert issubclass(people.PeopleScreen, page.Page)
    opened = {
        "mail.show",
        "view.unfold",
        "act.list",
        "campaign.list",
        "filter.list",
        "people.list",
        "audit.list",
        "health.show",
        "outgoing.list",
        "history.list",
        "wall.show",
        "view.help",
        "view.demo",
        "view.copy",
    }
    opened |= {"view.palette", "view.redraw", "view.theme", "view.quit"}
    acts_on_mail = {a.name for a in ACTIONS if a.object == "mail"}
    for action in ACTIONS:
        for context in action.contexts:
            has = context in screens and hasattr(screens[context], "do_" + action.name.replace(".", "_"))
            has |= context == "queue" and action.name in queue.MOVES
            assert has or action.name in opened | acts_on_mail | HOW.keys(), (action.name, context)


# -- health


async def test_an_alert_is_told_in_the_first_line_until_it_is_over() -> None:
    async with terminal(queue(), role="operator") as t:
        assert "alert" not in t.shown[0]
        t.store.health.alerts = [Alert(name="scanner.clamav", since=t.store.now, text="clamav is down: no answer")]
        t.store.tell("alert.raise")
        await t.until(lambda: "1 alert" in t.shown[0], "the alert")
        await t.press("H")
        await t.shows("clamav is down: no answer")
        t.store.health.alerts = []
        t.store.tell("alert.clear")
        await t.press("escape")
        await t.until(lambda: "alert" not in t.shown[0] and "held" in t.shown[0], "no alert")


async def test_what_is_too_long_for_a_line_of_health_goes_on_in_the_next() -> None:
    async with terminal(queue()) as t:
        words = " ".join(f"word{n}" for n in range(40))
        t.store.health.alerts = [Alert(name="disk", since=t.store.now, text=words)]
        await t.press("H")
        await t.shows("word39")
        assert all(f"word{n}" in t.text for n in range(40))


# -- people


async def test_people_are_locked_granted_and_added() -> None:
    async with terminal(queue()) as t:
        await t.press("P")
        await t.shows("operator at acme")
        await t.press("j", "l")
        await t.shows("bob is locked out of bodies")
        assert t.calls("change_person")[-1] == ("change_person", "bob", "lock", {"lock": "bodies"})
        await t.press("g")
        await t.type("king")
        await t.press("enter")
        await t.shows("expected one of operator, blind, admin, auditor")
        await t.press(*["backspace"] * 4)
        await t.type("blind at acme/sales")
        await t.press("enter")
        await t.shows("bob has the role blind at acme/sales")
        assert t.calls("change_person")[-1][2:] == ("grant", {"role": "blind", "customer": "acme/sales"})
        await t.press("D")
        await t.type("bob")
        await t.press("enter")
        await t.shows("bob can no longer sign in")
        await t.press("a")
        await t.type("dora")
        await t.press("enter")
        await t.type("operator")
        await t.press("enter")
        await t.type("short")
        await t.press("enter")
        await t.shows("expected at least 8 characters")
        assert "short" not in t.text
        await t.type("er than before")
        await t.press("enter")
        await t.until(lambda: t.calls("create_person"))
        assert t.calls("create_person")[0][1:3] == ("dora", "shorter than before")
        await t.press("escape")
        await t.until(lambda: t.at)


def test_a_role_and_where() -> None:
    assert role_at("operator") == ("operator", "all")
    assert role_at("blind at acme/sales") == ("blind", "acme/sales")
    assert role_check("blind at ") and role_check("king") and role_check("operator at a b")


async def test_only_those_who_administer_see_people() -> None:
    async with terminal(queue(), role="operator") as t:
        await t.press("P")
        await t.until(lambda: t.flash)
        assert "you lack the right to administer" in t.flash and not t.calls("people")


# -- acts, audit


async def test_acts_and_the_key_that_stops_one() -> None:
    async with terminal(queue()) as t:
        t.api.step = 1
        await t.press("j", "v", "c")
        await t.until(lambda: t.app.queue.acting.running)
        await t.press("A")
        await t.shows("of 43")
        await t.until(lambda: "^x stop" in t.shown[-1])
        await t.press("ctrl+x")
        await t.until(lambda: t.calls("stop_act"))


async def test_an_act_shows_what_it_was_not_done_to_and_is_undone() -> None:
    async with terminal(queue()) as t:
        newest = sorted(t.store.messages, reverse=True)
        t.store.change("mail.claim", "bob", t.store.messages[newest[0]], [0], claim="bob", fence=61)
        await t.press("v", "v", "d")
        await t.shows("Type 44 to confirm")
        await t.press(*"44", "enter")
        await t.until(lambda: "deleted" in t.flash)
        await t.press("A")
        await t.shows("43 of 44")
        await t.press("enter")
        await t.shows("bob holds it")
        await t.press("u")
        await t.until(lambda: t.calls("undo_act"))
        assert '"act.undo"' in t.app.queue.acting.request
        await t.until(lambda: "43 mails restored" in t.flash)
        await t.press("escape")
        await t.shows("restore")


async def test_an_act_whose_results_are_purged_says_so_and_keeps_its_counts() -> None:
    store = queue()
    network = FakeNetwork(store)
    api = network.made
    stored = await api.store_act(ActRequest(verb=Verb.CLAIM, query="status:onhold"))
    await api.confirm_act(stored.id, stored.count)
    _, act, _ = api.acts_made[stored.id]
    act.results, act.done, act.purged = {"done": act.count - 1, "claimed": 1}, act.count - 1, store.now
    async with terminal(store, network=network) as t:
        await t.press("A")
        await t.shows(f"{act.done:,} of {act.count:,}")
        await t.press("enter")
        await t.shows("What became of each mail is not kept any more")
        await t.shows(f"{act.done:,} mails claimed")
        assert not t.calls("act_results")


async def test_an_act_that_was_left_running_is_shown_on_return() -> None:
    store = queue()
    network = FakeNetwork(store)
    api = network.made
    api.step = 1
    stored = await api.store_act(ActRequest(verb=Verb.RELEASE, query="status:onhold"))
    await api.confirm_act(stored.id, stored.count)
    async with terminal(store, network=network) as t:
        await t.until(lambda: t.app.queue.acting.running)
        await t.shows("Releasing")
        assert "your release of" in t.flash


async def test_what_was_denied_is_said_in_the_audit_log_and_in_the_history() -> None:
    store = queue()
    newest = store.messages[max(store.messages)]
    denied = store.change("denied", "anna", newest, [])
    denied.facts = {"verb": "release", "right": "release", "customer": "acme/sales"}
    async with terminal(store) as t:
        for page in ("audit.list", "history.list"):
            t.app.open(page)
            await t.shows("release at acme/sal")
            await t.press("escape")


async def test_the_audit_log_ends_with_the_newest_entry() -> None:
    async with terminal(queue()) as t:
        t.app.open("audit.list")
        await t.until(lambda: t.shown[-3:-2] and t.shown[-3].split()[:2] == [">", "60"])


# -- signing in


async def test_signing_in_says_what_is_wrong_and_keeps_what_was_typed() -> None:
    network = FakeNetwork(queue())
    app = RcqueueApp(Start(), network, clock=lambda: network.store.now)
    async with app.run_test(size=(80, 24)) as pilot:
        t = Terminal(app, network, pilot)
        await t.shows("enter signs in")
        await t.press("enter")
        await t.shows("the server is needed")
        await t.type("http://mail")
        await t.press("enter")
        await t.type("anna")
        await t.press("enter")
        await t.type("wrong")
        await t.press("enter")
        await t.shows("name or password is wrong")
        await t.type("secret")
        await t.press("enter")
        await t.until(lambda: t.at == "win@lucky.example")
        assert "secret" not in t.text


async def test_a_server_that_does_not_answer_is_named() -> None:
    network = FakeNetwork(queue())
    network.made.down = True
    app = RcqueueApp(Start(server="http://mail.example", user="anna", password="secret"), network)
    async with app.run_test(size=(80, 24)) as pilot:
        t = Terminal(app, network, pilot)
        await t.shows("http://mail.example can't be reached: connection refused")


async def test_a_key_before_signing_in_does_nothing() -> None:
    network = FakeNetwork(queue())
    app = RcqueueApp(Start(), network)
    async with app.run_test(size=(80, 24)) as pilot:
        t = Terminal(app, network, pilot)
        app.queue.action_do("mail.release")
        app.open("people.list")
        await t.pilot.pause()
        calls: list[Any] = network.made.calls
        assert not calls


async def test_the_theme_changes_in_place() -> None:
    async with terminal(queue()) as t:
        assert t.app.theme == "rcqueue-dark"
        t.app.open("view.theme")
        await t.until(lambda: t.app.theme == "rcqueue-high-contrast")


async def test_many_addresses_do_not_hide_the_subject_below_them() -> None:
    store = queue(5)
    store.hold("a@b.example", [", ".join(f"r{n}@acme.example" for n in range(40)), "x@acme.example"], "look here")
    async with terminal(store) as t:
        await t.shows("Subject  look here")
        await t.shows("Client")
        assert any(
            line.strip().startswith("To       2 recipients: r0@acme") and line.endswith("..") for line in t.shown
        )
        await t.press("enter")
        await t.shows("r39@acme.example")


async def test_a_pane_that_is_cut_names_the_key_that_shows_more_of_it() -> None:
    async with terminal(queue()) as t:
        await t.until(lambda: "lines (])" in t.text)
        await t.press("right_square_bracket", "right_square_bracket")
        await t.until(lambda: "lines (" not in t.text)
    async with terminal(queue(), size=(140, 20), settings=Settings(keys={"view.pane_down": "f6"})) as t:
        await t.until(lambda: "lines (f6)" in t.text and "lines (tab)" in t.text)
        await t.press("tab")  # now the right one is meant
        await t.until(lambda: "lines (shift-tab)" in t.text and "lines (f6)" in t.text)
        await t.press("enter")
        await t.press("shift+tab")
        await t.until(lambda: "2 fields not shown" in t.text)
    async with terminal(queue(), size=(80, 10)) as t:
        await t.press("enter")
        await t.until(lambda: "lines (pgdn)" in t.text)
        await t.press("pagedown", "pagedown")
        await t.until(lambda: "lines (" not in t.text)


async def test_another_mail_is_shown_from_its_beginning() -> None:
    async with terminal(queue()) as t:
        await t.press("tab", "tab")
        await t.shows("ESMTPS")
        await t.press("j")
        await t.shows("ESMTPS")  # of this one: when the cursor went, what was there went too
        await t.press("right_square_bracket", "right_square_bracket")
        await t.until(lambda: t.app.queue.first.top > 0 and "Received" not in t.text)
        await t.press("j")
        await t.until(lambda: "Received" in t.text and t.app.queue.first.top == 0)


# -- campaigns


async def test_a_campaign_is_a_row_opened_by_enter_and_escape_returns_to_it() -> None:
    async with terminal(queue()) as t:
        await t.press("m")
        await t.shows("Campaigns of status:onhold")
        await t.shows("Password")
        row = next(line for line in t.shown if "acrne.example" in line)
        assert row.split()[:3] == ["258", "2m", "1h"]
        await t.press("j", "enter")
        await t.until(lambda: t.app.screen is t.app.queue)
        await t.shows("258 of 3,312")
        assert "a campaign" in t.shown[0] and {r.row.fromDomain for r in t.app.queue.view.index.values()} == {
            "acrne.example"
        }
        await t.press("escape")
        await t.shows("Campaigns of status:onhold")
        await t.until(lambda: "acrne.example" in next((line for line in t.shown if line.startswith(">")), ""))
        await t.press("escape")
        await t.until(lambda: t.app.queue.filter.filter == "" and t.app.screen is t.app.queue)


async def test_who_reads_bodies_at_some_customers_opens_each_campaign_where_they_are_told_of_it() -> None:
    store = queue()
    newest = [store.messages[i] for i in sorted(store.messages, reverse=True)]
    store.beside = {newest[1].campaign: " -customer:bank"}
    async with terminal(store) as t:
        await t.press("m")
        await t.shows("Password")
        await t.press("v", "v", "d")  # the newest, and the one that is told of elsewhere alone
        await t.shows("2 marked")
        assert "decide those apart" in t.flash and not t.calls("store_act")
        await t.press("V", "k", "d")
        await t.shows("Delete 258 mails to 43 recipients, of 1 campaign")
        term = f"campaign:{newest[1].campaign} -customer:bank"
        assert t.calls("store_act")[0][1].query == term
        await t.press("escape", "enter")
        await t.until(lambda: t.app.screen is t.app.queue and t.app.queue.filter.filter == term)


async def test_one_key_decides_for_all_of_the_campaigns_that_are_marked_within_the_filter() -> None:
    async with terminal(queue()) as t:
        await t.press("slash")
        await t.type("size:>1")
        await t.press("enter", "m")
        await t.shows("Campaigns of size:>1")
        await t.press("j", "v", "v")
        await t.shows("2 marked")
        await t.press("d")
        await t.shows("Delete 264 mails to 43 recipients, of 2 campaigns")
        assert t.calls("store_act")[0][1].query.startswith("size:>1 campaign:C")
        await t.type("264")
        await t.press("enter")
        await t.until(lambda: t.calls("confirm_act"))
        assert t.calls("confirm_act")[0][2] == 264
        await t.until(lambda: not any("acrne.example" in line for line in t.shown[:-2]))
        assert t.app.screen.marks == set()


async def test_without_marks_the_campaign_under_the_cursor_is_meant_though_others_come_above_it() -> None:
    async with terminal(queue()) as t:
        await t.press("m")
        await t.shows("Password")
        await t.press("j")
        t.store.hold("new@new.example", ["a@acme.example"], "new")
        t.app.screen._read()
        await t.shows("new.example")
        await t.press("c")
        await t.until(lambda: t.calls("confirm_act"))
        chosen = {message.sender for message, _ in t.api.acts_made["A0"][2]}
        assert chosen == {"it-desk@acrne.example"}


async def test_a_campaign_that_others_cleared_stays_under_the_cursor_and_no_key_acts_on_another_in_its_place() -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("m")
        await t.shows("Password")
        await t.press("j")
        below = t.app.screen.table.keys[2]
        for message in store.messages.values():
            if message.sender == "it-desk@acrne.example":
                for mail in message.mails:
                    mail.status = "DELETED"
        t.app.screen._read()
        await t.shows("no longer here: acrne.example")
        t.app.screen._read()  # and again: it stays
        await t.press("d", "r", "c", "v")
        assert not t.calls("store_act") and not t.app.screen.marks
        assert t.shown[3].startswith("> ") and "no longer here: acrne.example" in t.shown[3]
        assert "delete" not in t.shown[-1]
        await t.press("j")
        assert "no longer here" not in t.text and t.app.screen.table.key == below
        await t.press("d")
        await t.until(lambda: t.calls("store_act"))
        assert t.calls("store_act")[0][1].query == f"campaign:{below}"


async def test_the_campaign_under_the_cursor_stays_on_its_line_when_one_above_it_goes() -> None:
    store = queue()
    async with terminal(store, size=(80, 10)) as t:
        await t.press("m")
        await t.shows("Password")
        await t.press(*"jjjjjj")
        table = t.app.screen.table
        here, line = table.key, table.at - table.top
        assert table.top
        first = t.app.screen.list.found[0].id
        for message in store.messages.values():
            if message.campaign == first:
                message.mails[0].status = "DELETED"
        t.app.screen._read()
        await t.until(lambda: first not in table.keys)
        assert (table.key, table.at - table.top) == (here, line)


async def test_the_question_on_one_mail_says_which_it_is() -> None:
    store = queue(10)
    async with terminal(store) as t:
        await t.press("m")
        await t.shows("lucky.example")
        await t.press("d")
        await t.shows("Delete 1 mail to 1 recipient, of 1 campaign.")
        await t.shows("win@lucky.example  sales@acme.example  You have been selected")


async def test_a_key_right_behind_one_whose_act_is_nearly_done_is_not_lost() -> None:
    async with terminal(queue()) as t:
        await t.press("m")
        await t.shows("Password")
        t.api.step = 60  # mails that are claimed from one look to the next
        await t.press("j", "c", "d")
        await t.shows("Delete 258 mails to 43 recipients, of 1 campaign.")
        assert [call[1].verb for call in t.calls("store_act")] == ["claim", "delete"]


async def test_how_far_an_act_on_campaigns_is_stands_where_the_queue_has_it_and_its_key_stops_it() -> None:
    async with terminal(queue()) as t:
        await t.press("m")
        await t.shows("Password")
        t.api.step = 1  # mails that are claimed from one look to the next
        await t.press("j", "c")
        await t.until(lambda: t.shown[-3].startswith(" Claiming 258 "))
        await t.until(lambda: " ^x stop" in t.shown[-1])
        await t.press("ctrl+x")
        await t.until(lambda: t.calls("stop_act"))
        await t.until(lambda: not t.shown[-3].startswith(" Claiming"))


async def test_what_colleagues_claim_is_on_the_page_as_soon_as_the_feed_says_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(campaigns, "EVERY", 3600.0)
    store = queue()
    async with terminal(store) as t:
        await t.press("m")
        await t.shows("Password")
        message = next(m for m in store.messages.values() if m.sender == "it-desk@acrne.example")
        store.change("mail.claim", "bob", message, [0], claim="bob")
        await t.until(lambda: any("acrne.example" in line and "bob" in line for line in t.shown))


async def test_a_long_domain_of_a_campaign_shows_what_it_ends_in() -> None:
    store = queue(0)
    store.hold("a@portal.bank.example.signs-you-in.test", ["a@acme.example"], "Your account")
    async with terminal(store) as t:
        await t.press("m")
        await t.shows(".signs-you-in.test")
        assert "Your account" in t.text
