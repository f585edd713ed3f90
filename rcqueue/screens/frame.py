"""What the lines around the table say: who and where and how fresh, how many, who else is here, which keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.cells import cell_len

from rcqueue.widgets import keymap
from rcqueue.widgets.line import Piece
from rcqueue.widgets.text import age, clock, fit, number, plural

from . import phrases

if TYPE_CHECKING:
    from rcqueue.client.desk import Desk
    from rcqueue.client.view import View
    from rcqueue.model.actions import Action

    from .acting import Acting

EXPIRING = "expiring unread"  #: what the first line calls that list
Sides = tuple[list[Piece], list[Piece]]


def status(desk: Desk | None, queue: str, state: str, width: int, now: float) -> Sides:
    """The first line. `state` is what to say until there is a desk; `now` is in seconds, as the rates count."""
    left: list[Piece] = [(" rcqueue", "strong"), (f"  {queue}", "")]
    if desk is None:
        return left, [(f"{state} ", "dim")]
    me = desk.whoami
    if desk.counts is not None:
        left.append((f"   {number(desk.counts.status.get('ONHOLD', 0))} held", ""))
        if uncertain := desk.counts.status.get("UNCERTAIN", 0):
            left.append((f"   {number(uncertain)} uncertain", "warn"))
    if desk.alerts:
        left.append((f"   {plural(len(desk.alerts), 'alert')}", "warn"))
    if desk.expiring:
        left.append((f"   {desk.expiring} expire unread", "warn"))
    came, went = desk.rates.per_minute(now)
    left.append((f"   in {number(came)}/min  out {number(went)}/min", ""))
    roles = sorted({grant.role for grant in me.roles})
    right: list[Piece] = [(f"{me.name}  {' '.join(roles)}  ", "")]
    if desk.ended:
        right.append(("signed out ", "bad"))
    elif desk.live and desk.paused_at is not None:
        waiting, more = desk.waiting
        right.append((f"paused {age(desk.paused_for)}, {number(waiting)}{'+' if more else ''} waiting ", "warn"))
    elif desk.live:
        right.append(("live ", "") if desk.heard else ("connecting ", "dim"))
    else:
        right.append((f"{age(desk.stale_for)} old ", "warn"))
    while len(left) > 2 and sum(cell_len(text) for text, _ in left + right) > width:
        left.pop()
    return left, right


def matching(desk: Desk, *, waiting: bool) -> str:
    """`812 of 12,408`: mails that match, of those on hold."""
    if waiting:
        return "reading ..."
    counts = desk.counts
    if counts is None or counts.matching is None or not desk.query.given:
        return ""
    more = "+" if counts.capped else ""
    return f"{number(counts.matching)}{more} of {number(counts.status.get('ONHOLD', 0))}"


_OTHERS = {
    "RELEASING": "releasing",
    "UNCERTAIN": "uncertain",
    "RELEASED": "released",
    "DELETED": "deleted",
    "EXPIRED": "expired",
    "PASSED": "passed",
    "REJECTED": "rejected",
    "ONHOLD": "on hold",
}


def empty(desk: Desk | None, view: View, visiting: str = "") -> list[list[Piece]]:
    """What the table says when there is no row. `visiting` is what the list is called that a page sent one to."""
    if desk is None or not view.loaded:
        return []
    if visiting == EXPIRING:
        back = (f"  {keymap.key('view.return')} leads back.", "dim")
        return [[("  Nothing expires within a day that nobody has looked at.", "")], [back]]
    if not desk.query.given:
        return [[("  Nothing is on hold.", "")], [("  What comes in appears here by itself.", "dim")]]
    lines: list[list[Piece]] = [[("  Nothing matches.", "")]]
    if desk.query.statuses == {"ONHOLD"}:
        lines = [[("  Nothing on hold matches.", "")]]
    others = desk.counts.others if desk.counts is not None else {}
    found = [f"{number(n)} {_OTHERS.get(status, status)}" for status, n in others.items() if n]
    if found:
        do = "does" if sum(others.values()) == 1 else "do"
        lines.append(
            [
                (f"  {' and '.join([', '.join(found[:-1]), found[-1]] if found[1:] else found)} {do}: ", ""),
                (f"{keymap.key('view.others')} shows them.", ""),
            ]
        )
    else:
        lines.append([(f"  {keymap.key('mail.list')} changes the filter.", "dim")])
    return lines


def banner(desk: Desk, acting: Acting, view: View, width: int) -> list[Piece]:
    """The line above the flash line: the feed is lost; or an act on many, how far; or where colleagues are."""
    if desk.ended:
        return [(f" {desk.ended}: {keymap.key('view.quit')} leaves; sign in again", "bad")]
    if not desk.live and desk.lost_at is not None:
        why = f" ({desk.why_lost})" if desk.why_lost else ""
        return [(f" feed lost at {clock(desk.lost_at)}{why}, trying again; acts check first", "warn")]
    if acting.running is not None:
        return [(phrases.progress(acting.running, acting.rate, width), "")]
    if desk.following:
        return [(f" following {desk.following}: any key ends it", "strong")]
    return _colleagues(desk, view, width)


def looking(desk: Desk | None) -> dict[str, str]:
    """By message, the colleagues whose cursor is on it."""
    found: dict[str, list[str]] = {}
    for one in desk.presence.values() if desk is not None else ():
        if one.message:
            found.setdefault(one.message, []).append(one.who)
    return {message: ", ".join(sorted(who)) for message, who in found.items()}


def _colleagues(desk: Desk, view: View, width: int) -> list[Piece]:
    """`bob reads win@lucky.example    carol is at people    dave reads other mail`."""
    texts: list[str] = []
    elsewhere: list[str] = []
    for one in sorted(desk.presence.values(), key=lambda p: p.who):
        line = view.index.get(one.message) if one.message else None
        if line is not None:
            reads = "reads" if one.pane in ("", "headers") else f"reads the {one.pane} of"
            texts.append(f"{one.who} {reads} {phrases.name(line.row)}")
        elif one.message:
            elsewhere.append(one.who)
        else:
            texts.append(f"{one.who} is at {one.pane}")
    if elsewhere:
        read = "reads" if len(elsewhere) == 1 else "read"
        texts.append(f"{', '.join(elsewhere)} {read} other mail")
    said = " " + "    ".join(texts)
    return [(said if cell_len(said) <= width else fit(said, width), "dim")] if texts else []


def footer(context: str, situation: keymap.Situation, width: int) -> Sides:
    """The keys that work now, dangerous ones last; what does not fit is in the help."""
    if context == "filter":
        return [(" enter", "strong"), (" searches   ", "dim"), ("esc", "strong"), (" leaves it as it was", "dim")], []
    actions = keymap.footer(context, situation)
    for name in ("", *_GIVES_WAY):
        actions = [a for a in actions if a.name != name]
        left = _keys((a for a in actions if a.name not in _ALWAYS), situation)
        right = _keys((a for a in actions if a.name in _ALWAYS), situation)
        if sum(cell_len(text) for text, _ in left + right) <= width:
            break
    return left, right


_ALWAYS = ("view.help", "view.palette")  # at the right
_GIVES_WAY = ("view.select", "mail.note", "mail.body", "view.pane_next", "mail.show", "mail.list", "view.palette")


def _keys(actions: Iterable[Action], now: keymap.Situation) -> list[Piece]:
    pieces: list[Piece] = []
    for action in actions:
        pieces += [(f" {keymap.key_name(action)}", "strong"), (f" {keymap.word(action, now)} ", "dim")]
    return pieces
