"""The marshal does what a naive one does, and the journal holds, over every order of events that the machine finds."""

from __future__ import annotations

import logging
import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Machine

EXAMPLES = 500 if os.environ.get("RCQUEUE_FULL") == "1" else 50
STEPS = 50


def test_the_marshal_does_what_the_naive_one_does(caplog):
    """In so many examples of so many steps; shorter ones, which hypothesis makes too, are not counted."""
    caplog.set_level(logging.CRITICAL + 1)  # refused mistakes are logged with their traceback
    Machine.lengths.clear()
    while (whole := sum(length >= STEPS for length in Machine.lengths)) < EXAMPLES:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=max(EXAMPLES - whole, 10),
                stateful_step_count=STEPS + 1,  # the first of them brings the first mail
                deadline=None,
                database=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    print(f"{whole} examples of {STEPS} steps or more, {sum(Machine.lengths)} steps in all")
