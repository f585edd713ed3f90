"""Journal entries and the frames of the feed."""

from __future__ import annotations

from typing import Any

from .mail import Row, RowClaim, Status, Time, Wire

API = 1  #: version of the wire; a terminal and a server that differ say so
PING = 10  #: seconds between pings
LEASE = 120  #: seconds a terminal's lease outlives its last answered ping


class MailChange(Wire):
    """What an entry left a mail as."""

    id: str
    status: Status
    version: int
    expiry: Time | None = None
    claim: RowClaim | None = None


class Entry(Wire):
    """One entry: one message, and the mails of it that changed. `row` is the message as it is now, all its mails."""

    seq: int
    at: Time
    kind: str  #: OBJECT.VERB, e.g. mail.release
    message: str | None = None
    mails: list[MailChange] = []
    row: Row | None = None
    actor: str = ""
    note: str | None = None  #: reason, note or reply, where the viewer may see it
    facts: dict[str, Any] = {}  #: more of what was done: of an attempt its `queue_id` at the next hop, `tls` ...

    @property
    def said(self) -> str:
        """Its note; of a denied act before that what was denied, where, and for want of what: `release at acme/sales:
        no right to release`."""
        denied, facts = "", self.facts
        if self.kind == "denied":
            denied = str(facts.get("verb", ""))
            denied += f" the {facts['part']}" if "part" in facts else ""
            denied += f" of {facts['count']:,} mails" if "count" in facts else ""
            denied += f" at {facts['customer']}" if "customer" in facts else ""
            lacks = facts.get("right") or facts.get("class")
            denied += f": no right to {lacks}" if lacks else f": at most {facts['cap']:,}" if "cap" in facts else ""
        return "; ".join(filter(None, (denied, self.note)))


class Hello(Wire):
    api: int
    server: str
    journal: str  #: id of the journal; another one means resync
    ping: int = PING


class Presence(Wire):
    who: str
    message: str | None = None  #: None: gone
    pane: str = ""


class History(Wire):
    id: str
    entries: list[Entry]


class Step(Wire):
    """One step of a mail's way: an entry of the journal, or what the receipt log, a scanner or an attempt tells."""

    at: Time | None = None  #: None: not on record
    what: str  #: connect, received, hop, data, scan, decision, attempt, dot; or the kind of an entry, mail.release
    who: str = ""  #: who did it: a person, system; a client, a scanner, a next hop
    detail: str = ""
    mail: str | None = None  #: the mail that it is about, where it is about one of several
    seq: int | None = None  #: of the entry
    hearsay: bool = False  #: as others said it before the mail was ours: anybody may have written that


class Timeline(Wire):
    """A message's way, or one mail's, from the first server that it names to the next hop's answer, in order."""

    id: str
    steps: list[Step]
    more: int = 0  #: earlier entries and attempts, of very many, that are left out


class Frame(Wire):
    """One frame from the server: exactly one of these is set, `entries` with from_/to."""

    hello: Hello | None = None
    from_: int | None = None
    to: int | None = None
    entries: list[Entry] | None = None
    presence: list[Presence] | None = None
    resync: dict[str, Any] | None = None
    latest: bool = False  #: entries are the latest of each message only (a reader that lags)
