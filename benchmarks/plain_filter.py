"""A content filter that only re-injects, on aiosmtpd and smtplib: `python -m benchmarks.plain_filter PORT NEXTPORT`."""

from __future__ import annotations

import asyncio
import smtplib
import sys
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class _Server(SMTP):
    async def smtp_XFORWARD(self, arg: str) -> None:
        await self.push("250 Ok")


class _Filter:
    def __init__(self, behind: int) -> None:
        self._behind = behind

    async def handle_EHLO(
        self, server: Any, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE", responses[-1]]

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        with smtplib.SMTP("127.0.0.1", self._behind) as behind:
            behind.sendmail(envelope.mail_from, envelope.rcpt_tos, envelope.content)
        return "250 2.0.0 Ok"


async def main(port: int, behind: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Server(_Filter(behind), loop=loop), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
