"""For all tests: what fails beside others is found again by `--last-failed`; a background shell is no different."""

from __future__ import annotations

import re
import signal

import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it,
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and under nohup this

_GROUP = re.compile(r"@[\w-]+$")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """pytest-xdist adds "@GROUP" to the names of tests that go to one worker together. Kept so, a later run without
    workers finds no such test, and would pass without it."""
    cache = getattr(session.config, "cache", None)
    if cache is None or hasattr(session.config, "workerinput"):
        return
    failed = cache.get("cache/lastfailed", {})
    if any(_GROUP.search(name) for name in failed):
        cache.set("cache/lastfailed", {_GROUP.sub("", name): True for name in failed})
