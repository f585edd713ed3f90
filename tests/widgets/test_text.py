"""How things are written: in the cells there are, never half of a wide character."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rcqueue.client.window import Line
from rcqueue.widgets.columns import Layout, Look, cells
from rcqueue.widgets.text import address, age, fit, plural, size, wrap
from tests.fakes import NOW
from tests.screens.terminal import queue

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "M", "Z"]) | st.sampled_from("a b@.例え"), max_size=60
)


@given(TEXTS, st.integers(0, 40), st.booleans())
def test_fit_is_exact(text: str, width: int, right: bool) -> None:
    assert cell_len(fit(text, width, right=right)) == width


@given(TEXTS, st.integers(6, 40))
def test_an_address_never_exceeds_its_cells(text: str, width: int) -> None:
    assert cell_len(address(text, width)) <= width


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("win@lucky.example", 20, "win@lucky.example"),
        ("noreply.campaign@bulk.example", 23, "nore..aign@bulk.example"),
        ("it-desk@acrne.example", 17, "i..@acrne.example"),
        ("it-desk@acrne.example", 16, "..@acrne.example"),
        ("it-desk@acrne.example", 12, "..ne.example"),
    ],
)
def test_an_address_is_cut_in_its_local_part(text: str, width: int, shown: str) -> None:
    assert address(text, width) == shown


@given(st.text(st.sampled_from("ab 例\n"), max_size=200), st.integers(4, 30))
def test_wrapped_text_loses_only_spaces(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace("\n", "").replace(" ", "")


def test_ages_and_sizes() -> None:
    assert [age(s) for s in (-5, 0, 59, 60, 3599, 3600, 86400, 172800, 4e8)] == [
        "0s", "0s", "59s", "1m", "59m", "1h", "24h", "2d", "999d",
    ]  # fmt: skip
    assert [size(n) for n in (900, 14_000, 2_100_000)] == ["900 B", "14 KB", "2.1 MB"]
    assert [plural(n, "mail") for n in (0, 1, 1200)] == ["0 mails", "1 mail", "1,200 mails"]


@pytest.mark.parametrize("width", range(60, 221))
def test_rows_are_as_wide_as_the_screen(width: int) -> None:
    layout = Layout.at(width)
    assert sum(cell_len(text) for text, _ in layout.head("-score")) == width
    store = queue(10)
    for message in store.messages.values():
        for gone in ("", "bob released it"):
            line = Line(message.row(message.mails), 1, gone=gone)
            pieces = cells(line, layout, Look(cursor=True, marked=True, session="s", now=NOW))
            assert sum(cell_len(text) for text, _ in pieces) == width


def test_what_gives_way_when_it_is_narrow() -> None:
    columns = [tuple(Layout.at(width).widths) for width in range(220, 59, -1)]
    for before, after in pairwise(columns):
        assert set(after) <= set(before)
    gone = [next(iter(set(b) - set(a))) for b, a in pairwise(columns) if set(b) - set(a)]
    assert gone == ["customer", "expiry", "score", "kind", "to"]
    assert tuple(Layout.at(80).widths) == ("who", "age", "score", "kind", "from", "to", "subject")


def test_one_meaning_a_colour() -> None:
    store = queue(10)
    message = next(m for m in store.messages.values() if m.verdict == "VIRUS")
    layout = Layout.at(80)

    def styles(session: str, **claim: object) -> dict[str, str]:
        store.change("mail.claim", "anna", message, [0], **claim)
        line = Line(message.row(message.mails), 1)
        pieces = cells(line, layout, Look(cursor=False, marked=False, session=session, now=NOW))
        return dict(zip(("cursor", "mark", *layout.widths), (style for _, style in pieces), strict=True))

    assert styles("s-anna", claim=None)["kind"] == "bad"
    assert styles("s-anna", claim="anna")["who"] == "mine" and styles("s-anna", claim="anna")["from"] == ""
    assert set(styles("s-bob", claim="anna").values()) == {"dim"}
    message.kept_for = NOW - message.at + timedelta(hours=3)
    assert styles("s-anna", claim=None)["who"] == "warn"
