"""Acts: what a person does to mail, one at a time and many, and how the server answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from .mail import Status, Time, Wire


class Verb(StrEnum):
    """Every verb on mail. Each is a route, a CLI verb, an `/acpi` verb and an action of the terminal."""

    CLAIM = "claim"
    UNCLAIM = "unclaim"
    TAKEOVER = "takeover"
    ASSIGN = "assign"
    RELEASE = "release"
    RECALL = "recall"
    DELETE = "delete"
    RESTORE = "restore"
    EXTEND = "extend"
    NOTE = "note"
    SETTLE = "settle"
    TRY = "try"
    RESCAN = "rescan"


class SettleAs(StrEnum):
    ARRIVED = "arrived"
    AGAIN = "again"
    HOLD = "hold"


class ReleaseAs(StrEnum):
    """The form in which a mail goes out. All but the first are made anew, and say so."""

    ORIGINAL = "original"
    ATTACHMENT = "attachment"  #: as it came, attached to a new mail
    TAGGED = "tagged"  #: with its verdict in fields on top, and a word before its subject
    STRIPPED = "stripped"  #: without attachments


class Way(Wire):
    """How a mail goes out: kept with it, over each attempt."""

    form: ReleaseAs = ReleaseAs.ORIGINAL
    strip: list[str] = []  #: names of the attachments that the policy leaves out; none: stripped, it has none at all


POSTMASTER = "postmaster"  #: the word for whoever is the postmaster, in ActBody.to


class SenderScope(StrEnum):
    RECIPIENT = "recipient"
    CUSTOMER = "customer"


class SenderWish(Wire):
    """With a release: from now on let this sender through; with a delete: stop it."""

    scope: SenderScope = SenderScope.RECIPIENT
    days: int = Field(default=30, ge=1, le=366)


class Result(StrEnum):
    DONE = "done"
    HELD = "held"  #: rescan of many: it has its new verdict, and stays on hold
    CHANGED = "changed"  #: it changed after `as_of`
    CLAIMED = "claimed"  #: somebody else holds it
    REFUSED = "refused"  #: rights
    STATUS = "status"  #: the verb does not apply to its status
    GONE = "gone"  #: no such mail
    LOST = "lost"  #: the claim named by the fence is no longer held


class Manner(Wire):
    """How a verb is done, on one mail as on many."""

    as_of: int | None = None  #: the sequence that what the person saw was true at
    reason: str = Field(default="", max_length=1000)
    for_seconds: int | None = Field(default=None, ge=1, le=7 * 86400)  #: claim: an end of its own (CLI and API); assign
    person: str = Field(default="", max_length=100)  #: assign: who gets it; `note` is told them
    expiry: Time | None = None  #: extend and restore: the new end
    note: str = Field(default="", max_length=4000)
    settle: SettleAs | None = None
    form: ReleaseAs | None = None  #: release: None: as the policy says, else as it came
    to: list[str] = Field(default=[], max_length=20)  #: release: to these, and not to its recipient; "postmaster" too
    learn: bool = False  #: release: the scanners learn it as ham; delete: as spam
    sender: SenderWish | None = None  #: release: allow its sender; delete: block it


class ActBody(Manner):
    """Body of POST /api/v1/mails/ID/VERB."""

    fence: int | None = None  #: the fence of the claim that the person holds
    query: str | None = None  #: a message's id means its mails that match this filter


class MailResult(Wire):
    id: str
    result: Result
    status: Status | None = None
    version: int | None = None
    by: str = ""  #: who holds it, for `claimed`
    detail: str = ""
    would: str = ""  #: rescan: what the policy would do with it: pass, tag, defer, hold, reject
    mail: str = ""  #: of an act on many: which it is, by right


class ActAnswer(Wire):
    """Answer to an act on one mail or message."""

    seq: int  #: of the last entry written
    fence: int | None = None  #: of a claim that was granted or is held
    done: int
    results: list[MailResult]
    release: str | None = None  #: release id
    recall_until: Time | None = None  #: until when `recall` can stop it


class NextBody(Wire):
    """Body of POST /api/v1/mails/next."""

    count: int = Field(default=20, ge=1, le=200)  #: messages
    query: str = Field(default="", max_length=4000)
    for_seconds: int | None = Field(default=None, ge=1, le=7 * 86400)  #: as of a claim


class Dealt(Wire):
    """What `next` dealt: the messages, the next first, and how many mails were claimed with them."""

    seq: int
    messages: list[str] = []
    mails: int = 0


class ActRequest(Manner):
    """Body of POST /api/v1/acts: exactly one of `ids` and `query`."""

    verb: Verb
    ids: list[str] | None = Field(default=None, max_length=100_000)
    query: str | None = None


class ActState(StrEnum):
    SELECTING = "selecting"  #: what is meant is still being looked for; soon it is weighing, stored, or (undo) running
    WEIGHING = "weighing"  #: rescan: its messages are being scanned, nothing is done yet
    STORED = "stored"
    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"
    LAPSED = "lapsed"  #: not confirmed within ten minutes


class Reach(Wire):
    """Whom the mails of an act reach: what is to be known before it is confirmed."""

    recipients: int = 0  #: different ones
    more: bool = False  #: there are more than that
    outside: int = 0  #: mails to domains that are no customer's; if no domain is known to be one's, none
    domains: dict[str, int] = {}  #: those domains, how many mails each; at most 20

    @property
    def words(self) -> str:
        """` to 9,120 recipients; 12 mails go outside your domains: gmail.com 8, x.example 4`."""
        if not self.recipients:
            return ""
        whom = "recipient" if self.recipients == 1 else "recipients"
        text = f" to {self.recipients:,}{'+' if self.more else ''} {whom}"
        if self.outside:
            named = ", ".join(f"{domain} {n:,}" for domain, n in list(self.domains.items())[:3])
            more = " ..." if len(self.domains) > 3 else ""
            go = "mail goes" if self.outside == 1 else "mails go"
            text += f"; {self.outside:,} {go} outside your domains" + (f": {named}{more}" if named else "")
        return text


class ActProgress(Wire):
    id: str
    verb: Verb
    state: ActState
    as_of: int
    count: int
    done: int = 0
    tried: int = 0
    results: dict[str, int] = {}  #: how many mails by result
    would: dict[str, int] = {}  #: rescan: how many mails the policy would pass, hold ..., of those weighed so far
    sample: list[str] = []  #: some subjects and addresses, by right
    who: str = ""
    created: Time
    finished: Time | None = None
    reach: Reach = Reach()
    undoes: str | None = None  #: the act that this one takes back
    purged: Time | None = None  #: since when only its counts are kept, and not what became of each mail


class Confirm(Wire):
    expect: int  #: its count; of a rescan how many of it would pass


class Problem(Wire):
    """RFC 9457. `type` is stable: the last word of it is the name used in the code."""

    type: str
    title: str
    status: int
    detail: str = ""
    extra: dict[str, Any] = {}
