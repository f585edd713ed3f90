"""XFORWARD and XCLIENT: what a mail server that is trusted says about the client that it has the mail from. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .hold import CONTROL

#: The attributes that each command may bring, as they are announced. Those that nobody here asks for are read over.
ATTRIBUTES = {
    "XFORWARD": ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"),
    "XCLIENT": ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"),
}
MAX_VALUE = 255

_UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")
_ESCAPED = re.compile(r"\+([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Client:
    """Who a mail server had a mail from; "" and 0: it does not say."""

    name: str = ""
    address: str = ""
    port: int = 0
    helo: str = ""
    protocol: str = ""
    ident: str = ""  #: the mail server's own queue id

    def updated(self, said: Mapping[str, str]) -> Client:
        """With what another command said: what it does not name stays."""
        return Client(
            said.get("NAME", self.name),
            said.get("ADDR", self.address),
            int(said["PORT"] or 0) if "PORT" in said else self.port,
            said.get("HELO", self.helo),
            said.get("PROTO", self.protocol),
            said.get("IDENT", self.ident),
        )


def attributes(command: str, argument: str | None) -> dict[str, str]:
    """`NAME=VALUE NAME=VALUE...` of XFORWARD or XCLIENT, decoded. Raises ValueError that says what was expected."""
    said: dict[str, str] = {}
    for word in (argument or "").split():
        name, equals, value = word.partition("=")
        name = name.upper()
        if not equals or name not in ATTRIBUTES[command]:
            raise ValueError(f"{command}: one of {' '.join(ATTRIBUTES[command])}, each with =VALUE, was expected")
        said[name] = _value(name, value)
    if not said:
        raise ValueError(f"{command}: NAME=VALUE was expected")
    return said


def _value(name: str, text: str) -> str:
    if text.upper() in _UNKNOWN:
        return ""
    # xtext (RFC 3461, 4): +XX is a byte.
    value = (
        _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1", "replace").decode("utf-8", "replace")
    )
    if len(value) > MAX_VALUE or CONTROL.search(value):
        raise ValueError(f"{name}: at most {MAX_VALUE} characters, no control characters, were expected")
    if name == "ADDR":
        value = value[5:] if value.upper().startswith("IPV6:") else value
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            raise ValueError("ADDR: an IP address was expected (an IPv6 one after IPV6:)") from None
    if name == "PORT" and not (value.isascii() and value.isdigit() and int(value) < 65536):
        raise ValueError("PORT: a number below 65536 was expected")
    return value
