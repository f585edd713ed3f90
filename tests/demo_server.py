"""`rcqueue demo --serve-only` as a child process, for tests that work it from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx


class DemoServer:
    """`with DemoServer(mails=20) as demo`: ready; stopped by SIGTERM at the end. `options` are further ones of the
    command, `environ` is added to the environment."""

    def __init__(
        self,
        *options: str,
        mails: int = 0,
        rate: float = 0,
        colleagues: int = 0,
        data_dir: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        command = [sys.executable, "-m", "rcqueue", "demo", "--serve-only", *options]
        command += ["--mails", str(mails), "--rate", str(rate), "--colleagues", str(colleagues)]
        if data_dir is not None:
            command += ["--data-dir", str(data_dir)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | dict(environ or {})
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the demo did not start"
        self.ready: dict[str, Any] = json.loads(line)
        self.http: str = self.ready["http"]
        self.accounts = {account["name"]: account for account in self.ready["accounts"]}

    @property
    def smtp_port(self) -> int:
        return int(self.ready["smtp"].rpartition(":")[2])

    @property
    def next_hop(self) -> Path:
        return Path(self.ready["next_hop"])

    def environ(self, name: str) -> dict[str, str]:
        """What a script that signs in as `name` has in its environment."""
        return {"RCQUEUE_SERVER": self.http, "RCQUEUE_TOKEN_FILE": self.accounts[name]["token_file"]}

    def get(self, name: str, path: str, **parameters: str | int) -> Any:
        """What the API answers `name` at `/api/v1` + path."""
        token = Path(self.accounts[name]["token_file"]).read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.get(f"{self.http}/api/v1{path}", params=parameters, headers=headers, trust_env=False, timeout=20)
        return answer.raise_for_status().json()

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """`rcqueue ...` as `name`."""
        command = [sys.executable, "-m", "rcqueue", *arguments]
        return subprocess.run(command, env=os.environ | self.environ(name), capture_output=True, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
