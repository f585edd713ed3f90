from __future__ import annotations

from collections.abc import Iterator

import pytest

from .standin import StandIn


@pytest.fixture(scope="session")
def _server() -> Iterator[StandIn]:
    server = StandIn()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def standin(_server: StandIn) -> StandIn:
    """One server for all tests of the client, as new for each."""
    _server.reset()
    return _server
