"""Release and learn, delete and learn: a real spamd is told, at least once, and what came of it is on record once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text, update

from rcqueue.client.api import Api
from rcqueue.demo.ports import bind
from rcqueue.model.act import ActBody, Verb
from rcqueue.model.mail import Part
from rcqueue.server.config import SECOND, Config
from rcqueue.server.learning import Learning
from rcqueue.server.marshal import Terms, verbs
from rcqueue.server.marshal.learning import Learned
from rcqueue.server.scan.base import ScanEnvelope
from rcqueue.server.scan.judge import Judge
from rcqueue.server.store import tables as t
from tests.realparts import spamd as real
from tests.realparts.part import free_port

from .child import Child
from .harness import Queue
from .live import Live, mail
from .post import MS, until

TEXT = "Do you want to buy a very used submarine, with periscope and crew? " * 8


@pytest.fixture(scope="module")
def spamd():
    with real.running(1) as part:
        yield part


def at(port: int, **more: Any) -> dict[str, Any]:
    return {"type": "spamassassin", "address": f"127.0.0.1:{port}", "timeout": "20s", **more}


@contextlib.asynccontextmanager
async def learning(queue: Queue, *scanners: dict[str, Any], **more: Any) -> AsyncIterator[Learning]:
    judge = Judge(Config(data_dir=queue.folder, scanner=scanners))
    worker = Learning(queue.marshal, judge, **more)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await judge.close()


async def learned(queue: Queue) -> list[Any]:
    return [entry["facts"] for entry in await queue.entries("mail.learn")]


async def told(queue: Queue, number: int = 1) -> list[Any]:
    """The facts of the entries, once there are so many."""
    await until(lambda: how_many(queue, number), number)
    assert await queue.rows(t.task) == []
    return await learned(queue)


async def how_many(queue: Queue, most: int) -> int:
    return min(most, len(await learned(queue)))


async def test_a_server_teaches_spamd_what_was_deleted_and_what_was_released(tmp_path, spamd):
    async with Live(tmp_path, recall="300ms", scanner=[at(spamd.port)]) as live:
        ben = live.api("ben")
        (spam,), (ham,) = [await live.send(mail("submarine", TEXT)), await live.send(mail("greetings", "See you."))]
        await ben.act(spam, Verb.DELETE, ActBody(learn=True, reason="no"))
        await ben.act(ham, Verb.RELEASE, ActBody(learn=True))
        async with asyncio.timeout(20):
            for id in (spam, ham):
                while not (found := [e for e in await history(ben, id) if e["kind"] == "mail.learn"]):
                    await asyncio.sleep(0.05)
                assert found[0]["actor"] == "system"
                as_ = "spam" if id == spam else "ham"
                assert found[0]["facts"] == {"as": as_, "results": {"spamassassin": f"learned as {as_}"}}
        after = await live.server.judge.scan(mail("submarine", TEXT), ScanEnvelope())
    assert any(rule.name.startswith("BAYES_") and (rule.points or 0) > 0 for rule in after[0].rules)


async def history(api: Api, id: str) -> list[dict[str, Any]]:
    return (await api.part(id, Part.HISTORY)).model_dump(exclude_none=True)["entries"]  # type: ignore[union-attr]


def test_killed_between_act_and_learning_it_is_learned_after_all(tmp_path, spamd):
    with bind() as hangs:  # it is told, and never answers
        hangs.listen()
        hangs.settimeout(20)
        with Child(tmp_path, "OFF", scanner=[at(hangs.getsockname()[1])]) as child:
            asyncio.run(delete(child))
            asked = []
            while not asked or asked[-1].recv(4) != b"TELL":  # it is asked whether it lives, too
                asked.append(hangs.accept()[0])
                asked[-1].settimeout(20)
            child.kill()
            for one in asked:
                one.close()
    with Child(tmp_path, "OFF", scanner=[at(spamd.port)]) as child:
        assert asyncio.run(one_lesson(child)) == [{"as": "spam", "results": {"spamassassin": "learned as spam"}}]


async def delete(child: Child) -> None:
    async with contextlib.aclosing(Closing(child)) as api:
        import aiosmtplib

        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=child.ready["smtp"], start_tls=False) as smtp:
            _, said = await smtp.sendmail("a@b.example", ["ben@example.org"], mail("killed", TEXT + "killed"))
        await api.act(said.split(" as ")[-1], Verb.DELETE, ActBody(learn=True))


async def one_lesson(child: Child) -> list[Any]:
    async with contextlib.aclosing(Closing(child)) as api:
        (row,) = (await api.page("status:any")).rows
        async with asyncio.timeout(20):
            while not (found := [e for e in await history(api, row.id) if e["kind"] == "mail.learn"]):
                await asyncio.sleep(0.05)
        return [entry["facts"] for entry in found]


class Closing(Api):
    def __init__(self, child: Child) -> None:
        super().__init__(child.ready["http"], child.ready["tokens"]["ben"])

    async def aclose(self) -> None:
        await self.close()


@pytest.mark.parametrize("together", [True, False])
async def test_the_act_and_its_learning_are_one_transaction(queue, monkeypatch, together):
    """Where the task can't be written the mail is not deleted; without that rule it is, and never learned."""
    held = await queue.hold()
    if not together:
        monkeypatch.setattr(verbs, "learn", lambda d, as_: d.facts.update(learn=as_))  # the task is left for later
    with queue.database.write_engine.begin() as connection:
        connection.execute(text("CREATE TRIGGER full BEFORE INSERT ON task BEGIN SELECT RAISE(ABORT, 'full'); END"))
    with contextlib.nullcontext() if not together else pytest.raises(sqlite3.IntegrityError):
        await queue.act("operator", "delete", held.id, learn=True)
    (now,) = await queue.rows(t.mail)
    entries = await queue.entries("mail.delete")
    assert (now["status"], len(entries)) == (("ONHOLD", 0) if together else ("DELETED", 1))
    assert await queue.rows(t.task) == []


async def test_what_can_not_be_put_on_record_is_learned_once_more(queue, spamd, monkeypatch):
    real_decide, failed = Learned.decide, []

    def fails(self: Learned, *args: Any) -> Any:
        if not failed:
            failed.append(self)
            raise OSError("disk full")
        return real_decide(self, *args)

    monkeypatch.setattr(Learned, "decide", fails)
    held = await queue.hold(mail("once more", TEXT + "once more"))
    await queue.act("operator", "delete", held.id, learn=True)
    async with learning(queue, at(spamd.port)):
        said = await told(queue)
    assert failed and said == [{"as": "spam", "results": {"spamassassin": "known as spam already"}}]


async def test_a_scanner_that_is_away_is_asked_again_and_the_other_is_not(queue, spamd):
    other = free_port()
    held = await queue.hold(mail("again", TEXT + "again"))
    await queue.act("operator", "delete", held.id, learn=True)
    scanners = (at(spamd.port), at(other, name="other"))
    async with learning(queue, *scanners, waits=(100 * MS,)) as worker:
        await until(lambda: tries(queue), True)
        assert await learned(queue) == []
        with real.running(1) as late:
            judge = Judge(Config(data_dir=queue.folder, scanner=[at(late.port, name="other"), at(spamd.port)]))
            worker._judge, before = judge, worker._judge
            said = await told(queue)
            await before.close()
            worker._judge = judge
        await judge.close()
    assert said == [{"as": "spam", "results": {"spamassassin": "learned as spam", "other": "learned as spam"}}]


async def tries(queue: Queue) -> bool:
    return any(task["tries"] >= 2 for task in await queue.rows(t.task))


async def test_it_gives_up_in_the_end_and_says_so(queue):
    held = await queue.hold()
    await queue.act("operator", "delete", held.id, learn=True)
    async with learning(queue, at(free_port()), waits=(50 * MS,), give_up=300 * MS):
        (said,) = await told(queue)
    assert "can't be reached" in said["results"]["spamassassin"]


async def test_what_will_never_be_learned_is_not_tried_again(queue):
    held = await queue.hold()
    await queue.act("operator", "delete", held.id, learn=True)
    async with learning(queue, at(free_port(), size_limit=10)):
        (said,) = await told(queue)
    assert said["results"]["spamassassin"].endswith("over the limit of spamassassin, 10")


async def test_without_a_scanner_that_learns_and_without_bytes_it_says_so(queue):
    some = [await queue.hold(mail(subject)) for subject in ("no scanner", "no bytes")]
    await queue.act("operator", "delete", some[0].id, learn=True)
    async with learning(queue) as worker:
        await told(queue)
        with queue.database.write_engine.begin() as connection:
            connection.execute(t.blob.delete())
        await queue.act("operator", "delete", some[1].id, learn=True)
        worker.wake()
        said = await told(queue, 2)
    assert [one["trouble"] for one in said] == ["no scanner here learns", "its bytes were purged"]


async def test_the_window_is_waited_for_and_a_recall_or_restore_takes_it_back(queue):
    queue.marshal.terms = Terms(recall=10 * SECOND)
    kept, back, restored = [await queue.hold() for _ in range(3)]
    until_ = (await queue.act("operator", "release", kept.id, learn=True)).recall_until
    await queue.act("operator", "release", back.id, learn=True)
    await queue.act("operator", "delete", restored.id, learn=True)
    assert len(await queue.rows(t.task)) == 3
    await queue.act("operator", "recall", back.id)
    await queue.act("operator", "restore", restored.id)
    (task,) = await queue.rows(t.task)
    assert until_ is not None and task["message"] == kept.number
    assert task["due"] == round(until_.timestamp() * SECOND)
    async with learning(queue):
        await asyncio.sleep(0.1)  # it is not due
        assert await queue.rows(t.task) == [task]
        with queue.database.write_engine.begin() as connection:
            connection.execute(update(t.task), {"due": 0})


async def test_a_message_is_learned_once_however_many_mails_it_has(queue):
    held = await queue.hold(recipients=("a@example.org", "b@example.org"))
    await queue.act("operator", "release", held.id, learn=True)
    assert len(await queue.rows(t.task)) == 1
    (entry,) = await queue.entries("mail.release")
    assert entry["facts"]["learn"] == "ham"
