"""Acts on mail, from a key to the answer: one mail at once, many by count. Shared by the screens that show mail.

What a key acts on is fixed when it is pressed: the id of the row under the cursor, and the sequence that its painted
row was true at. Nothing that arrives while a question is open changes that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rcqueue.model.access import DataClass, Right
from rcqueue.model.actions import Action, named
from rcqueue.widgets import keymap
from rcqueue.widgets.text import age, plural

from . import acpi, phrases
from .dialogs import Ask, exactly, settle_check, some

if TYPE_CHECKING:
    from rcqueue.app import RcqueueApp
    from rcqueue.client.desk import Desk
    from rcqueue.client.window import Line
    from rcqueue.model.act import ActBody, ActProgress
    from rcqueue.model.mail import Row

_POLL = 0.3  # seconds between looks at an act on many, at most: one on few is done at the first
_FIRST = 0.03
_NEARLY = 1.0  # seconds that a key waits for an act that runs
#: Actions that first ask how an act is to be done, and the act.
HOW = {"view.release_as": "mail.release", "view.delete_as": "mail.delete"}
_Asks = Callable[[Action, "Row | None"], Awaitable[dict[str, Any] | None]]  # gives the fields of the act


@dataclass(frozen=True, slots=True)
class Target:
    """What a key acts on, as it was painted. `id` is a message's or a mail's."""

    id: str
    as_of: int
    fence: int | None
    row: Row
    listed: bool = True  #: it is of the list: of a message, the mails that match the filter are meant


@dataclass(slots=True)
class Recall:
    """A release that can still be stopped."""

    target: Target
    until: datetime


class Acting:
    """The acts of one terminal. `say` puts a line where answers go; `target` is what a key acts on now."""

    def __init__(self, app: RcqueueApp, desk: Desk) -> None:
        self.app, self.desk = app, desk
        self.recall: Recall | None = None
        self.running: ActProgress | None = None
        self.request = ""  #: the rc_acpi.sh request of what was done last
        self.rate = 0.0  #: mails a second of the act that is running
        self._over = asyncio.Event()  # no act on many runs
        self._over.set()
        self._turn = asyncio.Lock()  # acts are sent in the order of the keys
        self._last: tuple[str, str, int, int | None] | None = None  # id, verb, sequence, fence of the last act done

    def target(self, line: Line | None) -> Target | None:
        """What a key acts on when this is the row under the cursor, as it was painted."""
        if line is None:
            return None
        fence = line.row.claim.fence if line.row.claim is not None and self.desk.is_mine(line.row) else None
        return Target(line.id, line.seq, fence, line.row, listed=not line.gone)

    # -- what can be done -------------------------------------------------------------------------------------------

    def situation(self, row: Row | None) -> keymap.Situation:
        desk = self.desk
        claim = "" if row is None or row.claim is None else "mine" if desk.is_mine(row) else "other"
        if self.recall is not None and self.recall.until <= desk.clock():
            self.recall = None
        return keymap.Situation(
            rights=frozenset(desk.whoami.rights),
            status=row.status if row is not None else None,
            claim=claim,
            marks=len(desk.view.marks) + desk.view.all_marked,
            recall=self.recall is not None,
            running=self.running is not None,
            body=row is not None and desk.may_read(row),
            demo=self.app.start.demo is not None,
        )

    async def do(self, name: str, target: Target | None, *, one: bool = False) -> None:
        """The act `name` (mail.VERB, or one of HOW) on what is marked, or else (or with `one`) on the target."""
        ask, name = self._options if name in HOW else self._ask, HOW.get(name, name)
        action, view = named(name), self.desk.view
        marks, query = list(view.marks), self.desk.query.text or "status:onhold"
        if (marks or view.all_marked) and not one:
            await self._many(action, marks, query, ask)
            return
        if name == "mail.recall" and self.recall is not None:
            target = self.recall.target  # what was just released is meant, wherever the cursor is by now
        if target is None:
            self.app.flash("there is no mail under the cursor", "warn")
            return
        if not keymap.works(action, self.situation(target.row)):
            self.app.flash(self._why_not(action, target.row), "warn")
            return
        if not self.desk.fresh and (target := await self._look_again(action, target)) is None:
            return
        given = await ask(action, target.row)
        if given is not None:
            await self._one(action, target, given)

    def _why_not(self, action: Action, row: Row) -> str:
        rights = frozenset(self.desk.whoami.rights)
        if action.right is not None and action.right not in rights:
            return f"you lack the right to {action.right}: nothing done"
        if action.statuses and row.status not in action.statuses:
            return phrases.not_in_status(action.verb, row.status)
        if row.claim is not None and not self.desk.is_mine(row):
            return phrases.held(row.claim.who, rights)
        if action.name == "mail.claim":
            return "it is yours already"
        return "nobody holds it" if action.name in ("mail.unclaim", "mail.takeover") else f"no {action.verb} here"

    async def _look_again(self, action: Action, target: Target) -> Target | None:
        """While the feed is lost, or the view is paused, what is painted may be old: the row is read anew,
        and the person asked."""
        answer = await self.app.call(self.desk.api.rows([target.row.id], self.desk.query.text))
        if answer is None:
            return None
        if not answer.rows:
            self.app.flash("it no longer matches: nothing done", "warn")
            self.desk.view.refresh([target.row.id])
            self.desk.pump()
            return None
        row = answer.rows[0]
        held = f"held by {row.claim.who}" if row.claim is not None else "unclaimed"
        now = "on hold" if row.status == "ONHOLD" else row.status
        stale = f"The feed is {age(self.desk.stale_for)} old."
        if self.desk.live:
            stale = f"The view is paused for {age(self.desk.paused_for)}."
        sentence = f"{stale} As it is now: {now}, {held}. Type y to {action.verb} {phrases.name(row)}."
        if await self.app.push_screen_wait(Ask(sentence, exactly("y"), does="goes on")) is None:
            return None
        fence = row.claim.fence if row.claim is not None and self.desk.is_mine(row) else None
        return Target(target.id, answer.seq, fence, row)

    # -- what must be asked first -----------------------------------------------------------------------------------

    async def _ask(self, action: Action, row: Row | None) -> dict[str, Any] | None:
        """The fields of the act that the person gives; None: they left."""
        who = row.claim.who if row is not None and row.claim is not None else "its holder"
        it = phrases.called(row) if row is not None else "all of it"
        match action.verb:
            case "takeover":
                reason = await self._answer(
                    Ask(
                        f"{who} holds {it}. Why do you take it over? ({who} is told.)",
                        some("a reason"),
                        does="takes over",
                    )
                )
                return None if reason is None else {"reason": reason}
            case "assign":
                return await self._hand_over(it)
            case "note":
                note = await self._answer(
                    Ask(f"A note on {it}, for everyone who may see it.", some("a note"), does="notes it")
                )
                return None if note is None else {"note": note}
            case "extend":
                given = await self._answer(
                    Ask(
                        f"Extend the expiry of {it} by how long? (12h, 7d, 2w)",
                        _duration_check,
                        value="7d",
                        does="extends it",
                    )
                )
                if given is None:
                    return None
                now = self.desk.clock()
                start = max(now, row.expiry) if row is not None and row.expiry is not None else now
                return {"expiry": start + duration(given)}
            case "settle":
                ways = "arrived, again (send again) or hold"
                given = await self._answer(
                    Ask(f"Did {it} arrive? Type {ways}.", settle_check, hint="arrived", does="settles it")
                )
                return None if given is None else {"settle": given}
        return {}

    async def _hand_over(self, it: str) -> dict[str, Any] | None:
        here = ", ".join(sorted(self.desk.presence)) or "nobody else"
        sentence = f"Hand {it} over to whom? (Here now: {here}.)"
        person = await self._answer(Ask(sentence, some("a name"), does="goes on"))
        if person is None:
            return None
        note = await self._answer(
            Ask(f"A note for {person}, or none. Whoever may see the mail can read it.", does="hands it over")
        )
        return None if note is None else {"person": person, "note": note}

    async def _options(self, action: Action, row: Row | None) -> dict[str, Any] | None:
        """How to release or delete."""
        from .options import Options

        administers = Right.ADMINISTER in self.desk.whoami.rights
        others = self.desk.may_read(row) if row is not None else DataClass.BODY in self.desk.whoami.classes
        what = "what is marked" if row is None else phrases.called(row)
        sentence = f"{action.verb.capitalize()} {what}, and how?"
        return await self.app.push_screen_wait(Options(action.verb, sentence, administers=administers, others=others))

    async def _answer(self, question: Ask) -> str | None:
        return await self.app.push_screen_wait(question)

    # -- one --------------------------------------------------------------------------------------------------------

    async def _one(self, action: Action, target: Target, given: dict[str, Any]) -> None:
        from rcqueue.model.act import ActBody

        async with self._turn:
            fence = target.fence
            if self._last is not None and self._last[0] == target.id:
                if self._last[1] == action.verb and target.as_of < self._last[2]:
                    return  # the key was hit twice, before the screen could show that it was done
                fence = fence or self._last[3]
            query = self.desk.query.text if target.listed else None
            await self._send(action, target, ActBody(as_of=target.as_of, fence=fence, query=query, **given))

    async def _send(self, action: Action, target: Target, body: ActBody) -> None:
        from rcqueue.client.http import ApiProblem, Unreachable

        try:
            answer = await self.desk.api.act(target.id, action.verb, body)
        except ApiProblem as problem:
            said = phrases.refusal(action.verb, problem, target.row, frozenset(self.desk.whoami.rights))
            self.app.flash(said, "warn")
        except Unreachable as lost:
            self.app.flash(str(lost), "bad")
        else:
            self._last = (target.id, action.verb, answer.seq, answer.fence)
            self.request = acpi.of_act(action.verb, target.id, body)
            said = phrases.done(action.verb, answer, target.row, body)
            if action.verb == "release" and answer.recall_until is not None:
                row = target.row.model_copy(update={"status": "RELEASING", "claim": None})
                id = target.id[:13] if body.to else target.id  # what goes to others are other mails of the message
                self.recall = Recall(Target(id, answer.seq, None, row, listed=False), answer.recall_until)
                self.app.flash(said, countdown=answer.recall_until)
            else:
                if action.verb == "recall":
                    self.recall = None
                self.app.flash(said)
        if not self.desk.fresh:
            self.desk.view.refresh([target.row.id])
            self.desk.pump()

    # -- many -------------------------------------------------------------------------------------------------------

    async def on_all(self, name: str, query: str, of: str) -> None:
        """The act `name` (mail.VERB) on all that match `query`, which is said as `of`."""
        await self._many(named(name), [], query, self._ask, of)

    async def _many(self, action: Action, marks: list[str], query: str, ask: _Asks, of: str = "") -> None:
        if not await self._free():
            self.app.flash(f"an act is running already: {keymap.key('act.stop')} stops it", "warn")
            return
        if not keymap.allowed(action, self.situation(None)):
            self.app.flash(f"you lack the right to {action.right}: nothing done", "warn")
            return
        given = await ask(action, None)
        if given is None:
            return
        if marks and not (marks := [id for id in marks if id in self.desk.view.marks]):
            self.app.flash("all that was marked has left the list: nothing done", "warn")
            return
        from rcqueue.model.act import ActRequest
        from rcqueue.model.query import parse

        request = ActRequest(verb=action.verb, ids=marks or None, query=None if marks else query, **given)
        act = await self.app.call(self.desk.api.store_act(request))
        if act is None:
            return
        if act.state == "selecting":
            act = await self._until_not(act, ("selecting",), lambda act: 0)
        meant = f"of {plural(len(marks), 'marked message')}" if marks else f"all that match {query}"
        of = f"of {of}" if of else meant
        if act.count == 0:
            self.app.flash(f"no mail {of} can be acted on by {action.verb}: nothing done", "warn")
            return
        if (act := await self._weighed(act)) is None:
            return
        count = phrases.meant(act)
        if action.dangerous:
            question = Ask(phrases.confirm(action.verb, act, of, request), exactly(str(count)))
            if await self.app.push_screen_wait(question) is None:
                self.app.flash("nothing done")
                return
        if (act := await self.app.call(self.desk.api.confirm_act(act.id, count))) is not None:
            self.request = acpi.of_many(request, count, parse(query, me=self.desk.whoami.name))
            self.desk.view.unmark()
            await self._follow(act)

    async def _free(self) -> bool:
        """Whether no act on many runs. One that is nearly done is waited for: a key right behind it is not lost."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), _NEARLY)
        return self.running is None

    async def _weighed(self, act: ActProgress) -> ActProgress | None:
        """The act when all of it is weighed, if it is one that is; None: it was stopped."""
        if act.state == "weighing":
            act = await self._until_not(act, ("weighing",), lambda act: sum(act.would.values()))
        if act.state != "stored":
            self.app.flash("stopped: nothing done")
            return None
        return act

    async def resume(self) -> None:
        """What this person left running, from here or elsewhere, is shown again."""
        acts = await self.app.call(self.desk.api.acts(), quiet=True) or []
        running = [act for act in acts if act.state == "running" and act.who == self.desk.whoami.name]
        for act in running:
            if self.running is None:
                self.app.flash(
                    f"your {act.verb} of {plural(act.count, 'mail')} goes on; {keymap.key('act.list')} shows it"
                )
                await self._follow(act)

    async def undo(self, act: ActProgress) -> None:
        """Takes back what can be of an act; it needs no question, since time may be short and nothing is lost by it."""
        if (undo := await self.app.call(self.desk.api.undo_act(act.id))) is None:
            return
        self.request = acpi.of("act.undo", id=act.id)
        act = await self.app.call(self.desk.api.act_progress(act.id), quiet=True) or act
        self.app.flash(phrases.undoing(undo, act), "" if undo.count == act.done else "warn")
        await self._follow(undo)

    async def _follow(self, act: ActProgress) -> None:
        """Shows how far it is until it ends. It belongs to the server: it goes on whatever becomes of this terminal."""
        act = await self._until_not(act, ("stored", "running"), lambda act: act.tried)
        all_done = act.state == "done" and act.done + act.results.get("held", 0) == act.count
        self.app.flash(phrases.finished(act), "" if all_done else "warn")
        if not self.desk.fresh:
            self.desk.view.resync()
            self.desk.pump()
        self.desk.changed()

    async def _until_not(
        self, act: ActProgress, states: tuple[str, ...], far: Callable[[ActProgress], int]
    ) -> ActProgress:
        """The act when it is in none of these states any more; until then it is shown as what is running."""
        began, at, self.running, self.rate = time.monotonic(), far(act), act, 0.0
        self._over.clear()
        pause = _FIRST
        try:
            while act.state in states:
                self.running = act
                self.rate = (far(act) - at) / max(0.1, time.monotonic() - began)
                self.desk.changed()
                await asyncio.sleep(pause)
                pause = min(2 * pause, _POLL)
                act = await self.app.call(self.desk.api.act_progress(act.id), quiet=True) or act
        finally:
            self.running = None
            self._over.set()
        return act

    async def stop(self) -> None:
        if (act := self.running) is not None and await self.app.call(self.desk.api.stop_act(act.id)) is not None:
            self.request = acpi.of("act.stop", id=act.id)
            self.app.flash("stopping")


_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def duration(text: str) -> timedelta:
    """`12h`, `7d`, `2w`. Raises ValueError."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdecimal() or not 0 < int(number) * _UNITS[unit] <= 366 * 86400:
        raise ValueError("a number and m, h, d or w, at most a year")
    return timedelta(seconds=int(number) * _UNITS[unit])


def _duration_check(text: str) -> str:
    try:
        duration(text)
    except ValueError as error:
        return f"expected {error}"
    return ""
