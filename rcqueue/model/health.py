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


#: Alerts of what stops mail; the others are warnings.
_GRAVE = ("scanner.", "next_hop.", "way.")


def grave(alert: Alert) -> bool:
    return alert.name.startswith(_GRAVE)


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
    paused: Time | None = None  #: since when somebody lets nothing go to it
    rate: int | None = None  #: mails a minute that go to it at most, where somebody said so


class WayIn(Wire):
    name: str
    at: str = ""  #: where it listens, or looks
    up: bool
    reason: str = ""  #: why it is not


class Flow(Wire):
    """Mails that came into the hold, and left it, where the asker may view or count them; the newest last."""

    came: list[int] = []  #: in each of the last 60 minutes, the running one included
    went: list[int] = []
    came_day: list[int] = []  #: in each half hour of the last 24 hours
    went_day: list[int] = []


class Health(Wire):
    """The answer of `GET /api/v1/health`."""

    now: Time
    server: str  #: its version
    node: str = ""  #: the host that it runs on
    started: Time
    lag: float = 0.0  #: seconds that the last thing to be written waited until it was durable
    waiting: int = 0  #: operations that wait for the writer
    disk_used: float = 0.0  #: of the disk that data_dir is on, 0 to 1
    disk_free: int = 0  #: bytes
    status: dict[str, int] = {}  #: mails that the asker may view
    oldest: Time | None = None  #: when the oldest of those on hold came
    flow: Flow = Flow()
    scanners: list[ScannerState] = []
    next_hops: list[NextHopState] = []
    ways_in: list[WayIn] = []
    rules: RuleFile | None = None  #: the last push or rollback
    alerts: list[Alert] = []


class Wall(Wire):
    """The answer of `GET /api/v1/wall`: counts, and nothing of any mail."""

    now: Time
    status: dict[str, int] = {}
    verdict: dict[str, int] = {}  #: of those on hold
    customers: dict[str, int] = {}  #: on hold, of those that have any; the most first
    oldest: Time | None = None
    flow: Flow = Flow()
    alerts: list[Alert] = []
