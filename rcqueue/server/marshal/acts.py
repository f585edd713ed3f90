"""Acts on many: a selection is stored, confirmed by its count, and worked off in steps; others' acts go in between."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rcqueue.model.access import Access, Right
from rcqueue.model.act import ActBody, ActRequest, ActState, Manner, Reach, Result, Verb
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import STEP, Needs, RowDict, Rows
from rcqueue.server.store.writer import Decision

from . import rescan
from .asking import who_asks
from .caps import beyond, cap_of
from .doing import Doing, Terms
from .mails import MessageChange
from .refusal import Refusal
from .rescan import Judged
from .selecting import Selection
from .undoing import still_known
from .verbs import act_on_message, check_body, denied, lacking, why_not

_UNDER_WAY = (ActState.SELECTING, ActState.WEIGHING, ActState.STORED, ActState.RUNNING)
CONFIRM_WITHIN = 600 * 1_000_000
MOST_TO_OTHERS = 100
AIM = 0.012  #: seconds that a step may take: a colleague's act waits for one
FEWEST = 8  #: mails that it tries all the same


@dataclass(frozen=True, slots=True)
class AddSelection:
    """A slice of an act's selection, before the act itself is there. No entry: nothing was asked yet."""

    act: str
    mails: tuple[tuple[int, int], ...]

    @property
    def needs(self) -> Needs:
        return Needs()

    @property
    def weight(self) -> int:
        return 60 * len(self.mails)

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        blank = {"act": self.act, **dict.fromkeys(("result", "detail", "would", "version"))}
        rows.append_all(t.act_mail, [{**blank, "message": message, "n": n} for message, n in self.mails])
        return Decision()


@dataclass(frozen=True, slots=True)
class AnnounceAct:
    """An act whose selection takes long: it can be asked after, and stopped. It is on record once it is stored. Answers
    its id."""

    id: str
    session: int
    request: ActRequest
    undoes: str | None = None

    @property
    def needs(self) -> Needs:
        return Needs(sessions=frozenset({self.session}), acts=frozenset({self.id}))

    @property
    def weight(self) -> int:
        return 1000

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        if rows.get(t.act, self.id) is None:
            found = Selection(seq - 1, 0, (), Reach())
            rows.put(t.act, (self.id,), _row(self, found, who, ActState.SELECTING, now))
        return Decision(self.id)


@dataclass(frozen=True, slots=True)
class ForgetAct:
    """An announced act comes to nothing: it was refused, or the server stopped while it looked for what is meant."""

    id: str

    @property
    def needs(self) -> Needs:
        return Needs(acts=frozenset({self.id}))

    @property
    def weight(self) -> int:
        return 500

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        row = rows.get(t.act, self.id)
        if row is not None and row["state"] == ActState.SELECTING:
            rows.put(t.act, (self.id,), {"state": ActState.STOPPED.value, "finished": now})
        return Decision()


@dataclass(frozen=True, slots=True)
class StoreAct:
    """The act itself, once its selection is stored. Answers its id. What undoes another act runs at once: it takes back
    what was confirmed."""

    id: str
    session: int
    request: ActRequest
    selection: Selection
    terms: Terms
    undoes: str | None = None

    @property
    def needs(self) -> Needs:
        acts = frozenset(filter(None, (self.id, self.undoes)))
        return Needs(sessions=frozenset({self.session}), acts=acts)

    @property
    def weight(self) -> int:
        return 1000

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who = who_asks(rows, self.session, now)
        announced = rows.get(t.act, self.id)
        if announced is not None and announced["state"] != ActState.SELECTING:
            return Decision(self.id)  # it was stopped meanwhile
        verb, count = Verb(self.request.verb), self.selection.count
        check_body(verb, body_of(self.request), now)
        if self.request.to and count > MOST_TO_OTHERS:
            raise Refusal("bad-request", f"to: {MOST_TO_OTHERS} mails at once at most go to others, not {count}")
        cap = cap_of(who, verb, self.terms.caps) if verb is not Verb.RESCAN else None  # of that, what would pass counts
        if cap is not None and count > cap:
            return beyond(who, verb, cap, count)
        if self.undoes is not None and (undone := rows.get(t.act, self.undoes)) is not None:
            still_known(self.undoes, undone["purged"])  # it may have been purged while it was looked through
        if self.undoes is not None and not count:
            raise Refusal("status", "nothing of it can be taken back any more")
        state = ActState.WEIGHING if verb is Verb.RESCAN else ActState.STORED
        row = _row(self, self.selection, who, ActState.RUNNING if self.undoes else state, now)
        rows.put(t.act, (self.id,), row)
        return Decision(self.id, [entry("undo" if self.undoes else "store", row, who)])


def confirmable(row: RowDict, now: int) -> bool:
    """Whether an act that is stored can still be confirmed."""
    return bool(now <= (row["weighed"] or row["created"]) + CONFIRM_WITHIN)


def _row(act: AnnounceAct | StoreAct, selection: Selection, who: Access, state: ActState, now: int) -> RowDict:
    seen = selection.as_of if act.request.as_of is None else act.request.as_of
    return {
        "id": act.id,
        "account": who.account,
        "session": act.session,
        "person": act.request.person or None,
        "request": act.request.model_copy(update={"ids": None}).model_dump_json(exclude_none=True),
        "as_of": min(seen, selection.as_of),
        "count": selection.count,
        "sample": json.dumps(selection.sample, ensure_ascii=False),
        "state": state.value,
        "created": now,
        "reach": selection.reach.model_dump_json(),
        "results": "{}",
        "reached": 0,
        "reached_n": -1,
        "undoes": act.undoes,
        **dict.fromkeys(("finished", "weighed", "passing", "purged")),
    }


@dataclass(frozen=True, slots=True)
class _OnAct:
    id: str
    session: int

    @property
    def needs(self) -> Needs:
        return Needs(acts=frozenset({self.id}), sessions=frozenset({self.session}))

    @property
    def weight(self) -> int:
        return 500

    def found(self, rows: Rows, now: int) -> tuple[Access, RowDict]:
        """Who asks, and the act, if they stored it or administer."""
        who = who_asks(rows, self.session, now)
        row = rows.get(t.act, self.id)
        if row is None or (row["account"] != who.account and not who.anywhere(Right.ADMINISTER)):
            raise Refusal("not-found", f"you have no act {self.id}")
        return who, row


@dataclass(frozen=True, slots=True)
class ConfirmAct(_OnAct):
    expect: int
    terms: Terms

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who, row = self.found(rows, now)
        if row["account"] != who.account:
            raise Refusal("forbidden", "an act is confirmed by the person who stored it")
        if row["state"] == ActState.WEIGHING:
            raise Refusal("status", "it is being weighed: not all of it is scanned yet", **{"is": row["state"]})
        if row["state"] == ActState.SELECTING:
            raise Refusal("status", "what it is on is still being looked for", **{"is": row["state"]})
        if row["state"] != ActState.STORED:
            raise Refusal("status", f"the act is {row['state']} already", **{"is": row["state"]})
        if not confirmable(row, now):
            raise Refusal("status", "it was not confirmed within ten minutes: store it anew", **{"is": "lapsed"})
        count, what = (row["count"], "match") if row["weighed"] is None else (row["passing"], "would pass")
        if self.expect != count:
            raise Refusal("expect", f"{count} mails {what}, not {self.expect}; nothing done", count=count)
        verb = Verb(ActRequest.model_validate_json(row["request"]).verb)
        if (cap := cap_of(who, verb, self.terms.caps)) is not None and count > cap:
            return beyond(who, verb, cap, count)
        rows.put(t.act, (self.id,), {"state": ActState.RUNNING.value})
        return Decision(None, [entry("confirm", row, who)])


@dataclass(frozen=True, slots=True)
class StopAct(_OnAct):
    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        who, row = self.found(rows, now)
        if row["state"] not in _UNDER_WAY:
            return Decision()
        rows.put(t.act, (self.id,), {"state": ActState.STOPPED.value, "finished": now})
        return Decision(None, [entry("stop", row, who)])


@dataclass(slots=True)
class Pace:
    """How many mails a step tries: as many as are done in the time it may take, by what the last ones took."""

    mails: int = FEWEST
    _each: float = AIM / FEWEST  # seconds

    def heard(self, took: float) -> None:
        """A step took so many seconds."""
        self._each += (took / self.mails - self._each) / 8
        self.mails = max(FEWEST, min(STEP, int(AIM / self._each)))


@dataclass(frozen=True, slots=True)
class StepAct:
    """Tries the next mails of a confirmed act, `most` of them. Answers whether more are left."""

    id: str
    terms: Terms
    most: int = STEP

    @property
    def needs(self) -> Needs:
        return Needs(steps=frozenset({(self.id, self.most)}), senders=True, customers=True)

    @property
    def weight(self) -> int:
        return 100_000

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        act = rows.get(t.act, self.id)
        if act is None or act["state"] != ActState.RUNNING:
            return Decision(False)
        read = {key[1:]: row for key, row in rows.tables["act_mail"].items() if key[0] == self.id}
        if not read:
            rows.put(t.act, (self.id,), {"state": ActState.DONE.value, "finished": now})
            return Decision(False, [entry("done", act, None)])
        request = ActRequest.model_validate_json(act["request"])
        verb = Verb(request.verb)  # a wire model keeps it as a string
        waiting: dict[int, list[int]] = {}
        for (message, n), row in read.items():
            if row["result"] is None:  # or another step of it, in this batch, has tried it
                waiting.setdefault(message, []).append(n)
        session = rows.get(t.session, act["session"])
        assert session is not None
        who = rows.access_of(act["account"], act["session"], session["scope"])
        decision, noted = Decision(True), Counter(json.loads(act["results"]))
        for message, numbers in waiting.items():
            held = rows.message(message)
            if held is None:
                self._note(rows, message, dict.fromkeys(numbers, (Result.GONE, "")), noted)
                continue
            if who is None:
                self._note(rows, message, dict.fromkeys(numbers, (Result.REFUSED, "the account is disabled")), noted)
                continue
            body = body_of(request, act["as_of"])
            if lack := lacking(rows, message, who, verb, body, numbers):
                decision.entries.append(denied(held, who, verb, lack))
                self._note(
                    rows, message, dict.fromkeys(numbers, (Result.REFUSED, why_not(lack, held["customer"]))), noted
                )
                continue
            change = MessageChange(rows, message, seq + len(decision.entries), now)
            judged = rows.get(t.act_judged, self.id, message)
            doing = Doing(who, verb, body, self.terms, change)
            doing.judged = Judged.model_validate_json(judged["judged"]) if judged is not None else None
            results, drafts = act_on_message(doing, numbers)
            outcome = {n: (Result(r.result), r.by or r.detail) for n, r in zip(numbers, results, strict=True)}
            if doing.judged is not None:
                drafts += _let_go(doing, outcome, change.seq + len(drafts))
            for draft in drafts:
                draft.facts["act"] = self.id
            decision.entries += drafts
            self._note(rows, message, outcome, noted)
        message, n = max(read)
        rows.put(t.act, (self.id,), {"reached": message, "reached_n": n, "results": json.dumps(noted)})
        return decision

    def _note(self, rows: Rows, message: int, results: dict[int, tuple[Result, str]], noted: Counter[str]) -> None:
        """Puts down what became of mails of a message; `noted` counts it."""
        mails = rows.mails[message]
        for n, (result, detail) in results.items():
            row = {"result": result.value, "detail": detail[:200], "version": None}
            if result is Result.DONE:
                row |= {"detail": None, "version": mails[n]["version"]}
            rows.put(t.act_mail, (self.id, message, n), row)
            noted[result.value] += 1


def _let_go(weighed: Doing, outcome: dict[int, tuple[Result, str]], seq: int) -> list[Draft]:
    """A rescan of many: the mails of a message that got their new verdict and would pass are released. Their rights,
    claims and versions were checked just now; the release looks at them again, as after that entry."""
    assert weighed.judged is not None
    rescanned = [n for n, (result, _) in outcome.items() if result is Result.DONE]
    passing = [n for n in rescanned if weighed.judged.would.get(n) == rescan.PASSES]
    outcome |= {n: (Result.HELD, "") for n in rescanned if n not in passing}
    change = MessageChange(weighed.change.rows, weighed.change.id, seq, weighed.change.now)
    body = weighed.body.model_copy(update={"as_of": weighed.change.seq})
    results, drafts = act_on_message(Doing(weighed.who, Verb.RELEASE, body, weighed.terms, change), passing)
    outcome |= {n: (Result(r.result), r.by or r.detail) for n, r in zip(passing, results, strict=True)}
    return drafts


def body_of(request: ActRequest, as_of: int | None = None) -> ActBody:
    manner = {name: getattr(request, name) for name in Manner.model_fields}
    return ActBody(**manner | {"as_of": as_of})


def entry(what: str, row: RowDict, who: Access | None) -> Draft:
    request: dict[str, Any] = json.loads(row["request"])
    return Draft(
        f"act.{what}",
        account=who.account if who else None,
        session=who.session if who else None,
        facts={"act": row["id"], "verb": request["verb"], "count": row["count"], "person": row["account"]},
        personal={k: request[k] for k in ("query", "reason") if request.get(k)},
    )
