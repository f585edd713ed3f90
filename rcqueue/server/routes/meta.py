"""Health and metrics: numbers only, no addresses, no subjects."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import Connection, func, select

from rcqueue.server.store import tables as t
from rcqueue.server.store.database import head_seq

from .deps import parts_of

router = APIRouter(tags=["health"])


def _numbers(connection: Connection) -> tuple[int, dict[str, int], int]:
    by_status = select(t.tally.c.status, func.sum(t.tally.c.n)).group_by(t.tally.c.status)
    mails = {status: int(n) for status, n in connection.execute(by_status)}
    return head_seq(connection), mails, connection.execute(select(func.count()).select_from(t.claim)).scalar_one()


@router.get("/healthz")
async def health(request: Request) -> dict[str, object]:
    parts = parts_of(request)
    seq, mails, claims = await parts.marshal.database.read(_numbers)
    waiting = parts.marshal.writer.waiting
    return {"ok": True, "seq": seq, "mails": mails, "claims": claims, "feeds": len(parts.hub), "waiting": waiting}


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    parts = parts_of(request)
    seq, mails, claims = await parts.marshal.database.read(_numbers)
    registry = CollectorRegistry()
    by_status = Gauge("rcqueue_mails", "Mails by status", ["status"], registry=registry)
    for status, n in mails.items():
        by_status.labels(status).set(n)
    for name, help_text, value in (
        ("rcqueue_journal_seq", "Number of the last entry", seq),
        ("rcqueue_claims", "Claims held", claims),
        ("rcqueue_feeds", "Open feeds", len(parts.hub)),
        ("rcqueue_writer_waiting", "Operations that wait for the writer", parts.marshal.writer.waiting),
    ):
        Gauge(name, help_text, registry=registry).set(value)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
