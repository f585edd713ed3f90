"""Scanning of a file, and what the policy would do with it: nothing is kept, nothing is held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query

from rcqueue.model.access import Access, DataClass, Right
from rcqueue.model.mail import Wire
from rcqueue.model.scan import PolicyTested, RecipientDecision, Scanned
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.refusal import customers_with, no_right
from rcqueue.server.marshal.show import result_for, rules_for
from rcqueue.server.scan.base import ScanEnvelope

from .deps import Asker, Viewer

router = APIRouter(tags=["scan"])
Recipients = Annotated[list[str], Query(default_factory=list, max_length=100)]


@router.post("/scan", response_model=Scanned, response_model_exclude_none=True)
async def scan_file(asker: Asker, rcpt: Recipients, sender: str = "") -> Any:
    """What each scanner says of the message in the body of the request."""
    return await scan(asker, asker.body, sender, rcpt)


@router.post("/policy/test", response_model=PolicyTested, response_model_exclude_none=True)
async def test_policy(asker: Asker, rcpt: Recipients, sender: str = "") -> Any:
    """The same, and what the policy would do with it for each `rcpt`; without any, for one of no domain."""
    return await judge(asker, asker.body, sender, rcpt)


async def scan(asker: Viewer, raw: bytes, sender: str, recipients: Sequence[str]) -> dict[str, Any]:
    _, classes = await _allowed(asker, raw, recipients)
    results = await asker.parts.judge.scan(raw, ScanEnvelope(sender, tuple(recipients)))
    return _said(Scanned(results=[result_for(classes, result) for result in results]))


async def judge(asker: Viewer, raw: bytes, sender: str, recipients: Sequence[str]) -> dict[str, Any]:
    who, classes = await _allowed(asker, raw, recipients)
    judged = await asker.parts.judge.judge(raw, ScanEnvelope(sender, tuple(dict.fromkeys(recipients))))
    decisions = [
        _decision_for(_classes(asker, who, [to] if to else []), decision.of(to))
        for to, decision in judged.by_recipient.items()
    ]
    return _said(PolicyTested(results=[result_for(classes, r) for r in judged.results], decisions=decisions))


async def _allowed(asker: Viewer, raw: bytes, recipients: Sequence[str]) -> tuple[Access, frozenset[DataClass]]:
    """Who asks, and the classes that they have for all of the recipients. Raises Refusal."""
    who = await asker.who()
    customers = [asker.parts.customer_of(to) for to in recipients]
    customers_with(who, Right.VIEW)
    for customer in customers:
        if Right.VIEW not in who.rights_at(customer):
            raise no_right(Right.VIEW, customer)
    if not raw:
        raise Refusal("bad-request", "the message is empty")
    if len(raw) > (most := asker.parts.judge.size_limit):
        raise Refusal("too-large", f"the message has {len(raw)} bytes; at most {most} are taken")
    return who, _classes(asker, who, recipients)


def _classes(asker: Viewer, who: Access, recipients: Sequence[str]) -> frozenset[DataClass]:
    if not recipients:
        return who.classes_everywhere()
    return frozenset.intersection(*(who.classes_at(asker.parts.customer_of(to)) for to in recipients))


def _said(answer: Wire) -> dict[str, Any]:
    return answer.model_dump(mode="json", exclude_none=True)


# -- built from the classes that the viewer has


def _decision_for(classes: frozenset[DataClass], of: RecipientDecision) -> RecipientDecision:
    """The reason, and the fields that repeat it, name attachments."""
    names = {DataClass.HEADERS, DataClass.RULES, DataClass.ATTACHMENTS} <= classes
    return RecipientDecision(
        recipient=of.recipient,
        action=of.action,
        kind=of.kind,
        score=of.score,
        required=of.required,
        rules=rules_for(classes, of.rules),
        reason=of.reason if names else "",
        headers=of.headers if names else [],
        attachments=of.attachments if DataClass.ATTACHMENTS in classes else None,
        policy=of.policy,
        settings=of.settings if DataClass.HEADERS in classes else [],
    )
