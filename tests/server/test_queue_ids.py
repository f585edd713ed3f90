"""The next hop's queue id, out of what servers in the field answer."""

from __future__ import annotations

import pytest

from rcqueue.server.delivery.queue_ids import queue_id_of


@pytest.mark.parametrize(
    ("reply", "queue_id"),
    [
        ("250 2.0.0 Ok: queued as 4jYbnB38GgzJFPF", "4jYbnB38GgzJFPF"),
        ("250 2.0.0 Ok: queued as 6C3A5E0B", "6C3A5E0B"),
        ("250 OK id=1rH5zL-0003Xw-2k", "1rH5zL-0003Xw-2k"),
        ("250 2.0.0 3B3BOoQ1012345 Message accepted for delivery", "3B3BOoQ1012345"),
        ("250 2.0.0 0d3f1b2a Message accepted for delivery", "0d3f1b2a"),
        ("250 ok 1700000000 qp 12345", "1700000000 qp 12345"),
        (
            "250 2.0.0 OK  1700000000 a1-20020a05600c0a0100b00si1234567wmb.123 - gsmtp",
            "a1-20020a05600c0a0100b00si1234567wmb.123",
        ),
        (
            "250 2.6.0 <x@y.example> [InternalId=1234567890123, Hostname=EX1.example] 1 bytes in 0.1, 8 KB/sec"
            " Queued mail for delivery",
            "1234567890123",
        ),
        ("250 Message Queued (0D5DCB0A-A7B3-4F6B-8B6E-0E2D2A3D5C11.1)", "0D5DCB0A-A7B3-4F6B-8B6E-0E2D2A3D5C11.1"),
        ("250 2.0.0 Message queued with id 8d1f2a3b4c.", "8d1f2a3b4c"),
        ("250 2.0.0 <ben@example.org> yVl3B2uHb2VvEQAAqU0jzQ Saved", "yVl3B2uHb2VvEQAAqU0jzQ"),
        ("250 2.0.0 Held as 1QGZ5CH2N8M4A", "1QGZ5CH2N8M4A"),
        ("250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4Abc1D2e", "4Abc1D2e"),
        ("250 2.0.0 Ok: passed on: 250 2.0.0 Ok: queued as FIRST11; 250 2.0.0 Ok: queued as LAST22", "LAST22"),
        ("250 Ok", None),
        ("250 2.0.0 Ok: 1234 bytes", None),
        ("250 2.1.5 Ok <ben@example.org> queued as well as can be", None),
        ("250 queued as <ben@example.org>", None),
        ("250 queued as ben.doe1@example.org", None),
        ("250 queued as " + "x1" * 500, None),
        ("", None),
    ],
)
def test_queue_id(reply, queue_id):
    assert queue_id_of(reply) == queue_id
