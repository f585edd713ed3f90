"""Mistakes that the marshal must not have, each made on purpose: the state machine has to find every one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from rcqueue.model.act import Verb
from rcqueue.server.marshal import acts, claiming, dealing, ends, outcomes, rejudging, releasing, verbs
from rcqueue.server.marshal.mails import MessageChange
from rcqueue.server.store import tables as t
from rcqueue.server.store.writer import Decision

Patches = list[Any]


@dataclass(frozen=True)
class Mutant:
    name: str
    breaks: str
    patches: Callable[[], Patches]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with ExitStack() as stack:
            for patch in self.patches():
                stack.enter_context(patch)
            yield


def _rules(*changed: Verb, **changes: Any) -> Patches:
    return [mock.patch.dict(verbs.RULES, {verb: replace(verbs.RULES[verb], **changes)}) for verb in changed]


def _body_without(field: str) -> Patches:
    try_one = verbs._try

    def without(d: verbs.Doing, n: int) -> Any:
        d.body = d.body.model_copy(update={field: None})
        return try_one(d, n)

    return [mock.patch.object(verbs, "_try", without)]


def _expire_whole_messages() -> Patches:
    def decide(self: ends.Expire, rows: Any, now: int, seq: int) -> Decision:
        decision = Decision(answer=0)
        for message in sorted(self.messages):
            if held := [n for n, m in rows.mails[message].items() if m["status"] == "ONHOLD"]:
                change = MessageChange(rows, message, seq + len(decision.entries), now)
                for n in held:
                    change.set(n, "EXPIRED")
                decision.entries.append(change.entry("mail.expire"))
        return decision

    return [mock.patch.object(ends.Expire, "decide", decide)]


def _release_without_entry() -> Patches:
    act = verbs.act_on_message

    def silent(d: verbs.Doing, numbers: Any) -> Any:
        results, drafts = act(d, numbers)
        return results, [] if d.verb == Verb.RELEASE else drafts

    return [mock.patch.object(verbs, "act_on_message", silent)]


def _every_right() -> Patches:
    return [mock.patch.object(module, "lacking", lambda *_: None) for module in (verbs, acts)]


def _attempt_twice() -> Patches:
    begin = outcomes.BeginAttempt.decide

    def again(self: Any, rows: Any, now: int, seq: int) -> Decision:
        decision = begin(self, rows, now, seq)
        rows.put(t.mail, (self.message, self.n), {"due": now})
        return decision

    return [mock.patch.object(outcomes.BeginAttempt, "decide", again)]


def _recover_forgets_the_dot() -> Patches:
    recover = outcomes.Recover.decide

    def forgetful(self: Any, rows: Any, now: int, seq: int) -> Decision:
        for key in list(rows.tables["attempt"]):
            rows.put(t.attempt, key, {"dot": None})
        return recover(self, rows, now, seq)

    return [mock.patch.object(outcomes.Recover, "decide", forgetful)]


def _requests_stay() -> Patches:
    request = MessageChange._request

    def stays(self: Any, n: int, at: int | None, by: int) -> None:
        if at is not None:
            request(self, n, at, by)

    return [mock.patch.object(MessageChange, "_request", stays)]


def _all_pass() -> Patches:
    let_go = acts._let_go

    def all_of_them(weighed: Any, outcome: Any, seq: int) -> Any:
        weighed.judged = weighed.judged.model_copy(update={"would": dict.fromkeys(weighed.judged.would, "pass")})
        return let_go(weighed, outcome, seq)

    return [mock.patch.object(acts, "_let_go", all_of_them)]


MUTANTS = (
    Mutant("fence", "who lost a claim may act upon it", lambda: _body_without("fence")),
    Mutant(
        "version",
        "an act upon what was seen before it changed is done",
        lambda: _body_without("as_of"),
    ),
    Mutant("expiry", "with one mail of a message all of them expire", _expire_whole_messages),
    Mutant(
        "second release",
        "what is being released is released again, under another release id",
        lambda: _rules(Verb.RELEASE, statuses=frozenset({"ONHOLD", "RELEASING"})),
    ),
    Mutant("journal", "a mail is released without an entry", _release_without_entry),
    Mutant("rights", "everybody may do everything where they view", _every_right),
    Mutant(
        "claim",
        "what another holds can be released, deleted and extended",
        lambda: _rules(Verb.RELEASE, Verb.DELETE, Verb.EXTEND, checks_claim=False),
    ),
    Mutant(
        "to others",
        "who may not read bodies sends them to whom they like",
        lambda: [mock.patch.object(releasing, "lacks", lambda *_: None)],
    ),
    Mutant(
        "second attempt",
        "an attempt begins while another is under way",
        _attempt_twice,
    ),
    Mutant(
        "dot",
        "after a crash what had its dot is sent again",
        _recover_forgets_the_dot,
    ),
    Mutant(
        "deals disjoint",
        "what a colleague holds is dealt again",
        lambda: [mock.patch.object(dealing.Deal, "_free", lambda *_: True)],
    ),
    Mutant(
        "handed over for ever",
        "what was assigned never goes back",
        lambda: [mock.patch.object(claiming, "ASSIGNED", 1 << 50)],
    ),
    Mutant("request", "a mail that left the hold is still asked for", _requests_stay),
    Mutant("rescan", "a rescan lets go what would not pass", _all_pass),
    Mutant(
        "verdict",
        "a mail whose verdict is another has the same version",
        lambda: [mock.patch.object(rejudging, "_UNDECIDED", frozenset())],
    ),
)
