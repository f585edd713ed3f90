"""What goes on around two people at work: mail that comes in over SMTP, and feeds that are read. A process of its own.

    python -m benchmarks.company HTTP TOKEN_FILE SMTP_PORT READERS MAILS_PER_SECOND

Says "ready" when the feeds are open and mail flows; when its standard input ends, one line of JSON: what was sent, what
each reader got, and when (`time.monotonic`) the first reader was told of each claim.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from pathlib import Path

import aiosmtplib
from websockets.asyncio.client import ClientConnection, connect

from rcqueue.demo.mail import Sample, messages

CONNECTIONS = 4
VARIETY = 400  #: mails made beforehand, and sent again and again: making them is not what is measured


class Reader:
    """A feed, followed from now on: how many entries it brought, and whether one was left out."""

    def __init__(self) -> None:
        self.entries = self.gaps = 0
        self.claims: list[tuple[str, float]] = []

    async def follow(self, socket: ClientConnection) -> None:
        last = None
        async for text in socket:
            frame = json.loads(text)
            if "ping" in frame:
                await socket.send(json.dumps({"pong": frame["ping"], "idle": 0}))
            elif "entries" in frame:
                self.gaps += last is not None and frame["from"] != last + 1
                last = frame["to"]
                self.entries += len(frame["entries"])
                now = time.monotonic()
                self.claims += [(e["message"], now) for e in frame["entries"] if e["kind"] == "mail.claim"]


async def subscribed(url: str, token: str) -> ClientConnection:
    address = url.replace("http", "ws", 1) + "/api/v1/feed"
    socket = await connect(address, additional_headers={"Authorization": f"Bearer {token}"}, max_size=None)
    await socket.recv()
    await socket.send(json.dumps({"subscribe": {"queue": "main", "journal": None, "since": None}}))
    return socket


class Sender:
    """Mail at a steady rate, over a few connections."""

    def __init__(self, port: int, rate: float) -> None:
        self.port, self.rate = port, rate
        self.sent = 0
        self.began = time.monotonic()
        self._mail = itertools.cycle(itertools.islice(messages(7), VARIETY))
        self._due = asyncio.Queue[Sample]()

    async def tick(self) -> None:
        made = 0
        self.began = time.monotonic()
        while True:
            due = int((time.monotonic() - self.began) * self.rate)
            for _ in range(due - made):
                self._due.put_nowait(next(self._mail))
            made = due
            await asyncio.sleep(0.5 / self.rate)

    async def deliver(self) -> None:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=self.port, start_tls=False)
        await client.connect()
        try:
            while True:
                sample = await self._due.get()
                options = ["BODY=8BITMIME"] + (["SMTPUTF8"] if sample.smtputf8 else [])
                await client.sendmail(sample.sender, list(sample.recipients), sample.raw, mail_options=options)
                self.sent += 1
        finally:
            client.close()  # no QUIT: it may be cancelled within a message


async def main(url: str, token_file: str, port: int, readers: int, rate: float) -> None:
    token = Path(token_file).read_text().strip()
    sockets = [await subscribed(url, token) for _ in range(readers)]
    following = [Reader() for _ in sockets]
    sender = Sender(port, rate)
    work = [reader.follow(socket) for reader, socket in zip(following, sockets, strict=True)]
    work += [sender.tick(), *(sender.deliver() for _ in range(CONNECTIONS))]
    tasks = [asyncio.create_task(one) for one in work]
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    print("ready", flush=True)
    await asyncio.wait([*tasks, over], return_when=asyncio.FIRST_COMPLETED)
    seconds = time.monotonic() - sender.began
    for task in tasks:
        if task.done():
            task.result()  # it broke: say why
            raise SystemExit("a feed was closed")
        task.cancel()
    said = {
        "sent": sender.sent,
        "rate": sender.sent / seconds,
        "entries": [reader.entries for reader in following],
        "gaps": sum(reader.gaps for reader in following),
        "claims": following[0].claims,
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
