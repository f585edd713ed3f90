"""What a list shows of a message, read from the bytes of its header: in process, so guarded and capped throughout."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field

from rcqueue.model.mail import Author, HeaderField, Hop, RuleHit, VerdictKind
from rcqueue.server.reading import addresses, caps, trace, verdict
from rcqueue.server.reading.authors import FIELDS
from rcqueue.server.reading.fields import cut
from rcqueue.server.reading.listed import FILTERS, LISTED
from rcqueue.server.reading.parameters import parameters
from rcqueue.server.reading.words import decode

log = logging.getLogger(__name__)

_AUTHENTICATION = {"authentication-results", "arc-authentication-results", "received-spf"}


@dataclass(frozen=True, slots=True)
class Scan:
    """All text is decoded, one line a field, and free of NUL and lone surrogates."""

    from_email: str = ""  #: the first address of the first From field, domain lower-cased; "" if none is readable
    from_domain: str = ""
    from_addresses: list[str] = field(default_factory=list)  #: of every From field, in order
    display_name: str = ""  #: beside `from_email`
    authors: list[Author] = field(default_factory=list)  #: of every From, Sender and Reply-To field, in order
    to: str = ""  #: the To fields as text
    subject: str = ""  #: the first Subject field, at most 2,000 characters
    has_subject: bool = False
    date: str = ""  #: as written
    message_id: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)  #: the listed fields, in order; Subject is among them
    withheld: int = 0  #: fields that are not listed
    trace: list[Hop] = field(default_factory=list)
    authentication: list[str] = field(default_factory=list)  #: `Name: value`
    verdict: VerdictKind = VerdictKind.POLICY
    score: float | None = None
    required: float | None = None
    reason: str = ""
    rules: list[RuleHit] = field(default_factory=list)  #: names and points of class `headers`, descriptions of `rules`
    filters: list[HeaderField] = field(default_factory=list)
    degraded: str | None = None  #: what could not be read, or None: in our words, it quotes nothing


def scan(raw: bytes) -> Scan:
    """Read the header of a message. Never raises, never stalls: linear in the header, which is capped."""
    try:
        return _scan(raw)
    except Exception as error:  # each step guards itself: this is for the one that nobody thought of
        log.exception("a header could not be scanned")
        return Scan(reason=verdict.HELD_WITHOUT_REASON, degraded=f"the scan failed ({type(error).__name__})")


def _scan(raw: bytes) -> Scan:
    block = cut(raw)
    troubles: dict[str, None] = {}
    if block.trouble:
        troubles[block.trouble] = None
    elif not block.fields:
        troubles["no header"] = None

    first: dict[str, str] = {}  # the first field of each name, uncut
    for name, value in block.fields:
        first.setdefault(name.lower(), value)
    declared = ""  # what 8-bit bytes in a field most likely are
    if "content-type" in first and not raw[: block.body_at].isascii():
        declared = parameters(first["content-type"][: caps.FIELD]).get("charset", "")

    headers: list[tuple[str, str]] = []
    shown: dict[str, str] = {}
    hops: list[Hop] = []
    authentication: list[str] = []
    filters: list[HeaderField] = []
    recipients: list[str] = []
    senders: list[addresses.Address] = []
    authors: list[Author] = []
    fields_of: Counter[str] = Counter()
    for name, value in block.fields:
        key = name.lower()
        build = LISTED.get(key)
        if build is None:
            continue
        if len(value) > caps.FIELD:
            troubles[f"{name}: over {caps.FIELD // 1024} KB"] = None
            value = value[: caps.FIELD]
        text, trouble = decode(value, declared)
        if trouble:
            troubles[f"{name}: {trouble}"] = None
        text = build(text)
        headers.append((name, text))
        shown.setdefault(key, text)
        if key == "received":
            if len(hops) < caps.HOPS:
                hops.append(trace.hop(text))
        elif key in _AUTHENTICATION:
            authentication.append(f"{name}: {text}")
        elif key in FILTERS:
            filters.append(HeaderField(name=name, value=text))
        elif key == "to":
            recipients.append(text)
        elif key in FIELDS:
            found, trouble = addresses.read(value, declared)
            fields_of[key] += 1
            authors += [
                Author(field=key.title(), address=one.address, name=one.name, nth=fields_of[key])
                for one in found[: caps.AUTHORS - len(authors)]
            ]
            if key == "from":
                senders += found[: caps.ADDRESSES - len(senders)]
                if trouble:
                    troubles[f"{name}: {trouble}"] = None

    sender = senders[0] if senders else addresses.Address("", "")
    said = {field.name.lower(): field.value for field in reversed(filters)}
    if "x-rcq-verdict" in said:  # whole: its reason goes where rule text goes
        said["x-rcq-verdict"] = decode(first["x-rcq-verdict"][: caps.FIELD], declared)[0]
    judgement = verdict.judge(said, first.get("x-spam-report", ""))
    return Scan(
        from_email=sender.address,
        from_domain=sender.domain,
        from_addresses=[address for _, address in senders],
        display_name=sender.name,
        authors=authors,
        to=", ".join(recipients)[: caps.FIELD],
        subject=shown.get("subject", "")[: caps.SUBJECT],
        has_subject="subject" in shown,
        date=shown.get("date", "")[: caps.SUBJECT],
        message_id=shown.get("message-id", "")[: caps.SUBJECT],
        headers=headers,
        withheld=len(block.fields) - len(headers),
        trace=hops,
        authentication=authentication,
        verdict=judgement.verdict,
        score=judgement.score,
        required=judgement.required,
        reason=judgement.reason,
        rules=judgement.rules,
        filters=filters,
        degraded="; ".join(troubles)[: caps.REASON] or None,
    )
