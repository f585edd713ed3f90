"""Hostile text -> text that a terminal may show.

Everything that came from mail, people, a server or an identity provider passes :func:`safe_text` before a widget or a
line of output gets it. It works on decoded characters, never on escape *sequences*, so nothing hides in a sequence
that is cut off. What must not be shown is spelled out (``[U+202E]``) rather than dropped: an operator should see that
it was there. :func:`forbidden` is the same judgement for the last gate before the tty (``rcqueue.terminal``).

This module imports nothing: both halves use it, and it is loaded before the first paint.
"""

MARKS_A_CELL = 4
"""So many combining marks stay on one cell; the rest become one ``[+N]``."""

_PLAIN, _SPACE, _COMBINING, _PICTURE, _LEAD, _HIDDEN = range(6)

_ZWJ = "\u200d"
_PRESENTATION = "\ufe0e\ufe0f"  # "as text", "as a picture"
_KEYCAP = "\u20e3"

# Printable by the Unicode database, and yet: nothing to see, or as wide as each terminal thinks fit.
_UNSURE = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),  # combining grapheme joiner
        (0x0488, 0x0489),  # enclosing marks, here and below: they reach over the neighbouring cells
        (0x115F, 0x11FF),  # Hangul fillers, and vowels and finals that did not find their lead
        (0x17B4, 0x17B5),  # Khmer vowels without a glyph
        (0x180B, 0x180F),  # Mongolian variation selectors
        (0x1ABE, 0x1ABE),
        (0x20DD, 0x20E0),
        (0x20E2, 0x20E4),
        (0x2800, 0x2800),  # the empty braille pattern
        (0x3164, 0x3164),  # Hangul filler
        (0xA670, 0xA672),
        (0xD7B0, 0xD7FB),  # Hangul vowels and finals
        (0xFDFD, 0xFDFD),  # one character drawn as wide as a sentence
        (0xFE00, 0xFE0F),  # variation selectors
        (0xFFA0, 0xFFA0),  # Hangul filler
        (0x16FE4, 0x16FE4),  # Khitan filler
        (0x1D159, 0x1D159),  # the empty note head
        (0x1F1E6, 0x1F1FF),  # regional indicators: a pair is a flag, or two letters
        (0x1F3FB, 0x1F3FF),  # skin tones: a colour of the glyph before, or a glyph
        (0xE0100, 0xE01EF),  # more variation selectors
    )
    for code in range(first, last + 1)
)

_KEPT_SPACES = " \u00a0\u3000"  # one cell, one, and two: everywhere

# What Python lets stand inside an identifier but not begin one is a digit, a combining mark, or one of these few.
_NO_MARKS = frozenset("_\u00b7\u0387\u0e33\u0eb3\u203f\u2040\u2054\ufe33\ufe34\ufe4d\ufe4e\ufe4f\uff3f\uff9e\uff9f")
_MORE_MARKS = frozenset("\u1885\u1886")


def _kind(char: str) -> int:
    if char in _KEPT_SPACES:
        return _SPACE
    if char in _UNSURE or not char.isprintable():
        # Spaces of odd widths are "not printable" too: no danger, only no plain space.
        return _SPACE if char.isspace() and char > "\u0085" and char not in "\u2028\u2029" else _HIDDEN
    code = ord(char)
    if code < 0x300:
        return _PICTURE if char in "©®" else _PLAIN
    if char in _MORE_MARKS or (
        ("a" + char).isidentifier() and not (char.isidentifier() or char.isdigit() or char in _NO_MARKS)
    ):
        return _COMBINING
    if (0x203C <= code <= 0x3299 or 0x1F000 <= code <= 0x1FAFF) and (not char.isalnum() or char == "ℹ"):
        return _PICTURE
    return _LEAD if 0x1100 <= code <= 0x1112 else _PLAIN


class _Kinds(dict[str, int]):
    """The kind of each character met so far; bounded, since hostile mail may hold every character there is."""

    def __missing__(self, char: str) -> int:
        if len(self) >= 20_000:
            self.clear()
        kind = self[char] = _kind(char)
        return kind


_KINDS = _Kinds()
_EVERYDAY = frozenset(
    char for char in map(chr, (*range(0x20, 0x530), *range(0x2010, 0x2040))) if _kind(char) == _PLAIN
) | {*_KEPT_SPACES}


def forbidden(char: str) -> bool:
    """Whether this one character must never reach a terminal: a control, a bidi control, invisible, unassigned,
    private, a surrogate, or of a width that terminals do not agree on."""
    return _KINDS[char] == _HIDDEN


def combining(char: str) -> bool:
    """Whether this one character is drawn on the cell of the one before it (general category M)."""
    return _KINDS[char] == _COMBINING


def safe_text(text: str, *, multiline: bool = False, limit: int | None = None) -> str:
    """``text`` as a terminal may show it: printable characters of a sure width, at most four marks a cell.

    One line, unless ``multiline``: then LF stays, CRLF becomes LF, TAB becomes spaces up to the next eighth column.
    In one line a TAB is a space and line ends are spelled out. ``limit`` (>= 1) is the most characters to return; what
    is longer ends in ``…``. Idempotent; never more than 8 times as long as ``text``; harmless text comes back as it is.
    """
    # One character of the answer stands for at most four of the text (marks beyond the cap aside), so that a huge text
    # costs what its limit is worth.
    part = text if limit is None else text[: 4 * limit + 4]
    if multiline:
        safe = "\n".join(map(_one_line, part.replace("\r\n", "\n").expandtabs(8).split("\n")))
    else:
        safe = _one_line(part)
    if limit is not None and (len(safe) > limit or len(part) < len(text)):
        safe = safe[: limit - 1] + "…"
    return safe


def _one_line(text: str) -> str:
    if (text.isascii() and text.isprintable()) or _EVERYDAY.issuperset(text):
        return text
    return _spell(text)


def _spell(text: str) -> str:
    out: list[str] = []
    put = out.append
    at, end = 0, len(text)
    base = False  # is there a cell that a combining mark can stand on?
    while at < end:
        char = text[at]
        kind = _KINDS[char]
        at += 1
        if kind == _PLAIN:
            put(char)
            base = True
        elif kind == _SPACE:
            put(char if char in _KEPT_SPACES else " ")
            base = False
        elif kind == _PICTURE:
            put(char)
            at = _skip_presentation(text, at)
            base = True
        elif kind == _LEAD:
            syllable, at = _compose(text, at - 1)
            put(syllable)
            base = True
        elif kind == _COMBINING and base:
            first = at - 1
            while at < end and _KINDS[text[at]] == _COMBINING:
                at += 1
            put(text[first : min(at, first + MARKS_A_CELL)])
            if (over := at - first - MARKS_A_CELL) > 0:
                put(f"[+{over}]")
            base = False
        elif kind == _COMBINING:
            put(_mark(char))
        else:
            shown, at = _spell_hidden(text, at - 1)
            put(shown)
            base = base and not shown
    return "".join(out)


def _mark(char: str) -> str:
    """Eight characters at most, so beyond the first plane the ``U+`` goes."""
    code = ord(char)
    return f"[U+{code:04X}]" if code < 0x10000 else f"[{code:X}]"


def _spell_hidden(text: str, at: int) -> tuple[str, int]:
    """What to show for the forbidden character at ``at``, and where the text goes on."""
    char, after = text[at], text[at + 1 : at + 2]
    if char == "\t":
        return " ", at + 1
    if char in "\ufe0f\u20e3" and at and text[at - 1] in "0123456789#*":  # a key cap: show what is on it
        if char == _KEYCAP:
            return "", at + 1
        if after == _KEYCAP:
            return "", at + 2
    if "\U0001f1e6" <= char <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff":  # a flag: show its letters
        return f"[{chr(ord(char) - 0x1F1A5)}{chr(ord(after) - 0x1F1A5)}]", at + 2
    return _mark(char), at + 1


def _skip_presentation(text: str, at: int) -> int:
    """Past what only says how to draw the picture before ``at`` (skin tone, "as a picture", joined with the next):
    one of each, as in a well-formed emoji. Without them each picture stands alone and its width is sure."""
    if "\U0001f3fb" <= text[at : at + 1] <= "\U0001f3ff":
        at += 1
    if text[at : at + 1] and text[at] in _PRESENTATION:
        at += 1
    if text[at : at + 1] == _ZWJ and at + 1 < len(text) and _KINDS[text[at + 1]] == _PICTURE:
        at += 1
    return at


def _compose(text: str, at: int) -> tuple[str, int]:
    """The Hangul syllable at ``at``, spelled in letters (some systems do), and where the text goes on."""
    vowel = text[at + 1 : at + 2]
    if not "\u1161" <= vowel <= "\u1175":
        return text[at], at + 1
    code = 0xAC00 + ((ord(text[at]) - 0x1100) * 21 + ord(vowel) - 0x1161) * 28
    final = text[at + 2 : at + 3]
    if "\u11a8" <= final <= "\u11c2":
        return chr(code + ord(final) - 0x11A7), at + 3
    return chr(code), at + 2
