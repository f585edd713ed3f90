"""`rcqueue` with gates against hostile text left out: `python -m tests.app.ungated edge|terminal|both ARGUMENTS...`

The product has no switch for this. It is patched here, in this process, to show that each gate holds alone and that the
tests would see what both hold back.
"""

import re
import sys

from rcqueue.cli import main


def without_edge() -> None:
    """The first gate: text is made safe where it comes in."""
    from rcqueue.client import api, feed, http, safe

    for module in (api, feed, http, safe):
        if hasattr(module, "safe_text"):
            module.safe_text = lambda text, **_: text  # type: ignore[attr-defined]


def without_terminal() -> None:
    """The last one: only glyphs, and only control codes of ours, go to the tty."""
    from rcqueue.terminal import driver, screen

    screen.split_cells = list  # type: ignore[assignment]
    screen.disputed = lambda cell: False  # type: ignore[assignment]
    driver._MODES = re.compile("(?s).*")


if __name__ == "__main__":
    gates, *arguments = sys.argv[1:]
    if gates in ("edge", "both"):
        without_edge()
    if gates in ("terminal", "both"):
        without_terminal()
    sys.exit(main(arguments))
