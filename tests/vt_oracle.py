"""What reached the terminal, judged by a parser of its own: everything that is neither plain text nor one of the few
sequences that rcqueue sends is foreign. It shares no code or table with what it judges."""

import re
import unicodedata

# What rcqueue sends, and Textual through it: exact forms, so that even a colour or a mode in another form is seen.
_SGR_ONE = (
    r"(?:0|1|2|3|4|5|7|9|21|53|22|23|24|25|27|29|55|39|49"  # attributes on and off, default colours
    r"|[34]8;2;\d{1,3};\d{1,3};\d{1,3}|[34]8;5;\d{1,3}|[349][0-7]|10[0-7])"
)
_OURS = re.compile(
    rf"""
      \x1b\[(?:{_SGR_ONE}(?:;{_SGR_ONE})*)?m            # pens
    | \x1b\[(?:\d+(?:;\d+)?)?H | \x1b\[\d*[ABCD]        # cursor
    | \x1b\[K | \x1b\[r\x1b\[m\x1b\[H\x1b\[2J           # erase to the end of the row; clear, always in this form
    | \x1b\[\d+;\d+r | \x1b\[r | \x1b\[\d*[STLM] | \x1b[DM] # scroll a region
    | \x1b\[6n                                          # the fence
    | \x1b\[\?(?:7|25|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048)[hl] | \x1b\[\?20(?:26|48)\$p   # modes
    | \x1b\[>\d+u | \x1b\[<u | \x1b\]22;[a-z-]*\x07     # keyboard protocol, pointer shape
    | [\r\x08]
    """,
    re.VERBOSE,
)
_TEXT_NEVER = frozenset(
    map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), 0x34F, 0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800, 0xFDFD))
)
_MARKS = 4


def find_foreign_controls(recorded: bytes) -> list[str]:
    """Each thing in what was written to a terminal that rcqueue does not send, with what follows it."""
    text = recorded.decode("utf-8", "surrogateescape")
    found: list[str] = []
    at = marks = 0
    while at < len(text):
        ours = _OURS.match(text, at)
        if ours:
            at, marks = ours.end(), 0
            continue
        char = text[at]
        category = unicodedata.category(char)
        marks = marks + 1 if category[0] == "M" else 0
        if category in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me") or char in _TEXT_NEVER or marks > _MARKS:
            found.append(f"U+{ord(char):04X} at {at}: {text[at : at + 24]!r}")
        at += 1
    return found
