"""`make screenshots`: redraws screenshots/ from the snapshots of tests/screens, which are what the application draws.

The snapshots are SVG as Textual writes it. librsvg collapses runs of spaces and takes no account of `textLength`: each
word is given its own place first; the font is one that is at hand.
"""

from __future__ import annotations

import html
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.cells import cell_len

SNAPSHOTS = Path("tests/screens/__snapshots__/test_snapshots")
FOLDER = Path("screenshots")

#: Name of the picture, and the snapshot that it is drawn from; each at both sizes.
PICTURES = {
    "queue": "test_queue[dark-{size}]",
    **{f"queue-{name}": f"test_queue[{name}-{{size}}]" for name in ("light", "high-contrast", "16-colours", "mono")},
    "queue-refusal": "test_queue_refusal[{size}]",
    "queue-facets": "test_queue_facets[{size}]",
    "queue-columns": "test_queue_columns[{size}]",
    "queue-letters": "test_queue_letters[{size}]",
    "queue-paused": "test_queue_paused[{size}]",
    "request-to-copy": "test_request_to_copy[{size}]",
    "saved-filters": "test_saved_filters[{size}]",
    "queue-stale": "test_queue_stale[{size}]",
    "queue-progress": "test_queue_progress[{size}]",
    "body-locked": "test_queue_body_locked[{size}]",
    "message": "test_message[{size}]",
    "headers": "test_reading[authors-{size}]",
    "body": "test_reading[text-{size}]",
    "body-hex": "test_reading[hex-{size}]",
    "attachments": "test_reading[attachments-{size}]",
    "timeline": "test_message_parts[timeline-said-{size}]",
    "dialog": "test_dialog[{size}]",
    "hand-over": "test_hand_over[{size}]",
    "rescan": "test_rescan[{size}]",
    "release-as": "test_options[ctrl+r-{size}]",
    "help": "test_help[{size}]",
    "act": "test_act[{size}]",
    "people": "test_people[{size}]",
    "health": "test_health[{size}]",
    "outgoing": "test_outgoing[{size}]",
    "campaigns": "test_campaigns[{size}]",
    "history": "test_history[{size}]",
    "expiring": "test_expiring[{size}]",
    "wall": "test_wall[{size}]",
    "demo": "test_demo[{size}]",
    "login": "test_login[{size}]",
}
SIZES = {"80x24": 800, "140x40": 1250}  #: pixels wide

_FONT_FACE = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)
_TEXT = re.compile(
    r'<text (?P<before>[^>]*?)x="(?P<x>[\d.]+)"(?P<middle>[^>]*?)'
    r'textLength="(?P<length>[\d.]+)"(?P<after>[^>]*)>(?P<text>[^<]*)</text>'
)
_WORD = re.compile(r"[^\s\xa0]+")


def placed(svg: str) -> str:
    """The picture with each word at its own place, in a font that there is."""

    def words(found: re.Match[str]) -> str:
        text = html.unescape(found["text"])
        if not text:
            return ""
        width = float(found["length"]) / len(text)  # of a cell; wide characters are counted once there
        out = []
        for word in _WORD.finditer(text):
            x = float(found["x"]) + cell_len(text[: word.start()]) * width
            rest = f'{found["before"]}x="{x:.2f}"{found["middle"]}{found["after"]}'
            out.append(f"<text {rest}>{html.escape(word[0])}</text>")
        return "".join(out)

    return _TEXT.sub(words, _FONT_FACE.sub("", svg)).replace("Fira Code", "DejaVu Sans Mono")


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    for name, snapshot in PICTURES.items():
        for size, width in SIZES.items():
            source = SNAPSHOTS / f"{snapshot.format(size=size)}.svg"
            if not source.exists():
                print(f"{source} is missing: run the snapshot tests with --snapshot-update", file=sys.stderr)
                return 1
            with tempfile.NamedTemporaryFile("w", suffix=".svg", encoding="utf-8") as file:
                file.write(placed(source.read_text(encoding="utf-8")))
                file.flush()
                target = FOLDER / f"{name}-{size}.png"
                subprocess.run(["rsvg-convert", "-w", str(width), "-o", target, file.name], check=True)
    print(f"{len(PICTURES) * len(SIZES)} pictures in {FOLDER}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
