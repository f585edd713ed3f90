"""`rcqueue` with one place that breaks: `python -m tests.app.broken MODULE:NAME.NAME ARGUMENTS...`

What it raises, and what it has in hand, quotes a mail.
"""

import inspect
import sys
from importlib import import_module
from typing import Any, NoReturn

from rcqueue.cli import main

SECRET = "wire the money \x1b]0;owned\x07\x9b2J\u202e to account 4711"


def breaks(*_: object, **__: object) -> NoReturn:
    body_of_a_mail = SECRET
    raise ValueError(f"could not read {body_of_a_mail}")


async def breaks_later(*_: object, **__: object) -> NoReturn:
    breaks()


if __name__ == "__main__":
    place, *arguments = sys.argv[1:]
    module, _, path = place.partition(":")
    target: Any = import_module(module)
    *owners, name = path.split(".")
    for owner in owners:
        target = getattr(target, owner)
    setattr(target, name, breaks_later if inspect.iscoroutinefunction(getattr(target, name)) else breaks)
    sys.exit(main(arguments))
