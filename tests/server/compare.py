"""The same words for the real marshal and the naive one, and whether what they keep is the same."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

from rcqueue.model.act import ActAnswer, ActBody
from rcqueue.model.mail import to_us
from rcqueue.server.marshal import Refusal

from .auditor import State, same
from .naive import Body, Done, No
from .naive_acts import Naive

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def answer_of(call: Awaitable[Any]) -> Any:
    """What the marshal answers, in the words of the naive one."""
    try:
        answer = await call
    except Refusal as no:
        return No(no.kind, tuple(_result(r) for r in no.extra.get("results", ())))
    except ValueError:
        return No("mistake")
    if isinstance(answer, ActAnswer):
        # In whole milliseconds, as on the wire: said again under a key, it has been there.
        until = to_us(answer.recall_until) // 1000 if answer.recall_until else None
        results = tuple(_result(r.model_dump(mode="json")) for r in answer.results)
        return Done(answer.seq, answer.fence, answer.release, until, results)
    return answer


def _result(r: dict[str, Any]) -> tuple[Any, ...]:
    return r["id"], r["result"], r["status"], r["version"], r["by"]


async def id_of(call: Awaitable[Any]) -> Any:
    return (await call)["id"]


async def nothing(call: Awaitable[Any]) -> None:
    await call


def real_body(body: Body) -> ActBody:
    expiry = EPOCH + timedelta(microseconds=body.expiry) if body.expiry else None
    return ActBody.model_validate({**body.__dict__, "expiry": expiry, "to": list(body.to)})


def same_as_the_model(world: Naive, state: State) -> None:
    mails = {(id, n): mail for id, message in world.messages.items() for n, mail in enumerate(message.mails)}
    for what, expected, stored in (
        (
            "mails",
            {k: (m.status, m.expiry, m.version, m.release, m.due, m.tries, m.ended) for k, m in mails.items()},
            state.mails,
        ),
        (
            "claims",
            {k: (m.claim.session, m.claim.account, m.claim.fence, m.claim.until) for k, m in mails.items() if m.claim},
            state.claims,
        ),
        ("mails asked for", {k for k, m in mails.items() if m.requested}, state.requested),
        (
            "sessions",
            {id: (s.person.id, s.lease, s.seen, s.ended) for id, s in world.sessions.items()},
            {id: (a, lease, seen, ended is not None) for id, (a, _, lease, seen, ended, _) in state.sessions.items()},
        ),
        (
            "attempts",
            {key: (a.release, a.dot, a.open) for key, a in world.attempts.items()},
            {k: (release, dot is not None, end is None) for k, (release, dot, end) in state.attempts.items()},
        ),
        ("acts", {id: act.state for id, act in world.acts.items()}, state.acts),
        (
            "mails of acts",
            {(id, *mail): result for id, act in world.acts.items() for mail, result in act.mails.items()},
            {key: result for key, result in state.act_mails.items() if key[0] in world.acts},
        ),
        (
            "purged",
            {id for id, m in world.messages.items() if m.purged},
            {id for id, m in state.messages.items() if m[6]},
        ),
        ("verdicts", {id: m.verdict for id, m in world.messages.items()}, {k: m[1] for k, m in state.messages.items()}),
        (
            "claims of filters",
            {one.id: (one.session.id, one.session.person.id, one.query, one.until) for one in world.standing.values()},
            state.standing,
        ),
        ("people", {p.id: (p.name, p.enabled) for p in world.people.values()}, state.accounts),
        ("roles", {(p.id, *role) for p in world.people.values() for role in p.roles}, state.grants),
        ("locks", {(p.id, lock) for p in world.people.values() for lock in p.locks}, state.locks),
    ):
        same(f"state: {what}", expected, stored)
