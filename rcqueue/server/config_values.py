"""The values of `rcqueue.toml`: what each is written as, and what it is here.

Durations are written "14d", "36h", "10m", "10s" and are microseconds here, as everywhere in the store; sizes are
written "50M", "512K" or a number, and are bytes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from datetime import time
from email.policy import SMTP
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from rcqueue.model.access import ROOT
from rcqueue.model.folding import ascii_domain

DAY = 86400 * 1_000_000
SECOND = 1_000_000

T = TypeVar("T")


class Address(NamedTuple):
    """Where something listens, or is reached."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


_DURATION = re.compile(r"(\d{1,9})\s*(d|h|m|s|ms)")
_UNITS = {"d": DAY, "h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": 1000}
_TIME = re.compile(r"(\d\d):(\d\d)")
_SIZE = re.compile(r"(\d{1,12})\s*([KMG]?)B?", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]/]+)):(?P<port>\d{1,5})")
_ELEMENT = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
_PATH = re.compile(rf"{_ELEMENT}(?:/{_ELEMENT})*")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def _duration(value: Any) -> int:
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found:
        raise ValueError('a duration was expected, such as "14d", "36h", "10m" or "10s"')
    return int(found[1]) * _UNITS[found[2]]


def _size(value: Any) -> int:
    found = _SIZE.fullmatch(str(value).strip()) if isinstance(value, str | int) else None
    if not found or isinstance(value, bool) or not int(found[1]):
        raise ValueError('a size was expected, such as "50M", "512K" or a number of bytes')
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2].upper()]


def _address(value: Any) -> Address:
    if isinstance(value, Address):
        return value
    found = _ADDRESS.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found or int(found["port"]) > 65535:
        raise ValueError('HOST:PORT was expected, such as "127.0.0.1:8025" or "[::1]:8025"')
    return Address(found["v6"] or found["host"], int(found["port"]))


def _endpoint(value: Any) -> Address | Path:
    if isinstance(value, Path) or (isinstance(value, str) and value.startswith(("/", "unix:"))):
        return Path(str(value).removeprefix("unix:"))
    try:
        return _address(value)
    except ValueError:
        raise ValueError('HOST:PORT or the path of a unix socket was expected, such as "unix:/run/x.sock"') from None


class Mailbox(NamedTuple):
    """A name, which may be empty, and an address."""

    name: str
    address: str


def _mailbox(value: Any) -> Mailbox:
    if isinstance(value, Mailbox):
        return value
    found = SMTP.header_factory("From", value) if isinstance(value, str) and value.isprintable() else None
    boxes: Sequence[Any] = getattr(found, "addresses", ())
    if found is None or len(boxes) != 1 or found.defects or not boxes[0].domain or not boxes[0].addr_spec.isascii():
        raise ValueError('an address was expected, such as "Quarantine <postmaster@example.org>"')
    return Mailbox(boxes[0].display_name, boxes[0].addr_spec)


def _base_url(value: str) -> str:
    try:
        url = urlsplit(value)
        host, plain = Address(url.hostname or "", url.port or 0), url.scheme == "http"
    except ValueError:
        host, plain = Address("", 0), False
    more = "@" in value or "?" in value or "#" in value or not re.fullmatch(r"[!-~]+", value)
    if more or not host.host or not (value.startswith("https://") or (plain and host.is_loopback)):
        raise ValueError('a URL with https was expected, such as "https://queue.example.org" (http to loopback only)')
    return value.rstrip("/")


def _time_of_day(value: Any) -> time:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, time) and value.tzinfo is None:
        return value
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        raise ValueError('a time of the day was expected, such as "07:00"')
    return time(int(found[1]), int(found[2]))


def _domain(value: str) -> str:
    domain = ascii_domain(value)
    if not _DOMAIN.fullmatch(domain):
        raise ValueError('a domain was expected, such as "example.org"')
    return domain


_LOCAL_PART = re.compile(r'"(?:[^"\\]|\\.)*+"|[^\s"\\@<>(),;:\[\]]++')


def mail_address(value: str) -> str:
    """An address as an envelope names it. Raises ValueError for what is none."""
    local, at, domain = value.rpartition("@")
    fits = at and len(value) <= 254 and value.isprintable() and _LOCAL_PART.fullmatch(local)
    if not fits or not _DOMAIN.fullmatch(ascii_domain(domain)) or domain.endswith("."):
        raise ValueError('an address was expected, such as "postmaster@example.org"')
    return value


def _word(value: str) -> str:
    if not re.fullmatch(r"[!-<>-~](?:[ -<>-~]{0,38}[!-<>-~])?", value):
        raise ValueError('1 to 40 printable ASCII characters without "=" were expected, such as "[SPAM]"')
    return value


def _path(value: str) -> str:
    if not _PATH.fullmatch(value) or value.startswith(f"{ROOT}/"):
        raise ValueError('a path was expected: lower-case names with "/" between them, such as "acme/sales"')
    return value


def longest_match(table: Mapping[str, T], recipient: str) -> T | None:
    """What `table` has for the recipient's domain, or for the nearest domain above it."""
    labels = ascii_domain(recipient.rpartition("@")[2]).split(".")
    for start in range(len(labels)):
        domain = ".".join(labels[start:])
        if domain in table:
            return table[domain]
    return None


def _network(value: Any) -> Any:
    try:
        return ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(
            f'an address or a network was expected, such as "127.0.0.1" or "192.0.2.0/24" ({error})'
        ) from None


# NoDecode: a value from the environment is written as in the file, not as JSON.
Listen = Annotated[Address, NoDecode, BeforeValidator(_address)]
Endpoint = Annotated[Address | Path, NoDecode, BeforeValidator(_endpoint)]
Microseconds = Annotated[int, BeforeValidator(_duration)]
Bytes = Annotated[int, BeforeValidator(_size)]
Domain = Annotated[str, AfterValidator(_domain)]
MailAddress = Annotated[str, AfterValidator(mail_address)]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(_network)]
Word = Annotated[str, AfterValidator(_word)]
CustomerPath = Annotated[str, AfterValidator(_path)]
Sender = Annotated[Mailbox, NoDecode, BeforeValidator(_mailbox)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
TimeOfDay = Annotated[time, NoDecode, BeforeValidator(_time_of_day)]
