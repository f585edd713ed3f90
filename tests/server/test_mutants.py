"""The state machine finds each of the mistakes in mutants.py, and nothing without them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Machine
from .mutants import MUTANTS, Mutant

SETTINGS = settings(
    max_examples=40,
    stateful_step_count=51,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate,),  # a mutant is only to be found, not to be understood
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)

#: What the machine's assertions begin with: a mutant is found by one of them, not by an accident.
PROMISES = ("answers", "claim", "counters", "delivery", "expiry", "journal", "purge", "rights", "state", "version")


@pytest.fixture(autouse=True)
def prepared(caplog):
    caplog.set_level(logging.CRITICAL + 1)
    Machine.prepare()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_machine_finds(mutant: Mutant):
    with mutant.at_work(), pytest.raises(AssertionError) as found:
        run_state_machine_as_test(Machine, settings=settings(SETTINGS, max_examples=400))  # most take a few
    says = str(found.value).splitlines()[0]
    print(f"{mutant.name}, in which {mutant.breaks}: found by {says}")
    assert says.partition(":")[0] in PROMISES, says


def test_the_machine_finds_nothing_else():
    run_state_machine_as_test(Machine, settings=SETTINGS)
