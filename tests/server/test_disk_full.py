"""No room to write: nothing is said to be done, nothing is lost, reading goes on, and it recovers by itself.

The server may not grow its files for a while (RLIMIT_FSIZE of its process), which SQLite meets as a failed write.
"""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from rcqueue.client.api import Api
from rcqueue.client.http import ApiProblem
from rcqueue.model.act import Verb

from .child import Child
from .harness import Talk
from .live import mail

pytestmark = pytest.mark.slow
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


async def test_without_room_nothing_is_done_and_with_room_it_goes_on(tmp_path: Path):
    with Child(tmp_path) as child:
        pid, port = child.ready["pid"], child.ready["smtp"]
        ben = Api(child.ready["http"], child.ready["tokens"]["ben"])
        async with Talk.to(port) as talk:
            await talk.mail("a@b.example", ["ben@example.org"])
            assert (await talk.data(mail("before"))).startswith("250 ")
            (row,) = (await ben.page()).rows

            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            await talk.mail("a@b.example", ["ben@example.org"])
            assert (await talk.data(mail("meanwhile"))).startswith("451 ")
            with pytest.raises(ApiProblem) as refused:
                await ben.act(row.id, Verb.DELETE)
            assert refused.value.status >= 500
            assert [r.subject for r in (await ben.page()).rows] == ["before"]

            resource.prlimit(pid, resource.RLIMIT_FSIZE, UNLIMITED)
            await talk.mail("a@b.example", ["ben@example.org"])
            assert (await talk.data(mail("after"))).startswith("250 ")
            assert (await ben.act(row.id, Verb.DELETE)).done == 1
            assert [r.subject for r in (await ben.page()).rows] == ["after"]
        await ben.close()
