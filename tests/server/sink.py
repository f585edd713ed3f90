"""A next hop in a process of its own, to be killed: `python -m tests.server.sink FOLDER PORT`; see demo/next_hop.py.

It says that it has a mail a while after it has it: a kill then finds some that it has, and nobody knows of.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from rcqueue.demo.next_hop import Behaviour, NextHop

SECONDS = 0.15


class Slow(NextHop):
    async def handle_DATA_bytes(self, *mail: Any) -> str:
        answer = await super().handle_DATA_bytes(*mail)
        await asyncio.sleep(SECONDS)
        return answer


async def _serve(folder: Path, port: int) -> None:
    await Slow(folder, lambda _: Behaviour(), port=port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
