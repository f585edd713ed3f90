"""The first picture is painted before anything is loaded that only the network needs."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys
from rcqueue.app import RcqueueApp, Start

class Watched(RcqueueApp):
    seen = None
    def post_display_hook(self):
        text = "".join(strip.text for strip in self.screen._compositor.render_strips())
        if Watched.seen is None and "rcqueue" in text:
            Watched.seen = sorted(sys.modules)
            self.exit()

Watched(Start(server="http://127.0.0.1:9", token="x")).run(headless=True)
print(json.dumps(Watched.seen))
"""


def test_what_is_loaded_when_the_frame_is_painted() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "rcqueue.screens.queue" in loaded
    # ssl is not among them: asyncio itself brings it.
    heavy = {"httpx", "websockets", "pydantic", "rcqueue.client.api", "rcqueue.client.feed"}
    assert not heavy & loaded
    assert not {name for name in loaded if name.startswith("rcqueue.model.")} - {
        "rcqueue.model.access",
        "rcqueue.model.actions",
        "rcqueue.model.kind",
    }
    assert not any(name.startswith("rcqueue.server") for name in loaded)
