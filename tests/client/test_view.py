"""The view against a plain oracle: the whole list, sorted. Under any interleaving of pages, entries, keys and
reconnects, rows keep their place unless a key moved them, and in the end the view shows what the server has."""

from __future__ import annotations

import sqlite3
from collections import deque
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rcqueue.client.fetch import Fetch
from rcqueue.client.view import KEPT, View
from rcqueue.model.mail import Page, Row, Status, to_us
from rcqueue.model.query import matches_row, parse
from tests.fakes import Message, Store

PAGE = 4
ME = "anna"


TEXTS = st.sampled_from(["", "-claim:bob", "status:onhold score:>3", "status:any"])
SORTS = st.sampled_from(
    ["-time", "time", "-score", "score", "expiry", "-from", "to", "subject", "-size", "verdict", "-customer"]
)


class World(RuleBasedStateMachine):
    """A server whose entries and answers arrive late, and a view that must not mind."""

    page = PAGE

    @initialize(
        held=st.integers(0, 40),
        text=TEXTS,
        sort=SORTS,
    )
    def begin(self, held: int, text: str, sort: str) -> None:
        self.store = Store()
        self.text, self.sort = text, sort
        for n in range(held):
            self.hold(1 + (n % 5 == 0) * 2, n % 9)
        self.feed = deque[object]()
        self.sent = self.store.seq  # entries up to here are in the feed's queue, or were given
        self.answers: list[tuple[Fetch, Page | None]] = []
        self.view = View(self.belongs, ME, sort, height=5, page=self.page)
        self.true_at: dict[str, int] = {}  # by row held: the sequence it was last true at

    def belongs(self, row: Row) -> bool | None:
        return matches_row(parse(self.text, me=ME), row, to_us(self.store.now))

    def ids(self) -> list[str]:
        return [line.id for line in self.view.visible()]

    # -- the server

    @rule(recipients=st.sampled_from([1, 1, 1, 3]), score=st.integers(0, 9))
    def hold(self, recipients: int, score: int) -> None:
        self.store.now += timedelta(seconds=1)
        to = [f"r{n}@acme.example" for n in range(recipients)]
        self.store.hold("a@b.example", to, "hello", score=float(score))

    @precondition(lambda self: self.store.messages)
    @rule(
        data=st.data(),
        act=st.sampled_from(
            [
                ("mail.release", {"status": Status.RELEASED}),
                ("mail.delete", {"status": Status.DELETED}),
                ("mail.restore", {"status": Status.ONHOLD}),
                ("mail.claim", {"claim": "bob"}),
                ("mail.claim", {"claim": ME}),
                ("mail.unclaim", {"claim": None}),
                ("mail.note", {}),
            ]
        ),
        near=st.booleans(),
        some=st.booleans(),
    )
    def act(self, data: st.DataObject, act: tuple[str, dict[str, object]], near: bool, some: bool) -> None:
        at = [self.store.messages[i] for i in (*self.ids(), *self.view.marks)] if near else []
        message: Message = data.draw(st.sampled_from(at or list(self.store.messages.values())), label="message")
        which = range(1) if some else range(len(message.mails))
        self.store.change(act[0], "bob", message, which, **act[1])

    # -- what arrives

    @rule(many=st.integers(1, 6))
    def feed_brings(self, many: int) -> None:
        kept = self.still()
        entries = self.store.journal[self.sent : self.sent + many]
        self.view.entries(entries)
        self.sent += len(entries)
        self.unmoved(kept)

    @rule()
    def server_answers(self) -> None:
        """The server makes an answer; it arrives later."""
        while (fetch := self.view.next_fetch()) is not None:
            self.answers.append((fetch, self.ask(fetch)))

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), fails=st.sampled_from([False, False, False, True]))
    def answer_arrives(self, data: st.DataObject, fails: bool) -> None:
        at = data.draw(st.integers(0, len(self.answers) - 1), label="which")
        fetch, page = self.answers.pop(at)
        kept = self.still()
        if fails:
            self.view.failed(fetch)
        else:
            assert page is not None
            self.view.answer(fetch, page)
        self.unmoved(kept)

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def answer_is_refused(self, data: st.DataObject) -> None:
        """The server will not say it at all: whatever is under the cursor stays there."""
        at = data.draw(st.integers(0, len(self.answers) - 1), label="which")
        fetch, _ = self.answers[at]
        if fetch.kind not in ("at", "time") or fetch.generation != self.view._pending.generation:
            return
        del self.answers[at]
        before = (self.ids(), self.view.cursor)
        self.view.refused(fetch)
        assert (self.ids(), self.view.cursor) == before

    @rule(new=st.booleans())
    def connection_lost_too_long(self, new: bool) -> None:
        kept = self.still()
        self.sent = self.store.seq
        self.view.resync(new_journal=new)
        if new:
            self.true_at.clear()
            assert not self.view.marks
        self.unmoved(kept)

    @rule(many=st.integers(0, 3))
    def entries_come_again(self, many: int) -> None:
        """After a reconnect some are told twice."""
        kept = self.still()
        self.view.entries(self.store.journal[max(0, self.sent - many) : self.sent])
        self.unmoved(kept)

    # -- keys

    @rule(rows=st.integers(-7, 7))
    def move(self, rows: int) -> None:
        self.view.move(rows)

    @rule(pages=st.sampled_from([-2, -1, 1, 2]))
    def turn(self, pages: int) -> None:
        self.view.turn(pages)

    @rule(key=st.sampled_from(["top", "bottom", "hold_still"]))
    def key(self, key: str) -> None:
        getattr(self.view, key)()

    @precondition(lambda self: self.view.lines)
    @rule(rows=st.sets(st.integers(0, 8), min_size=1))
    def mark(self, rows: set[int]) -> None:
        for line in [line for n, line in enumerate(self.view.visible()) if n in rows]:
            self.view.mark(line.id)

    @rule()
    def mark_all(self) -> None:
        self.view.mark_all()

    @rule(row=st.integers(0, 6))
    def point(self, row: int) -> None:
        self.view.point(row)

    @precondition(lambda self: self.store.messages)
    @rule(data=st.data())
    def jump(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from(list(self.store.messages.values())), label="to")
        if data.draw(st.booleans(), label="by time"):
            self.view.jump("time", message.at.isoformat())
        else:
            self.view.jump("at", message.id)

    @rule(text=TEXTS, sort=SORTS)
    def search(self, text: str, sort: str) -> None:
        self.text, self.sort = text, sort
        self.view.search(self.belongs, sort)
        self.true_at.clear()
        assert not self.view.marks and not self.view.all_marked and self.view.cursor is None

    @rule(height=st.integers(1, 9))
    def resize(self, height: int) -> None:
        self.view.resize(height)

    # -- what must hold

    def still(self) -> tuple[list[str], str | None] | None:
        """What may not move; None while a move that the person asked for is under way, or nothing is shown."""
        return None if self.view.waiting or not self.view.lines else (self.ids(), self.view.cursor)

    def unmoved(self, kept: tuple[list[str], str | None] | None) -> None:
        if kept is not None:
            shown, cursor = kept
            assert self.ids()[: len(shown)] == shown, "rows moved, and no key was pressed"
            assert self.view.cursor == cursor

    @invariant()
    def sound(self) -> None:
        view = self.view
        ids = [line.id for line in view.lines]
        assert len(set(ids)) == len(ids) and view.index == {line.id: line for line in view.lines}
        assert len(ids) <= 2 * (KEPT + 2) * 9 + 9
        assert (view.cursor in self.ids()) if ids else view.cursor is None
        assert 0 <= view.first <= max(0, len(ids) - 1)
        for line in view.lines:
            assert line.seq >= self.true_at.get(line.id, 0), "a row became older than it was"
        self.true_at = {line.id: line.seq for line in view.lines}
        assert not [m for m in view._fresh if m in view.index]
        assert not [m for m in view.marks if m in view.index and view.index[m].gone]

    def ask(self, fetch: Fetch) -> Page:
        match fetch.kind:
            case "rows":
                return self.store.rows(fetch.ids, self.text, ME)
            case "before" | "after" | "at" | "time":
                return self.store.page(self.text, self.sort, self.view.limit_of(fetch), ME, **{fetch.kind: fetch.value})
            case "tail":
                return self.store.page(self.text, self.sort, self.view.limit_of(fetch), ME, at=fetch.value)
            case "last":
                return self.store.page(self.text, self.sort, self.view.limit_of(fetch), ME, end=True)
        return self.store.page(self.text, self.sort, self.view.limit_of(fetch), ME)

    def quiet(self) -> None:
        """All that is under way arrives, and nothing new happens."""
        for fetch, page in self.answers:
            assert page is not None
            self.view.answer(fetch, page)
        self.answers.clear()
        self.view.entries(self.store.journal[self.sent :])
        self.sent = self.store.seq
        for _ in range(200):
            fetch = self.view.next_fetch()
            if fetch is None:
                return
            self.view.answer(fetch, self.ask(fetch))
        raise AssertionError("the view never has enough")

    def teardown(self) -> None:
        if not hasattr(self, "view"):
            return
        view = self.view
        self.quiet()
        rows = {row.id: row for row in self.store.select(self.text, self.sort, ME)}
        order = list(rows)
        assert view.marks.keys() <= rows.keys(), "what left the list is marked still"
        live = [line for line in view.lines if not line.gone]
        for line in view.lines:
            assert bool(line.gone) == (line.id not in rows), line
        for line in live:
            assert line.row.model_dump(exclude={"matching"}) == rows[line.id].model_dump(exclude={"matching"})
            assert line.row.matching == rows[line.id].matching
        fresh = view._fresh
        assert all(message in rows and message not in view.index for message in fresh)
        assert view.badge == sum(rows[m].matching for m in fresh)
        if live:
            between = order[order.index(live[0].id) : order.index(live[-1].id) + 1]
            assert [m for m in between if m not in fresh] == [line.id for line in live] or view._holes
            if view.head is None:
                assert set(order[: order.index(live[0].id)]) <= set(fresh) or view.badge_more
            if view.tail is None:
                assert order[-1] == live[-1].id
        view.top()
        self.quiet()
        assert self.ids() == order[: view.height]
        assert view.badge == 0 and not view.badge_more
        view.bottom()
        self.quiet()
        assert self.ids() == order[-view.height :]


World.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestView = World.TestCase


class LongPages(World):
    """Here a jump asks for fewer rows than the pages have that follow it."""

    page = 16


LongPages.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestViewOfLongPages = LongPages.TestCase


def test_pages_turned_faster_than_the_server_answers_are_all_turned():
    world = World()
    world.begin(held=40, text="", sort="-time")
    world.quiet()
    world.view.move(2)
    for _ in range(5):
        world.view.turn(1)
    world.quiet()
    order = [row.id for row in world.store.select("", "-time", ME)]
    assert world.ids() == order[5 * world.view.height :][: world.view.height]
    assert world.view.cursor == order[5 * world.view.height + 2]
    for _ in range(5):
        world.view.turn(-1)
    world.quiet()
    assert world.ids() == order[: world.view.height]


def test_another_list_and_another_journal_have_no_marks() -> None:
    world = World()
    world.begin(held=10, text="", sort="-time")
    world.quiet()
    for mark in (lambda: world.view.mark(world.ids()[1]), world.view.mark_all):
        for leave in (lambda: world.search("status:any", "time"), lambda: world.connection_lost_too_long(new=True)):
            mark()
            assert world.view.marks or world.view.all_marked
            leave()
            assert not world.view.marks and not world.view.all_marked
            world.quiet()


@pytest.mark.parametrize("missed", [False, True])
def test_a_mark_beyond_the_window_goes_when_its_mail_leaves_the_list(missed: bool) -> None:
    world = World()
    world.begin(held=40, text="", sort="-time")
    world.quiet()
    view, marked, kept = world.view, *(line.id for line in world.view.lines[:2])
    for message in (marked, kept):
        view.mark(message)
    view.bottom()
    world.quiet()
    assert not {marked, kept} & view.index.keys() and list(view.marks) == [marked, kept]
    for message, kind, to in ((marked, "mail.release", {"status": Status.RELEASED}), (kept, "mail.note", {})):
        world.store.change(kind, "bob", world.store.messages[message], range(1), **to)
    if missed:
        world.connection_lost_too_long(new=False)
    world.quiet()
    assert list(view.marks) == [kept]


def test_memory_is_bounded_though_every_page_s_first_rows_leave() -> None:
    store = Store()
    for _ in range(400):
        store.now += timedelta(seconds=1)
        store.hold("a@b.example", ["c@acme.example"], "hello")
    view = View(lambda row: row.status == "ONHOLD", ME, height=5, page=PAGE)
    most = 0
    for _ in range(120):
        while (fetch := view.next_fetch()) is not None:
            where = {fetch.kind: fetch.value} if fetch.kind in ("before", "after") else {}
            page = store.page("", "-time", view.limit, ME, **where)
            view.answer(fetch, page)
            for row in page.rows[:1]:
                message = store.messages[row.id]
                view.entries([store.change("mail.release", "bob", message, [0], status=Status.RELEASED)])
        view.move(3)
        most = max(most, len(view.lines))
    assert view.cursor == sorted(store.messages)[0] or view.below
    assert most <= 2 * (KEPT + 2) * view.limit


def test_the_orders_are_those_of_the_server_s_indexes() -> None:
    from rcqueue.client.outcome import sort_key
    from rcqueue.model.query import SORTS as ALL
    from rcqueue.server.store.tables.mails import SORT_KEYS

    store = Store()
    subjects = ("b", "A", "a" * 64 + "z", "a" * 64 + "b", "É", "é", "Zebra", "zebra 2")
    rows = [(m := store.hold(f"{s}@x.example", [f"{s}@acme.example"], s)).row(m.mails) for s in subjects]
    connection = sqlite3.connect(":memory:")
    for sort in ("subject", "from", "to"):
        column = {"subject": "subject", "from": "from_email", "to": "first_rcpt"}[sort]
        by_id = " union all ".join(f"select ? as id, ? as {column}" for _ in rows)
        values = [
            v for row in rows for v in (row.id, {"subject": row.subject, "from": row.fromEmail}.get(sort, row.toEmail))
        ]
        ordered = connection.execute(f"select id from ({by_id}) order by {SORT_KEYS[sort]}, id", values)
        assert [id for (id,) in ordered] == [row.id for row in sorted(rows, key=sort_key(sort)[0])]
    keys = {name: sort_key(name)[0](rows[0])[0] for name in ALL}
    assert keys["to"] != keys["time"] and keys["customer"] == "acme/sales"


def test_a_row_that_left_in_two_steps_shows_how_it_is_though_the_answer_came_between():
    """An act on many deletes mails of one message in two steps; the row asked for after the first is told with both."""
    world = World()
    world.begin(held=0, text="", sort="-time")
    world.hold(3, 1)
    world.quiet()
    view, store = world.view, world.store
    (message,) = store.messages.values()
    first = store.change("mail.delete", "bob", message, [0], status=Status.DELETED)
    view.entries([first])
    fetch = view.next_fetch()
    second = store.change("mail.delete", "bob", message, [1, 2], status=Status.DELETED)
    assert fetch is not None and first.row is not None and first.row.status == Status.ONHOLD
    view.answer(fetch, world.ask(fetch))
    view.entries([second])
    (line,) = view.visible()
    assert (line.gone, line.row.status) == ("bob deleted it", Status.DELETED)
