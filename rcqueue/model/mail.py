"""Messages and mails as they cross the wire. Times are RFC 3339 UTC with milliseconds; sizes are bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer


class Status(StrEnum):
    ONHOLD = "ONHOLD"
    RELEASING = "RELEASING"
    UNCERTAIN = "UNCERTAIN"
    RELEASED = "RELEASED"
    DELETED = "DELETED"
    EXPIRED = "EXPIRED"
    PASSED = "PASSED"  #: it went on at once; what is known of it is kept for a while, its bytes are not
    REJECTED = "REJECTED"  #: refused while its sender waited; likewise


class VerdictKind(StrEnum):
    SPAM = "SPAM"
    VIRUS = "VIRUS"
    PHISH = "PHISH"
    ATTACHMENT = "ATTACHMENT"
    POLICY = "POLICY"
    MANUAL = "MANUAL"


def rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str)]


def from_us(us: int) -> datetime:
    """Unix microseconds, as the store keeps times, to a datetime in UTC."""
    return datetime.fromtimestamp(us / 1_000_000, UTC)


def to_us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


class Wire(BaseModel):
    """Unknown fields are ignored: an older terminal reads a newer server. An error quotes nothing of what it is in."""

    model_config = ConfigDict(extra="ignore", use_enum_values=True, hide_input_in_errors=True)


class RowClaim(Wire):
    """`mails` of the row's matching mails are claimed, by `who` (the holder of most of them)."""

    who: str
    mails: int
    session: str = ""  #: a short public mark of the holder's session, to tell two sessions of one person apart
    fence: int = 0  #: the highest fence among them
    by: str = ""  #: who assigned it; then it waits for `who` under no session
    note: str = ""  #: what they said with it

    def of(self, name: str, session: str) -> bool:
        """Whether it is this person's, in this session of theirs or waiting for them."""
        return self.session == session or (self.who == name and not self.session)


class Row(Wire):
    """One message in a list: those of its mails that match. A class that the viewer lacks: the key is absent (None)."""

    id: str
    timestamp: Time
    status: Status  #: the commonest status of the matching mails
    expiry: Time | None = None  #: the earliest of the matching mails that are on hold
    fromDomain: str | None = None
    fromEmail: str | None = None
    sender: str | None = None  #: envelope sender; "" for bounces
    toEmail: str | None = None  #: the first matching recipient
    matching: int  #: mails that match the filter
    recipients: int  #: mails of the message
    subject: str | None = None
    score: float | None = None
    verdict: VerdictKind
    size: int
    rules: list[str] | None = None  #: names of the rules that fired
    campaign: str | None = None  #: C... by all that is known of it; E... by what who lacks bodies may know too
    customer: str
    queue: str
    claim: RowClaim | None = None
    requested: int = 0  #: matching mails whose recipient asks for a release
    version: int
    degraded: str | None = None  #: why the mail could not be read whole, or None


class Page(Wire):
    """A page of rows, true at journal sequence `seq`. `next` goes on from its end; None at the end of the list."""

    seq: int
    rows: list[Row]
    next: str | None = None
    previous: str | None = None
    partial: bool = False  #: the time limit came first: these are what was found, `next` goes on


class Counts(Wire):
    """Kept counters: mails by status, and, of those on hold, by verdict."""

    seq: int
    status: dict[str, int]
    verdict: dict[str, int] = {}


class RuleHit(Wire):
    name: str
    points: float | None = None
    description: str | None = None  #: of class `rules`


class ScanResult(Wire):
    """What one scanner found. With `error` or `skipped` it has found nothing, which is not: clean."""

    scanner: str
    kind: VerdictKind | None = None  #: None: clean, by the scanner's own measure
    score: float | None = None
    required: float | None = None  #: the score from which the scanner itself calls it spam
    rules: list[RuleHit] = []
    threats: list[str] = []  #: names of what was found
    members: list[str] = []  #: of class `attachments`: what is in the archives, where the scanner lists them
    reason: str = ""  #: of class `rules`
    seconds: float = 0.0
    error: str | None = None  #: why there is no answer, in our words; it quotes nothing
    skipped: str | None = None  #: why it was not asked, such as its size limit
    version: str = ""


class HeaderField(Wire):
    name: str
    value: str


class Hop(Wire):
    """One Received field, cut into its clauses as far as they can be read."""

    by: str = ""
    from_: str = ""
    with_: str = ""
    id: str = ""
    for_: str = ""
    at: str = ""
    raw: str = ""


class Author(Wire):
    """An address that a message names as its author, or wants answers sent to."""

    field: str  #: From, Sender, Reply-To; Envelope: the envelope sender
    address: str
    name: str = ""  #: display name
    nth: int = 1  #: the how manieth field of that name it stands in
    marks: list[str] = []  #: what there is to say against it, in our words


class AuthResult(Wire):
    """One result of an Authentication-Results, ARC-Authentication-Results or Received-SPF field."""

    method: str  #: spf, dkim, dmarc, arc
    result: str  #: pass, fail ...
    of: str = ""  #: the domain that it is about
    by: str = ""  #: who says so
    said: bool = True  #: by nobody whom the configuration trusts: anybody may have written it


class Dsn(Wire):
    """What the sender asks to be told of what becomes of a message (RFC 3461), as it was said and is said again."""

    mail: str = ""  #: parameters of MAIL: "RET=HDRS ENVID=QQ314159"
    recipients: dict[str, str] = {}  #: those of RCPT, by recipient: "NOTIFY=SUCCESS ORCPT=rfc822;ada@example.org"


class Receipt(Wire):
    """The receipt log of a message: how it came in."""

    at: Time
    client: str = ""  #: address of the SMTP client
    port: int = 0
    name: str = ""  #: host name of the client, as the mail server that forwarded the mail knows it
    helo: str = ""
    protocol: str = ""  #: SMTP, ESMTP, ESMTPS, LMTP, import
    ident: str = ""  #: queue id of the mail server that forwarded the mail
    forwarded_by: str = ""  #: address of that server, which said who the client is; "": the client came itself
    tls: str = ""  #: version and cipher, "" without
    smtputf8: bool = False
    body_8bit: bool = False
    dsn: Dsn | None = None  #: None: nothing was asked for
    sender: str = ""
    recipients: list[str] = []
    size: int = 0
    connected_at: Time | None = None
    data_at: Time | None = None
    trace: list[Hop] = []
    authentication: list[str] = []  #: Authentication-Results and Received-SPF, as they stand
    authors: list[Author] = []  #: of every From, Sender and Reply-To field, without marks
    filters: list[HeaderField] = []  #: the spam filters' own fields that quote no body


class Attachment(Wire):
    name: str
    type: str  #: as the mail declares it
    size: int
    sha256: str
    content: str = ""  #: what it is by its first bytes; "" where they tell nothing
    marks: list[str] = []  #: password-protected, a name that says other than the bytes ..., in our words


class Link(Wire):
    """A link of a body, written so that nothing opens it: `hxxp://host[.]example/path`."""

    to: str
    host: str  #: where it leads: a host, the address of a `mailto:`, or another scheme
    label: str = ""  #: the place that its text names, where that is another one
    marks: list[str] = []


class MailLine(Wire):
    """One mail of a message."""

    id: str
    toEmail: str
    status: Status
    expiry: Time | None = None
    version: int
    claim: RowClaim | None = None
    requested: Time | None = None  #: when its recipient asked for a release
    reply: str = ""  #: the next hop's last answer


class Part(StrEnum):
    """What `show --part` and `GET /api/v1/mails/ID/PART` can give."""

    SUMMARY = "summary"
    ENVELOPE = "envelope"
    HEADERS = "headers"
    VERDICT = "verdict"
    RECEIPT = "receipt"
    HISTORY = "history"
    TIMELINE = "timeline"
    ATTACHMENTS = "attachments"
    TEXT = "text"
    HTML = "html"
    HEX = "hex"
    RAW = "raw"


#: Parts of class `body`: each read of one is on record.
BODIES = frozenset({Part.TEXT, Part.HTML, Part.HEX, Part.RAW})


class Envelope(Wire):
    id: str
    sender: str
    mails: list[MailLine]
    more: int = 0  #: mails beyond those listed


class Headers(Wire):
    id: str
    fields: list[HeaderField]
    withheld: int = 0  #: fields that are not on the allow-list, and so not shown
    authors: list[Author] = []  #: of class `envelope`
    auth: list[AuthResult] = []  #: SPF, DKIM, DMARC and ARC, those of trusted servers first
    degraded: str | None = None


class VerdictDetail(Wire):
    id: str
    verdict: VerdictKind
    score: float | None = None
    required: float | None = None
    reason: str = ""
    rules: list[RuleHit] = []
    scans: list[ScanResult] = []  #: what our own scanners said; none where the verdict is the header's
    degraded: str | None = None


class ReceiptDetail(Wire):
    id: str
    receipt: Receipt
    origin: str = ""  #: the way in: smtp, lmtp, milter, filter, import, postfix:HOST/QUEUEID ...


class Attachments(Wire):
    id: str
    attachments: list[Attachment]
    degraded: str | None = None


class Text(Wire):
    """A body as text; as `html` the source of its HTML."""

    id: str
    text: str
    truncated: bool = False
    source: str = "text/plain"
    charset: str = ""  #: as the part names it
    encoding: str = ""  #: its transfer encoding
    language: str = ""  #: ISO 639-1, guessed; "": not known
    links: list[Link] = []  #: of all its text parts, those with something against them first
    more_links: int = 0  #: links beyond those
    marks: list[str] = []  #: hidden text, forms, remote images ..., in our words
    degraded: str | None = None


class SeenHow(StrEnum):
    """What somebody did with a message, from least to most."""

    LOOKED = "looked"  #: the cursor rested on it
    READ = "read"  #: its body
    ACTED = "acted"  #: released, deleted, noted ... (a claim is none: nobody need look for that)


class Seen(Wire):
    """Who looked at a message: when last, and the most that they did."""

    who: str
    at: Time
    how: SeenHow


class Hex(Wire):
    """A page of the stored bytes."""

    id: str
    at: int  #: offset of the first
    size: int  #: of all of them
    data: str  #: in hexadecimal


class CampaignClaim(Wire):
    who: str
    mails: int


class Campaign(Wire):
    """A campaign, over what the viewer may see of it. A class that the viewer lacks: the key is absent (None).

    What it shows of its mails (subjects, senders, recipients) is of its newest few.
    """

    id: str  #: as `campaign:ID` and `Row.campaign` have it
    term: str  #: narrows to it, `campaign:ID`; for who reads bodies at some customers alone with these beside it
    mails: int  #: that match the filter
    capped: bool = False  #: there are more than `mails`, or time was up
    first: Time  #: when its first message came,
    last: Time  #: and its last
    status: dict[str, int]  #: all of its mails, by status
    verdict: VerdictKind  #: of its newest message
    subjects: list[str] | None = None
    fromDomains: list[str] | None = None
    toEmails: list[str] | None = None
    claims: list[CampaignClaim] = []  #: who holds how many of its mails


class Campaigns(Wire):
    """A page, newest first, true at journal entry `seq`. `next` goes on from its end; None at the end of the list."""

    seq: int
    campaigns: list[Campaign]
    next: str | None = None
    partial: bool = False  #: the time limit came first: `next` goes on


class Summary(Wire):
    """The default of `rcqueue show`: row, envelope, listed headers and verdict in one."""

    row: Row
    campaign: Campaign | None = None
    envelope: Envelope | None = None
    headers: Headers | None = None
    verdict: VerdictDetail | None = None
    seen: list[Seen] = []  #: the last first


class RoleGrant(Wire):
    role: str
    customer: str


class Whoami(Wire):
    """Who is signed in, and what they may do."""

    name: str
    session: str  #: short public mark of the session
    roles: list[RoleGrant]
    locks: list[str] = []
    rights: list[str]  #: held anywhere
    classes: list[str]  #: held at each customer that can be viewed: what a filter may ask about
    customers: list[str]
    api: int
    server: str
    journal: str
    queue: str = "main"
    warning: str = ""
