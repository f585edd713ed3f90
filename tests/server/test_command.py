"""The commands of the server's host, as processes: first-admin, check, migrate, serve until SIGTERM."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from rcqueue.cli import main
from rcqueue.demo.next_hop import NextHop

from .harness import MAIL, PASSWORD, Talk, free_port


def rcqueue(*arguments: object, said: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a command without a terminal (a session of its own), `said` on its standard input."""
    line = [sys.executable, "-m", "rcqueue", *map(str, arguments)]
    return subprocess.run(line, input=said, capture_output=True, text=True, timeout=60, start_new_session=True)


@pytest.fixture
def config(tmp_path) -> Path:
    file = tmp_path / "rcqueue.toml"
    http, smtp, hop = free_port(), free_port(), free_port()
    file.write_text(
        f'data_dir = "data"\n[http]\nlisten = "127.0.0.1:{http}"\n[smtp]\nlisten = "127.0.0.1:{smtp}"\n'
        f'[next_hop]\ndefault = "127.0.0.1:{hop}"\n[hold]\nrecall = "0s"\n'
    )
    return file


def ports(config: Path) -> list[int]:
    return [int(port) for port in re.findall(r":(\d+)", config.read_text())]


async def test_from_nothing_to_a_mail_released_and_back_to_rest(config, tmp_path):
    """first-admin, serve, a mail by SMTP, sign in, release by the API, the next hop has it, SIGTERM, status 0."""
    http, smtp, port = ports(config)
    done = rcqueue("people", "first-admin", "anna", "--config", config, said=PASSWORD + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    again = rcqueue("people", "first-admin", "bert", "--config", config, said=PASSWORD + "\n")
    assert again.returncode == 1
    assert "there are accounts already" in again.stderr

    hop = NextHop(tmp_path / "hop", port=port)
    await hop.start()
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rcqueue", "serve", "--config", config), stderr=subprocess.PIPE
    )
    assert server.stderr is not None
    while b"serves" not in (line := await asyncio.wait_for(server.stderr.readline(), 30)):
        assert line, "it ended before it served"
    try:
        async with Talk.to(smtp) as talk:
            await talk.mail("ada@sender.example", ["ben@example.org"])
            message = (await talk.data(MAIL)).split()[-1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http}/api/v1", trust_env=False) as client:
            who = {"name": "anna", "password": PASSWORD, "kind": "cli", "label": "test"}
            token = (await client.post("/login", json=who)).raise_for_status().json()["token"]
            head = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid.uuid4().hex}
            (await client.post(f"/mails/{message}/release", json={}, headers=head)).raise_for_status()
            # another process on the same folder is refused, and says why
            second = await asyncio.to_thread(rcqueue, "serve", "--config", config)
            assert second.returncode == 1
            assert re.fullmatch(r"rcqueue: .*data is served by another process\n", second.stderr)
        for _ in range(200):
            if hop.received():
                break
            await asyncio.sleep(0.05)
        (got,) = hop.received()
        assert got.raw.split(b"\r\n", 2)[2] == MAIL
    finally:
        server.send_signal(signal.SIGTERM)
        status = await asyncio.wait_for(server.wait(), 20)
        await hop.stop()
    assert status == 0
    assert (tmp_path / "data" / "queue.db").stat().st_mode & 0o077 == 0


def test_check_config(config, capsys):
    assert main(["config", "check", "--config", str(config)]) == 0
    assert "is good" in capsys.readouterr().out
    config.write_text(config.read_text() + '[smpt]\nlisten = "x"\n[database]\nurl = "x"\n')
    assert main(["config", "check", "--config", str(config)]) == 1
    one, two = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"rcqueue: .*rcqueue\.toml: database: .*no url was expected", one)
    assert re.fullmatch(r"rcqueue: .*rcqueue\.toml: smpt: unknown key; one of .* was expected", two)


def test_migrate_says_what_it_did(config, capsys):
    assert main(["migrate", "--config", str(config)]) == 0
    assert "a new queue was made" in capsys.readouterr().out
    assert main(["migrate", "--config", str(config)]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_port_in_use_is_one_line(config):
    http, smtp, _ = ports(config)
    config.write_text(config.read_text().replace(str(smtp), str(http)))
    done = rcqueue("serve", "--config", config)
    assert done.returncode == 1
    assert "ddress already in use" in done.stderr
    assert "Traceback" not in done.stderr
