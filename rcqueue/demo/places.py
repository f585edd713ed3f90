"""Where the demo's mail goes to and comes from. Every domain is reserved (RFC 2606), every address is for documentation
(RFC 5737, RFC 3849): nothing in the demo can be mistaken for somebody's."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

#: The customer tree: (path, domains whose recipients belong to it).
CUSTOMERS: list[tuple[str, list[str]]] = [
    ("acme", ["acme.example"]),
    ("acme/sales", ["sales.acme.example"]),
    ("acme/support", ["support.acme.example"]),
    ("bank", ["bank.example"]),
    ("bank/cards", ["cards.bank.example"]),
    ("mine", ["mine.example"]),
    ("mine/plant", ["plant.mine.example"]),
]

#: Domains by how much mail they get.
DOMAINS = {
    "acme.example": 30,
    "sales.acme.example": 16,
    "support.acme.example": 8,
    "bank.example": 20,
    "cards.bank.example": 8,
    "mine.example": 12,
    "plant.mine.example": 6,
}

#: What phishers register beside a customer's own domain; the last is a homograph (a Cyrillic letter).
LOOK_ALIKES = {
    "acme.example": ("acrne.example", "acme-login.example", "acme.example.verify.test", "xn--cme-5cd.example"),
    "bank.example": ("bamk.example", "bank-secure.example", "bank.example.session.test", "xn--bnk-6cd.example"),
    "mine.example": ("rnine.example", "mine-portal.example", "mine.example.signin.test", "xn--mne-jhd.example"),
}

FIRST_NAMES = (
    "Anna", "Ben", "Carla", "David", "Elif", "Frank", "Grace", "Hugo", "Ines", "Jonas", "Kim", "Lena", "Marco",
    "Nadia", "Oscar", "Priya", "Quentin", "Rosa", "Stefan", "Tara", "Umar", "Vera", "Wei", "Ximena", "Yusuf",
    "Zoe",
)  # fmt: skip
LAST_NAMES = (
    "Abel", "Berger", "Costa", "Dietrich", "Evans", "Fischer", "Garcia", "Hoffmann", "Ito", "Jansen", "Keller",
    "Lopez", "Mason", "Novak", "Olsen", "Patel", "Quinn", "Richter", "Santos", "Tanaka", "Ullrich", "Vogel",
    "Wagner", "Young", "Zimmer",
)  # fmt: skip
ROLES = ("sales", "info", "office", "accounts", "hr", "ops", "it", "orders", "reception", "press")

#: Recipients whose next hop misbehaves (see `next_hop.BY_LOCAL_PART`); about one mail in 80 goes to one.
AWKWARD = ("full.mailbox", "left.company", "greylisted", "greylisted", "lost.answer", "slow.server")

_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")


@dataclass(frozen=True)
class Client:
    """The host that spoke to the filter's MTA."""

    address: str
    helo: str
    name: str  #: its reverse name, "unknown" without one
    tls: bool


def customer_of(domain: str) -> str:
    """The topmost domain of the customer that `domain` belongs to."""
    return ".".join(domain.split(".")[-2:])


def recipients(rng: Random, count: int, domain: str | None = None) -> tuple[str, ...]:
    """`count` addresses (1..60, all different) of one domain, most of them people."""
    at = domain or rng.choices(list(DOMAINS), list(DOMAINS.values()))[0]
    if count == 1 and rng.random() < 1 / 80:
        return (f"{rng.choice(AWKWARD)}@{at}",)
    chosen: dict[str, None] = {}
    while len(chosen) < count:
        if rng.random() < 0.25 and len(chosen) < len(ROLES) // 2:
            local = rng.choice(ROLES)
        else:
            local = f"{rng.choice(FIRST_NAMES)}.{rng.choice(LAST_NAMES)}".lower()
        chosen[f"{local}@{at}"] = None
    return tuple(chosen)


def crowd(rng: Random) -> int:
    """How many recipients a mail to several has: 2..60, small numbers most often."""
    return min(60, 2 + int(rng.expovariate(1 / 8)))


def address(rng: Random, network: int | None = None) -> str:
    """An address of a documentation network, now and then IPv6."""
    if network is None and rng.random() < 0.06:
        return f"2001:db8:{rng.randrange(65536):x}::{rng.randrange(1, 65536):x}"
    return f"{_NETWORKS[rng.randrange(3) if network is None else network % 3]}.{rng.randrange(1, 255)}"


def dial_up(rng: Random, network: int | None = None) -> Client:
    """A client as spammers use them: no fitting name."""
    at = address(rng, network)
    dashed = at.replace(".", "-").replace(":", "-")
    helo = rng.choice(
        (f"host-{dashed}.dyn.isp.example", f"[{at}]", "localhost.example", f"vps{rng.randrange(9999)}.test")
    )
    return Client(at, helo, f"host-{dashed}.dyn.isp.example" if rng.random() < 0.4 else "unknown", rng.random() < 0.5)


def mail_server(rng: Random, domain: str) -> Client:
    """A client as organisations run them."""
    name = f"{rng.choice(('mail', 'mx', 'out', 'smtp'))}{rng.choice(('', '1', '2'))}.{domain}"
    return Client(address(rng), name, name, True)
