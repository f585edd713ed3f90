"""What the pane makes of a mail's way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rcqueue.model.journal import Step, Timeline
from rcqueue.widgets.pane import Entry
from rcqueue.widgets.timeline import WHO, timeline

NOW = datetime(2026, 3, 14, 3, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(*steps: Step, more: int = 0) -> list[Entry]:
    return timeline(Timeline(id="X", steps=list(steps), more=more), NOW)


def step(what: str, minutes: float = 0, **more: object) -> Step:
    return Step(at=NOW - timedelta(minutes=minutes), what=what, **more)  # type: ignore[arg-type]


def test_newest_first_with_a_line_where_another_day_begins() -> None:
    entries = shown(step("connect", 60 * 30), step("mail.hold", 200), step("mail.claim", 0.5, who="anna"))
    assert [e.columns[2][0] if e.columns else e.text for e in entries] == [
        *("claim", "2026-03-13", "hold", "2026-03-12", "connect")
    ]
    assert [e.columns[0][0] + " " + e.columns[1][0] for e in entries if e.columns] == [
        *(" <1m 02:59:30", "  3h 23:40:00", " 30h 21:00:00")
    ]


def test_what_others_said_is_marked_in_words() -> None:
    (entry,) = shown(Step(what="hop", who="mx.sender.example", detail="from laptop", hearsay=True))
    assert (entry.text, entry.style, entry.columns[0][0].strip()) == ("said: from laptop", "dim", "")


def test_the_server_itself_is_not_named_and_names_have_a_bound() -> None:
    entries = shown(step("mail.hold", who="system"), step("mail.claim", who="a" * 50))
    assert [e.columns[3] for e in entries] == [("a" * 50, WHO), ("", WHO)]


def test_the_dot_is_told_while_its_answer_is_not_known() -> None:
    tries = [step("attempt", 3, mail="A"), step("dot", 2, mail="A")]
    whats = [e.columns[2][0] for e in shown(*tries, step("mail.uncertain", 1, mail="A"))]
    assert whats == ["uncertain", "dot", "attempt"]
    whats = [e.columns[2][0] for e in shown(*tries, step("dot", 2, mail="B"), step("mail.released", 1, mail="A"))]
    assert whats == ["released", "dot", "attempt"]
    again = [step("attempt", 1, mail="A"), step("dot", 0, mail="A")]
    whats = [e.columns[2][0] for e in shown(*tries, step("mail.retry", 2, mail="A"), *again)]
    assert whats == ["dot", "attempt", "retry", "attempt"]


def test_failed_and_unknown_have_their_colours() -> None:
    styles = {e.columns[2][0]: e.style for e in shown(*map(step, ("mail.refused", "mail.uncertain", "mail.released")))}
    assert styles == {"refused": "bad", "uncertain": "warn", "released": ""}


def test_nothing_and_more() -> None:
    assert [e.text for e in shown()] == ["nothing yet"]
    assert shown(step("mail.note"), more=3)[-1].text == "3 earlier steps not shown"
