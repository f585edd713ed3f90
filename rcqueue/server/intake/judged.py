"""What is done with a message that was judged, as one whole: its recipients may have been given different decisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rcqueue.model.scan import Action
from rcqueue.server.passes import on_top, without_ours
from rcqueue.server.scan.decide import Decision
from rcqueue.server.scan.judge import Judgement


@dataclass(frozen=True, slots=True)
class Plan:
    """Shares the recipients out. Those that are in none of `go`, `hold` and `refuse` are deferred."""

    go: list[str]  #: passed on, with `headers`
    hold: dict[str, Decision]
    refuse: dict[str, Decision]
    headers: tuple[tuple[str, str], ...] = ()


def plan(judgement: Judgement, recipients: Sequence[str], *, one_answer: bool) -> Plan:
    """`one_answer`: the protocol can not refuse a mail for some of its recipients (SMTP, milter; not LMTP).

    Then a mail that is refused for some is held for those: nothing is lost, and nobody is told what is not so. One
    that can not be judged for a recipient is deferred for all, before anything is done. Tagged for one, it is tagged.
    """
    decisions = {to: judgement.by_recipient[to] for to in recipients}
    by = {action: [to for to, d in decisions.items() if d.action is action] for action in Action}
    if by[Action.DEFER] and one_answer:
        return Plan([], {}, {})
    go = by[Action.PASS] + by[Action.TAG]
    hold = {to: decisions[to] for to in by[Action.HOLD]}
    refuse = {to: decisions[to] for to in by[Action.REJECT]}
    if one_answer and refuse and (go or hold):
        hold |= {
            to: replace(d, reason=f"{d.reason}; to be refused, for this recipient only") for to, d in refuse.items()
        }
        refuse = {}
    headers = dict.fromkeys(field for to in by[Action.TAG] for field in decisions[to].headers)
    return Plan(go, hold, refuse, tuple(headers))


def passed_on(raw: bytes, headers: Iterable[tuple[str, str]]) -> bytes:
    """The message as it goes on: `headers` on top, and without the fields that only we write."""
    top = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii")
    return on_top(without_ours(raw)[0], top)
