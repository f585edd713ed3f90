"""How the server does, and what is around it, as it crosses the wire: numbers and states, nothing of any mail."""

from __future__ import annotations

from .mail import Time, Wire
from .rules import RuleFile
from .scan import ScannerHealth


class Alert(Wire):
    """Something that an operator should know and that does not mend itself."""

    name: (
        str  #: what it is about: "scanner.clamav", "signatures.clamav", "next_hop.HOST:PORT", "way.postfix", "disk" ...
    )
    since: Time
    text: str


class ScannerState(ScannerHealth):
    age: int | None = None  #: seconds since its signatures, or rules, were made
    old: bool = False  #: older than `[alerts] signatures`


class NextHopState(Wire):
    """How a next hop answered last. `up` None: it was not asked yet."""

    at: str  #: HOST:PORT
    up: bool | None = None
    code: int | None = None  #: of its last reply; 0: there was none
    last: Time | None = None  #: when that was
    next: Time | None = None  #: when a mail that waits is due next
    waiting: int = 0  #: mails on their way to it


class WayIn(Wire):
    name: str
    at: str = ""  #: where it listens, or looks
    up: bool
    reason: str = ""  #: why it is not


class Health(Wire):
    """The answer of `GET /api/v1/health`."""

    now: Time
    server: str  #: its version
    started: Time
    lag: float = 0.0  #: seconds that the last thing to be written waited until it was durable
    waiting: int = 0  #: operations that wait for the writer
    disk_used: float = 0.0  #: of the disk that data_dir is on, 0 to 1
    disk_free: int = 0  #: bytes
    status: dict[str, int] = {}  #: mails that the asker may view
    oldest: Time | None = None  #: when the oldest of those on hold came
    scanners: list[ScannerState] = []
    next_hops: list[NextHopState] = []
    ways_in: list[WayIn] = []
    rules: RuleFile | None = None  #: the last push or rollback
    alerts: list[Alert] = []
