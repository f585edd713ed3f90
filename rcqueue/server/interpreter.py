"""How the interpreter is set in a process that serves."""

from __future__ import annotations

import gc
import sys

SWITCH = 0.0005  #: seconds that a thread goes on when another one waits; Python's own is ten times that


def set_to_serve() -> None:
    """Call it once the server is up. The writer gives the interpreter away at each statement: it is not kept waiting
    for it longer than for those. What is there by now stays, so that the garbage collector need not look through it
    time and again: a tenth of a second each time, in which nobody is answered."""
    sys.setswitchinterval(SWITCH)
    gc.collect()
    gc.freeze()
