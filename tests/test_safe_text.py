"""Gate 1. The reference for what is a control, invisible or a mark is Unicode's own data, and for widths the table that
Textual lays out with; `safe_text` itself imports neither."""

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from rcqueue.safe_text import MARKS_A_CELL, combining, forbidden, safe_text
from tests.payloads import PAYLOADS

EVERY = [chr(code) for code in range(sys.maxunicode + 1)]
NASTY = (
    "\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\xa0\xad\u0301\u0488\u034f\u061c\u1161\u11a8\u180e\u2007\u200b\u200d\u200e\u2028"
    "\u202e\u2066\u20e3\u2800\u3000\u3164\ufdfd\ufe0f\ufeff\uffa0\ue000\ud83d\U0001f1e9\U0001f3fd\U000e0041\U0010fffd"
)
texts = st.lists(
    st.one_of(
        st.characters(codec=None),
        st.sampled_from(NASTY),
        st.sampled_from("ab1# é日ᄒ👩❤©ก́"),
        st.just("\u0301" * 9),
        st.sampled_from([text for _, text in PAYLOADS]),
    ),
    max_size=30,
).map("".join)


def kept(char: str) -> bool:
    """May this character be in a safe line? By Unicode's categories alone."""
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me")


@settings(max_examples=400, deadline=None)
@given(texts)
@example("\u0301" * 50)
@example("1\ufe0f\u20e3\u0301")
@example("\U0001f1e9" * 3)
def test_one_line_holds_only_what_is_safe_and_of_sure_width(text: str) -> None:
    safe = safe_text(text)
    assert all(map(kept, safe)) and not any(map(forbidden, safe))
    assert safe_text(safe) == safe
    assert len(safe) <= 8 * len(text)
    assert cell_len(safe) == sum(map(cell_len, safe))
    run = 0
    for before, char in zip(" " + safe, safe, strict=False):
        run = run + 1 if unicodedata.category(char)[0] == "M" else 0
        assert run <= MARKS_A_CELL and not (run == 1 and before.isspace())
        assert run or cell_len(char)  # nothing else without a cell


@settings(max_examples=200, deadline=None)
@given(texts)
def test_many_lines(text: str) -> None:
    safe = safe_text(text, multiline=True)
    assert all(kept(char) or char == "\n" for char in safe)
    assert safe_text(safe, multiline=True) == safe
    assert len(safe) <= 8 * len(text)
    assert safe.count("\n") == text.count("\n")


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(1, 60), st.booleans())
def test_a_limit_holds_and_says_that_it_cut(text: str, limit: int, multiline: bool) -> None:
    safe = safe_text(text, multiline=multiline, limit=limit)
    assert len(safe) <= limit
    assert safe_text(safe, multiline=multiline, limit=limit) == safe
    whole = safe_text(text, multiline=multiline)
    assert safe == whole or safe.endswith("…")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_ascii_comes_back_as_it_is(text: str) -> None:
    assert safe_text(text) is text


@pytest.mark.parametrize(
    "text",
    [
        "Grüße aus München",
        "Ваш счёт",
        "日本語の件名",
        "한국어 제목",
        "café e\u0301",
        "ราคา ที่",
        "हिन्दी",
        "עברית",
        "😀 ok",
        "→ ✓ ±",
    ],
)
def test_harmless_text_comes_back_as_it_is(text: str) -> None:
    assert safe_text(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u202egro@evil.example", "[U+202E]gro@evil.example"),
        ("A\x1b]52;c;aGk=\x07B", "A[U+001B]]52;c;aGk=[U+0007]B"),
        ("a\tb\r\nc", "a b[U+000D][U+000A]c"),
        ("tag\U000e0041", "tag[E0041]"),
        ("half \udc9b", "half [U+DC9B]"),
        ("z" + "\u0301" * 40 + "B", "z" + "\u0301" * 4 + "[+36]B"),
        ("\u0301first", "[U+0301]first"),
        ("👩\u200d👩\u200d👧 ❤\ufe0f 👍🏽", "👩👩👧 ❤ 👍"),
        ("v\u200diagra", "v[U+200D]iagra"),
        ("1\ufe0f\u20e3 🇩🇪 🇩", "1 [DE] [1F1E9]"),
        ("\u1112\u1161\u11ab\u1100\u1173", "한그"),
        ("a\u2003b\u00a0c\u3000d", "a b\u00a0c\u3000d"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert safe_text(text) == shown


def test_lines_and_columns() -> None:
    assert safe_text("a\r\nb\tc\rd", multiline=True) == "a\nb       c[U+000D]d"


def test_the_limit_cuts() -> None:
    assert safe_text("0123456789", limit=5) == "0123…"
    assert safe_text("01234", limit=5) == "01234"
    assert safe_text("a" + "\u0301" * 1000, limit=12) == "a" + "\u0301" * 4 + "[+47]…"


def test_a_limit_is_what_a_huge_text_costs() -> None:
    assert len(safe_text("\x1b" * 50_000_000, limit=200)) == 200


def test_judgement_of_every_code_point() -> None:
    for char in EVERY:
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"):
            assert forbidden(char), hex(ord(char))
        elif char.isascii():
            assert not forbidden(char)
        if not forbidden(char):
            assert combining(char) == (unicodedata.category(char)[0] == "M"), hex(ord(char))
            nothing_wide = cell_len(char) == 0 or unicodedata.category(char) == "Mc"  # see terminal/widths.py
            assert combining(char) == nothing_wide, hex(ord(char))


@pytest.mark.parametrize("name", [name for name, _ in PAYLOADS])
def test_payloads_are_spelled_out(name: str) -> None:
    text = dict(PAYLOADS)[name]
    safe = safe_text(text)
    assert all(map(kept, safe))
    assert "[" in safe


def test_imports_nothing() -> None:
    code = "import sys, rcqueue; old = set(sys.modules); import rcqueue.safe_text; print(set(sys.modules) - old)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'rcqueue.safe_text'}"
