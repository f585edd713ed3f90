"""The milter protocol, version 6, from the filter's side: packets to and from bytes. Pure.

A packet is its length (4 bytes, network order, the command counted), a command (a byte), and data; texts end with NUL.
A Python library for it decodes what clients choose (HELO names, macros) by codecs that raise: so a client could end the
filter's session, and its mail might pass by. Here texts stay bytes until somebody asks, and none ends a session.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntFlag
from typing import NamedTuple

VERSION = 6
MAX_PACKET = 2 << 20  #: bytes; a mail server cuts bodies into chunks of at most 1 MiB

_LENGTH = struct.Struct("!L")
_NEGOTIATION = struct.Struct("!LLL")
_CHANGE = struct.Struct("!L")


class Can(IntFlag):
    """What a filter does to a message."""

    ADD_HEADERS = 0x01
    DELETE_RECIPIENTS = 0x08
    CHANGE_HEADERS = 0x10


class How(IntFlag):
    """How a session goes: what is not told to the filter, and what is told without waiting for its answer."""

    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    NO_ANSWER_TO_HEADER = 0x80
    NO_ANSWER_TO_CONNECT = 0x1000
    NO_ANSWER_TO_HELO = 0x2000
    NO_ANSWER_TO_MAIL = 0x4000
    NO_ANSWER_TO_RCPT = 0x8000
    NO_ANSWER_TO_END_OF_HEADER = 0x40000
    NO_ANSWER_TO_BODY = 0x80000
    LEADING_SPACE = 0x100000  #: header values come as they stand, the space after the colon too


NEEDED = Can.ADD_HEADERS | Can.DELETE_RECIPIENTS | Can.CHANGE_HEADERS
WANTED = sum(How)

#: The commands that are answered unless the session goes without.
ANSWERED = {
    b"C": How.NO_ANSWER_TO_CONNECT,
    b"H": How.NO_ANSWER_TO_HELO,
    b"M": How.NO_ANSWER_TO_MAIL,
    b"R": How.NO_ANSWER_TO_RCPT,
    b"L": How.NO_ANSWER_TO_HEADER,
    b"N": How.NO_ANSWER_TO_END_OF_HEADER,
    b"B": How.NO_ANSWER_TO_BODY,
    b"T": How(0),
    b"U": How(0),
}


class BadPacket(Exception):
    """What came is not of this protocol."""


class Packet(NamedTuple):
    command: bytes
    data: bytes


def packets(buffer: bytearray) -> Iterator[Packet]:
    """The whole packets at the start of `buffer`, each taken off it as it is given. Raises BadPacket."""
    while len(buffer) >= 5:
        (length,) = _LENGTH.unpack_from(buffer)
        if not 0 < length <= MAX_PACKET:
            raise BadPacket(f"a packet of {length} bytes")
        if len(buffer) < 4 + length:
            return
        packet = Packet(bytes(buffer[4:5]), bytes(buffer[5 : 4 + length]))
        del buffer[: 4 + length]
        yield packet


def packet(command: bytes, data: bytes = b"") -> bytes:
    return _LENGTH.pack(len(data) + 1) + command + data


def texts(data: bytes) -> list[bytes]:
    """NUL-terminated texts. Raises BadPacket when the last one has no end."""
    if data and not data.endswith(b"\0"):
        raise BadPacket("a text without its end")
    return data.split(b"\0")[:-1]


def negotiated(data: bytes) -> tuple[How, bytes]:
    """How the session goes, and the answer, to what a mail server offers. Raises BadPacket."""
    if len(data) < _NEGOTIATION.size:
        raise BadPacket("a negotiation cut short")
    version, can, how = _NEGOTIATION.unpack_from(data)
    if version < 2 or NEEDED & ~can:
        raise BadPacket(f"a mail server of version {version} that lets no filter change headers and recipients")
    agreed = How(how & WANTED)
    return agreed, packet(b"O", _NEGOTIATION.pack(min(version, VERSION), NEEDED, agreed))


def connection(data: bytes) -> tuple[str, str, int]:
    """(name, address, port) of the client, "" and 0 where it is not on the network. Raises BadPacket."""
    host, _, rest = data.partition(b"\0")
    name = text(host)
    if rest[:1] not in (b"4", b"6") or len(rest) < 4:
        return name, "", 0
    address = text(rest[3:].rstrip(b"\0"))
    if address[:5].lower() == "ipv6:":
        address = address[5:]
    return "" if name.startswith("[") or name == "unknown" else name, address, int.from_bytes(rest[1:3], "big")


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def add_header(name: str, value: str) -> bytes:
    return packet(b"h", f"{name}\0 {value}\0".encode())


def delete_header(name: bytes, instance: int) -> bytes:
    """Of the fields of this name the `instance`th, counted from 1."""
    return packet(b"m", _CHANGE.pack(instance) + name + b"\0\0")


def delete_recipient(address: bytes) -> bytes:
    return packet(b"-", address + b"\0")


def reply(said: str) -> bytes:
    """Refuses with this SMTP reply: code, enhanced code, text."""
    return packet(b"y", said.replace("%", "%%").encode("ascii", "replace") + b"\0")


CONTINUE, ACCEPT, DISCARD = packet(b"c"), packet(b"a"), packet(b"d")
