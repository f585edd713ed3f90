"""Health and metrics: numbers only, no addresses, no subjects."""

from __future__ import annotations

from collections.abc import Mapping

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
    health = await parts.health.look()
    gauges: tuple[tuple[str, str, str, Mapping[str, float | None]], ...] = (
        ("rcqueue_scanner_up", "Whether a scanner answers", "scanner", {s.name: s.up for s in health.scanners}),
        (
            "rcqueue_signatures_age_seconds",
            "Age of a scanner's signatures or rules",
            "scanner",
            {s.name: s.age for s in health.scanners},
        ),
        ("rcqueue_next_hop_up", "Whether a next hop takes mail", "next_hop", {h.at: h.up for h in health.next_hops}),
        (
            "rcqueue_next_hop_paused",
            "Whether somebody paused a next hop",
            "next_hop",
            {h.at: h.paused is not None for h in health.next_hops},
        ),
        ("rcqueue_way_in_up", "Whether mail comes in this way", "way", {w.name: w.up for w in health.ways_in}),
    )
    for name, help_text, label, values in gauges:
        gauge = Gauge(name, help_text, [label], registry=registry)
        for of, number in values.items():
            if number is not None:
                gauge.labels(of).set(number)
    Gauge("rcqueue_disk_used_ratio", "How full the disk of data_dir is", registry=registry).set(health.disk_used)
    Gauge("rcqueue_writer_lag_seconds", "What the last write waited", registry=registry).set(health.lag)
    Gauge("rcqueue_alerts", "Alerts that stand", registry=registry).set(len(health.alerts))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
