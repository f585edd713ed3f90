from __future__ import annotations

import pytest

from rcqueue.demo.next_hop import Behaviour, NextHop

from .harness import Queue
from .post import BEHAVIOURS, Post


@pytest.fixture
async def queue(tmp_path):
    async with Queue(tmp_path / "queue") as opened:
        yield opened


@pytest.fixture
async def hop(tmp_path):
    """A next hop that misbehaves by local part, as BEHAVIOURS says."""
    hop = NextHop(tmp_path / "hop", lambda to: BEHAVIOURS.get(to.partition("@")[0], Behaviour()))
    await hop.start()
    yield hop
    await hop.stop()


@pytest.fixture
async def post(queue, hop):
    post = Post(queue, hop.port)
    yield post
    await post.stop()
