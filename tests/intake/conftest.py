from __future__ import annotations

import pytest

from tests.server.harness import Queue


@pytest.fixture
async def queue(tmp_path):
    async with Queue(tmp_path / "queue") as opened:
        yield opened
