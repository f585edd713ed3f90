"""What a person may see of one message, built from the classes that they have: a class that they lack is never read
into what they get. Reading a body is an act: its entry is durable before a byte leaves."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from sqlalchemy import Connection, bindparam, select

from rcqueue.model.access import Access, DataClass, Right, covers
from rcqueue.model.folding import domain_of
from rcqueue.model.ids import encode_mail, encode_message
from rcqueue.model.mail import (
    Envelope,
    HeaderField,
    Headers,
    Link,
    MailLine,
    Part,
    Receipt,
    ReceiptDetail,
    RowClaim,
    RuleHit,
    ScanResult,
    SeenHow,
    Text,
    VerdictDetail,
    from_us,
)
from rcqueue.server.reading.authors import marked, results
from rcqueue.server.reading.deep import Deep
from rcqueue.server.reading.links import dotless
from rcqueue.server.reading.lookalike import Own, own
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.pages import session_mark
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision

from .asking import who_asks
from .mails import claim_ended
from .refusal import Refusal
from .seeing import saw

MAILS_SHOWN = 500
_FIELDS = TypeAdapter(list[tuple[str, str]], config=ConfigDict(hide_input_in_errors=True))
_SCANS = TypeAdapter(list[ScanResult], config=ConfigDict(hide_input_in_errors=True))
#: Listed header fields that show what belongs to another class.
_OF_CLASS = {
    "subject": DataClass.SUBJECT,
    "thread-topic": DataClass.SUBJECT,
    **dict.fromkeys(("from", "to", "cc", "bcc", "reply-to", "sender", "return-path"), DataClass.ENVELOPE),
    **dict.fromkeys(("received", "delivered-to", "x-original-to"), DataClass.ENVELOPE),
}


def not_found() -> Refusal:
    return Refusal("not-found", "there is no such mail")


def message_row(connection: Connection, who: Access, message: int) -> Any:
    """The row of a message that `who` may view; raises `Refusal`, the same whether it is hidden or not there."""
    row = connection.execute(select(t.message).where(t.message.c.id == message)).one_or_none()
    if row is None or Right.VIEW not in who.rights_at(row.customer):
        raise not_found()
    return row


def require(who: Access, customer: str, *classes: DataClass) -> None:
    for data_class in classes:
        if data_class not in who.classes_at(customer):
            detail = f"you may not see {data_class} at {customer}"
            raise Refusal("forbidden", detail, **{"class": data_class.value})


#: The code of an SMTP reply, and its enhanced code; no part of an address.
_CODE = re.compile(r"(?<![\w.:])[245]\d\d(?: [245]\.\d{1,3}\.\d{1,3})?(?![\w.:])")


def reply_for(who: Access, customer: str, reply: str) -> str:
    """A next hop's reply. It may quote what it refuses, so without the class `rules` its codes alone."""
    if DataClass.RULES in who.classes_at(customer):
        return reply
    code = _CODE.search(reply)
    return code[0] if code else ""


def envelope(connection: Connection, who: Access, message: int) -> Envelope:
    row = message_row(connection, who, message)
    require(who, row.customer, DataClass.ENVELOPE)
    giver = t.account.alias("giver")
    held = {
        claim.n: RowClaim(
            who=claim.name,
            mails=1,
            session=session_mark(claim.session),
            fence=claim.fence,
            by=claim.giver or "",
            note=claim.note or "",
        )
        for claim in connection.execute(
            select(t.claim, t.account.c.name, giver.c.name.label("giver"))
            .outerjoin(giver, giver.c.id == t.claim.c.given_by)
            .join(t.account, t.account.c.id == t.claim.c.account)
            .where(t.claim.c.message == message)
        )
    }
    query = select(t.mail).where(t.mail.c.message == message).order_by(t.mail.c.n).limit(MAILS_SHOWN)
    mails = [
        MailLine(
            id=encode_mail(message, mail.n),
            toEmail=mail.rcpt,
            status=mail.status,
            expiry=from_us(mail.expiry),
            version=mail.version,
            claim=held.get(mail.n),
            requested=None if mail.requested is None else from_us(mail.requested),
            reply=reply_for(who, row.customer, mail.reply),
        )
        for mail in connection.execute(query)
    ]
    return Envelope(id=encode_message(message), sender=row.sender, mails=mails, more=row.recipients - len(mails))


def headers(connection: Connection, who: Access, message: int, trusted: Sequence[str] = ()) -> Headers:
    """`trusted`: the names under which our own mail servers say what is authentic."""
    row = message_row(connection, who, message)
    require(who, row.customer, DataClass.HEADERS)
    classes = who.classes_at(row.customer)
    found = _detail(connection, message)
    fields = _FIELDS.validate_json(found.headers)
    shown = [HeaderField(name=n, value=v) for n, v in fields if _OF_CLASS.get(n.lower(), DataClass.HEADERS) in classes]
    withheld = found.withheld + len(fields) - len(shown)
    log = Receipt.model_validate_json(found.receipt)
    named = DataClass.ENVELOPE in classes
    return Headers(
        id=encode_message(message),
        fields=shown,
        withheld=withheld,
        authors=marked(log.authors, row.sender, own_domains(connection, row)) if named else [],
        auth=results(log.authentication, trusted),
        degraded=row.degraded,
    )


def own_domains(connection: Connection, row: Any) -> Own:
    """The domains that a sender of this message would pass for: those of its customer and of those above and below;
    where none are configured, its recipients'."""
    named = connection.execute(select(t.customer_domain.c.domain, t.customer_domain.c.customer))
    ours = {domain for domain, path in named if covers(path, row.customer) or covers(row.customer, path)}
    if not ours:
        to = select(t.mail.c.rcpt).where(t.mail.c.message == row.id).order_by(t.mail.c.n).limit(MAILS_SHOWN)
        ours = {domain_of(address) for address in connection.execute(to).scalars()} - {""}
    return own(frozenset(ours))


def body(connection: Connection, who: Access, message: int, deep: Deep, part: Part) -> Text:
    """What was made of a body. No class is asked for here: a caller has been through `OpenBody`."""
    ours = own_domains(connection, message_row(connection, who, message))
    html = part is Part.HTML
    return Text(
        id=encode_message(message),
        text=deep.html if html else deep.text,
        truncated=deep.html_truncated if html else deep.truncated,
        source="text/html" if html else deep.source,
        charset=deep.charset,
        encoding=deep.encoding,
        language=deep.language,
        links=sorted((_link(link, ours) for link in deep.links), key=lambda link: not link.marks),
        more_links=deep.more_links,
        marks=deep.marks,
        degraded=deep.degraded,
    )


def _link(link: Link, ours: Own) -> Link:
    like = ours.looks_like(link.host.replace("[.]", ".").partition(":")[0].rpartition("@")[2])
    if like is None:
        return link
    return link.model_copy(update={"marks": [*link.marks, f"looks like {dotless(like)}"]})


def verdict(connection: Connection, who: Access, message: int) -> VerdictDetail:
    row = message_row(connection, who, message)
    require(who, row.customer, DataClass.HEADERS)
    classes, found = who.classes_at(row.customer), _detail(connection, message)
    stored = stored_verdict(found.verdict)
    return VerdictDetail(
        id=encode_message(message),
        verdict=stored.verdict,
        score=stored.score,
        required=stored.required,
        reason=stored.reason if DataClass.RULES in classes else "",
        rules=rules_for(classes, stored.rules),
        scans=[result_for(classes, result) for result in stored_scans(found.scans)],
        degraded=row.degraded,
    )


def stored_verdict(text: str) -> VerdictDetail:
    return VerdictDetail.model_validate_json('{"id":"",' + text[1:])


def stored_scans(text: str) -> list[ScanResult]:
    return _SCANS.validate_json(text)


def rules_for(classes: frozenset[DataClass], rules: Sequence[RuleHit]) -> list[RuleHit]:
    """Descriptions quote bodies and attachment names."""
    if DataClass.HEADERS not in classes:
        return []
    if DataClass.RULES in classes:
        return list(rules)
    return [RuleHit(name=rule.name, points=rule.points) for rule in rules]


def result_for(classes: frozenset[DataClass], of: ScanResult) -> ScanResult:
    """What one scanner said, built from the classes."""
    listed = DataClass.HEADERS in classes
    return ScanResult(
        scanner=of.scanner,
        kind=of.kind,
        score=of.score,
        required=of.required,
        rules=rules_for(classes, of.rules),
        threats=of.threats if listed else [],
        members=of.members if DataClass.ATTACHMENTS in classes else [],
        reason=of.reason if DataClass.RULES in classes else "",
        seconds=of.seconds,
        error=of.error,
        skipped=of.skipped,
        version=of.version,
    )


def receipt(connection: Connection, who: Access, message: int) -> ReceiptDetail:
    row = message_row(connection, who, message)
    require(who, row.customer, DataClass.HEADERS, DataClass.ENVELOPE)
    log = Receipt.model_validate_json(_detail(connection, message).receipt)
    return ReceiptDetail(id=encode_message(message), receipt=log, origin=row.origin)


def _detail(connection: Connection, message: int) -> Any:
    row = connection.execute(select(t.message_detail).where(t.message_detail.c.message == message)).one_or_none()
    if row is None:
        raise Refusal("not-found", "its details were purged with its bytes")
    return row


_RAW = (
    select(t.blob.c.data, t.blob.c.codec)
    .join(t.message, (t.message.c.customer == t.blob.c.customer) & (t.message.c.sha256 == t.blob.c.sha256))
    .where(t.message.c.id == bindparam("message"))
)


def raw_bytes(connection: Connection, message: int) -> bytes:
    """The stored bytes. No rights are checked here: a caller has been through `OpenBody`, or shows only what is
    made of them by class."""
    return unpacked(connection.execute(_RAW, {"message": message}).one_or_none())


def unpacked(found: Any) -> bytes:
    """The stored bytes, from a row that has `data` and `codec` of table `blob`."""
    if found is None or found.data is None:
        raise Refusal("not-found", "its bytes were purged")
    return zlib.decompress(found.data) if found.codec == "zlib" else bytes(found.data)


def deep_kept(connection: Connection, message: int) -> bytes | None:
    """The JSON of what was made of a message when it was first opened."""
    kept = connection.execute(select(t.message_detail.c.deep).where(t.message_detail.c.message == message)).scalar()
    return None if kept is None else zlib.decompress(kept)


@dataclass(frozen=True, slots=True)
class KeepDeep:
    """Keeps what a reader made of a message; derived, so no entry."""

    message: int
    deep: bytes  # JSON

    @property
    def needs(self) -> Needs:
        return Needs()

    @property
    def weight(self) -> int:
        return len(self.deep)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        statement = t.message_detail.update().where(t.message_detail.c.message == self.message)
        rows.sweep(statement.values(deep=zlib.compress(self.deep, 1)))
        return Decision()


@dataclass(frozen=True, slots=True)
class OpenBody:
    """The door that a body leaves by. The entry is durable before a byte of it goes out.

    `goes_on`: the next page of what is open already, for which there is an entry.
    """

    session: int
    message: int
    part: str
    goes_on: bool = False

    @property
    def needs(self) -> Needs:
        return Needs(messages=frozenset({self.message}), sessions=frozenset({self.session}))

    @property
    def weight(self) -> int:
        return 500

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        row = rows.message(self.message)
        if row is None or Right.VIEW not in who.rights_at(row["customer"]):
            raise not_found()
        draft = Draft(
            "mail.read",
            customer=row["customer"],
            queue=row["queue"],
            message=self.message,
            account=who.account,
            session=self.session,
            facts={"part": self.part},
        )
        refusal: Refusal | None = None
        if DataClass.BODY not in who.classes_at(row["customer"]):
            detail = f"you may not read bodies at {row['customer']}"
            refusal = Refusal("forbidden", detail, **{"class": DataClass.BODY.value})
        elif row["purged"] is not None:
            raise Refusal("not-found", "its bytes were purged")
        elif self._locked_by_claims(rows, row["customer"], who.account, now):
            refusal = Refusal("claimed", f"at {row['customer']} only the claim's holder reads the body: claim it first")
        if refusal is not None:
            draft.kind, draft.facts = "denied", {"verb": "read", "part": self.part}
        elif self.goes_on:
            return Decision()
        else:
            saw(rows, self.message, who.account, now, SeenHow.READ)
        return Decision(refusal, [draft])

    def _locked_by_claims(self, rows: Rows, customer: str, account: int, now: int) -> bool:
        place = rows.get(t.customer, customer)
        if place is None or not place["claim_locks_body"]:
            return False
        claims = rows.claims[self.message].values()
        return not any(c["account"] == account and not claim_ended(rows, c, now) for c in claims)
