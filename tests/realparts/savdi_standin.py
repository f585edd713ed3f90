"""The stand-in itself: `savdi_standin.py PORT CLAMD_PORT`."""

from __future__ import annotations

import asyncio
import email
import io
import os
import struct
import sys
import zipfile

LARGEST = 4 << 20
_DONE = "DONE OK 0000 The function call succeeded"


async def _clamd(port: int, data: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"zINSTREAM\0" + (struct.pack(">I", len(data)) + data if data else b"") + b"\0\0\0\0")
    said = (await reader.readuntil(b"\0"))[:-1].decode()
    writer.close()
    return said


def _members(data: bytes) -> list[str]:
    """What is in the ZIPs of a mail, by path, as savdi reports it."""
    found: list[str] = []
    for part in email.message_from_bytes(data).walk():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes) and zipfile.is_zipfile(io.BytesIO(content)):
            name = part.get_filename("archive.zip")
            found += [f"/{name}/{member}" for member in zipfile.ZipFile(io.BytesIO(content)).namelist()]
    return found


class Standin:
    def __init__(self, clamd: int) -> None:
        self._clamd = clamd

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session, number = os.urandom(4).hex().upper(), 0

        def say(*lines: str) -> None:
            writer.write("".join(f"{line}\r\n" for line in lines).encode())

        say("OK SSSP/1.0")
        try:
            while line := (await reader.readline()).decode("latin-1").strip():
                number += 1
                accepted = f"ACC {session}/{number}"
                verb, _, argument = line.partition(" ")
                match verb:
                    case "SSSP/1.0":
                        say(accepted)
                    case "QUERY":
                        say(accepted, "version: SAV Dynamic Interface (a stand-in)", "method: SCANDATA", "")
                    case "OPTIONS":
                        while (await reader.readline()).strip():
                            pass
                        say(accepted, _DONE, "")
                    case "SCANDATA" if int(argument) > LARGEST:
                        say("REJ 4")
                        break
                    case "SCANDATA":
                        say(accepted)
                        await writer.drain()
                        say(*await self._scan(await reader.readexactly(int(argument))))
                    case "BYE":
                        say("BYE")
                        break
                    case _:
                        say("REJ 1")
                        break
                await writer.drain()
        finally:
            writer.close()

    async def _scan(self, data: bytes) -> list[str]:
        said = await _clamd(self._clamd, data)
        files = [f"OK 0000 {path}" for path in _members(data)]
        if said.endswith(" FOUND"):
            name = said.removeprefix("stream: ").removesuffix(" FOUND")
            return [f"VIRUS {name} /", *files, "OK 0203 /", "DONE OK 0203 Virus found during virus scan", ""]
        if said.endswith("OK"):
            return [*files, "OK 0000 /", _DONE, ""]
        return ["FAIL 0210 /", "DONE FAIL 0210 The scan failed", ""]


async def main(port: int, clamd: int) -> None:
    server = await asyncio.start_server(Standin(clamd).serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
