"""Import: a message from a file, held for who may, once for one key."""

from __future__ import annotations

import json

import pytest

from rcqueue.model.ids import parse_id
from rcqueue.server.config import Config, Customer
from rcqueue.server.intake.files import Importer
from rcqueue.server.intake.hold import Intake
from rcqueue.server.marshal import Idempotency, Refusal
from rcqueue.server.store import tables as t

from .harness import MAIL

RAW = b"From: x@y.example\nSubject: bare LF\n\nfrom a file\n"


@pytest.fixture
def importer(queue, tmp_path):
    config = Config(data_dir=tmp_path, customer=(Customer(path="acme", domains=("acme.example",)),))
    return Importer(Intake(queue.marshal, config), 10_000, 100)


async def test_imported_by_name_bytes_as_they_are(queue, importer):
    who = await queue.session("admin")
    acme, rest = await importer.import_message(who, RAW, "", ["a@acme.example", "b@else.example"])
    assert await queue.raw(acme) == await queue.raw(rest) == RAW
    (detail, _) = await queue.rows(t.message_detail)
    assert json.loads(detail["receipt"])["protocol"] == "import"
    entry = (await queue.entries("mail.hold"))[0]
    assert (entry["account"], entry["customer"]) == (who.account, "acme")
    assert (await queue.rows(t.message, id=parse_id(acme)[0]))[0]["subject"] == "bare LF"


async def test_the_same_twice_with_one_key_is_once(queue, importer):
    who = await queue.session("admin")
    once = Idempotency.of(who.account, "k1", RAW)
    first = await importer.import_message(who, RAW, "s@x.example", ["a@acme.example"], once)
    assert await importer.import_message(who, RAW, "s@x.example", ["a@acme.example"], once) == first
    assert len(await queue.rows(t.message)) == 1
    with pytest.raises(Refusal, match="another request"):
        await importer.import_message(who, MAIL, "", ["a@acme.example"], Idempotency.of(who.account, "k1", MAIL))
    again = Idempotency.of(who.account, "k2", RAW)
    assert await importer.import_message(who, RAW, "s@x.example", ["a@acme.example"], again) != first


async def test_without_the_right_nothing_is_held_and_it_is_on_record(queue, importer):
    for role in ("operator", "blind", "auditor"):
        with pytest.raises(Refusal) as caught:
            await importer.import_message(await queue.session(role), RAW, "", ["a@acme.example"])
        assert (caught.value.kind, caught.value.extra["right"]) == ("forbidden", "hold")
    assert await queue.rows(t.message) == []
    assert [e["facts"]["verb"] for e in await queue.entries("denied")] == ["import"] * 3


@pytest.mark.parametrize(
    ("raw", "sender", "recipients", "said"),
    [
        (b"", "", ["a@b.example"], "empty"),
        (b"x" * 10_001, "", ["a@b.example"], "at most 10000"),
        (RAW, "", [], "1 to 100 recipients"),
        (RAW, "", [""], "none empty"),
        (RAW, "", ["a@b.example"] * 101, "1 to 100 recipients"),
        (RAW, "a\nb@c.example", ["a@b.example"], "control characters"),
        (RAW, "", ["a\x00@b.example"], "control characters"),
        (RAW, "", ["a\udcff@b.example"], "control characters"),
    ],
)
async def test_what_cannot_be_held_is_refused_by_what_was_expected(queue, importer, raw, sender, recipients, said):
    with pytest.raises(Refusal, match=said):
        await importer.import_message(await queue.session("admin"), raw, sender, recipients)
    assert await queue.rows(t.message) == []
