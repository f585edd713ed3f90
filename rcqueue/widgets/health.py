"""Health in calm lines, for the screen and for `rcqueue status`: what is amiss first, ages instead of times. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len

from .line import Piece
from .text import age, fit, number, plural

if TYPE_CHECKING:
    from rcqueue.model.health import Alert, Flow, Health, NextHopState, ScannerState, Wall, WayIn


class Said(NamedTuple):
    label: str  #: "" where it is that of the line above
    what: str  #: as wide in each line of its label
    text: str
    style: str = ""


def lines(health: Health, *, blocks: bool = True) -> list[Said]:
    """Each thing in a line of its own. `blocks`: the terminal has block glyphs; else there are digits."""
    return [line for group in _groups(health, blocks) for line in _labelled(*group)]


def wall_lines(wall: Wall, *, blocks: bool = True) -> list[Said]:
    """The same of what a display on a wall shows."""
    now = wall.now
    held = f"{number(wall.status.get('ONHOLD', 0))} held"
    oldest = "" if wall.oldest is None else f"the oldest {_ago(now, wall.oldest)}"
    rest = [f"{number(n)} {status.lower()}" for status, n in wall.status.items() if n and status != "ONHOLD"]
    mails = ["   ".join(filter(None, said)) for said in ([held, oldest], rest)]
    groups: list[tuple[str, list[_Line]]] = [
        ("mails", [("", said, "") for said in mails if said]),
        ("verdict", [(name, number(n), "") for name, n in wall.verdict.items()]),
        ("customer", [(name, number(n), "") for name, n in wall.customers.items()]),
        *_flow(wall.flow, blocks),
        ("alerts", _alerts(wall.alerts, now)),
    ]
    return [line for label, found in groups for line in _labelled(label, found)]


_Line = tuple[str, str, str]  # what, text, style


def _labelled(label: str, found: Sequence[_Line]) -> Iterator[Said]:
    width = max((cell_len(what) for what, _, _ in found), default=0)
    for n, (what, text, style) in enumerate(found):
        yield Said("" if n else label, fit(what, width) + "  " if width else "", text, style)


def _groups(health: Health, blocks: bool) -> Iterator[tuple[str, list[_Line]]]:
    now = health.now
    yield "alerts", _alerts(health.alerts, now)
    mails = {status: f"{number(n)} {words}" for status, words in _MAILS if (n := health.status.get(status))}
    if health.oldest is not None and "ONHOLD" in mails:
        mails["ONHOLD"] += f", the oldest {_ago(now, health.oldest)}"
    yield "mails", [("", "   ".join(mails.values()) or "none under way", "")]
    yield from _flow(health.flow, blocks)
    up = " ".join(filter(None, [health.node, f"rcqueue {health.server}, up {_ago(now, health.started)}"]))
    disk = f"disk {health.disk_used * 100:.0f} % used, {_big(health.disk_free)} free"
    lag = f"writer lag {health.lag * 1000:.0f} ms, {number(health.waiting)} waiting"
    yield "node", [("", up, ""), ("", disk, ""), ("", lag, "")]
    yield "scanners", [_scanner(one, now) for one in health.scanners] or [("", "none", "dim")]
    yield "next hops", [_hop(one, now) for one in health.next_hops]
    yield "ways in", [_way(one) for one in health.ways_in]
    if (rules := health.rules) is not None:
        text = f"{rules.kind} of {rules.name} by {rules.by}: {rules.outcome}, {_ago(now, rules.at)} ago"
        yield "rules", [(rules.scanner, text, "bad" if rules.outcome == "failed" else "")]


_MAILS = (("ONHOLD", "held"), ("RELEASING", "releasing"), ("UNCERTAIN", "uncertain"))


def _scanner(one: ScannerState, now: datetime) -> _Line:
    since = "" if one.since is None else f" {_ago(now, one.since)}"
    if one.up is None:
        return one.name, "not asked yet", "dim"
    if not one.up:
        return one.name, f"down{since}: {one.error}", "bad"
    version = f"   {one.version}" if one.version else ""
    made = "" if one.age is None else f"   signatures or rules {age(one.age)} old"
    return one.name, f"up{since}{made}{', too old' if one.old else ''}{version}", "warn" if one.old else ""


def _alerts(alerts: Sequence[Alert], now: datetime) -> list[_Line]:
    return [(_ago(now, alert.since), alert.text, "warn") for alert in alerts] or [("", "none", "")]


def _flow(flow: Flow, blocks: bool) -> Iterator[tuple[str, list[_Line]]]:
    """What came in and what went out of the hold, the newest at the right, each by the same measure."""
    hour, day = max(_by(flow.came + flow.went, 2), default=0), max(_by(flow.came_day + flow.went_day, 2), default=0)
    for label, minutes, halves in (("in", flow.came, flow.came_day), ("out", flow.went, flow.went_day)):
        if minutes:
            yield (
                label,
                [
                    (spark(_by(minutes, 2), hour, blocks), f"{number(sum(minutes))} in the last hour", ""),
                    (spark(_by(halves, 2), day, blocks), f"{number(sum(halves))} in the last day", ""),
                ],
            )


def flow_lines(flow: Flow, blocks: bool = True) -> list[Said]:
    return [line for group in _flow(flow, blocks) for line in _labelled(*group)]


def _by(numbers: Sequence[int], some: int) -> list[int]:
    """Sums of so many at a time."""
    return [sum(numbers[at : at + some]) for at in range(0, len(numbers), some)]


def spark(numbers: Sequence[int], most: int, blocks: bool = True) -> str:
    """A glyph for each number, as tall as it is beside `most`; only nothing at all is as low as nothing."""
    glyphs = "▁▂▃▄▅▆▇█" if blocks else "0123456789"
    top = len(glyphs) - 1
    return "".join(glyphs[-(-n * top // most) if most else 0] for n in numbers)


def hop_set(one: NextHopState, now: datetime) -> str:
    """`paused 5m, at most 60/min`: what somebody set for a next hop."""
    said = [f"paused {_ago(now, one.paused)}"] if one.paused is not None else []
    return ", ".join(said + ([f"at most {number(one.rate)}/min"] if one.rate is not None else []))


def hop_state(one: NextHopState, now: datetime) -> Piece:
    """In a few words what was set for a next hop, and how it answered."""
    answered = {
        None: "not asked yet",
        True: f"up {one.code or ''}",
        False: f"refuses {one.code}" if one.code else "away",
    }
    when = "" if one.last is None else f" {_ago(now, one.last)} ago"
    there = hop_set(one, now)
    style = "warn" if one.paused is not None else "bad" if one.up is False else "warn" if there else ""
    return "   ".join(filter(None, [there, answered[one.up].rstrip() + when])), style


def _hop(one: NextHopState, now: datetime) -> _Line:
    at, said, style = _answered(one, now)
    if there := hop_set(one, now):
        return at, f"{there}   {said}", style if style == "bad" else "warn"
    return at, said, style


def _answered(one: NextHopState, now: datetime) -> _Line:
    mails = f"   {plural(one.waiting, 'mail')} waiting" if one.waiting else ""
    if one.next is not None and one.next > now:
        mails += f", next try in {age((one.next - now).total_seconds())}"
    if one.last is None or one.up is None:
        return one.at, f"not asked since the start{mails}", "dim"
    said = f"{one.code} " if one.code else ""
    if one.up:
        return one.at, f"up   {said}{_ago(now, one.last)} ago{mails}", ""
    what = f"refuses: {said}" if one.code else "can't be reached: "
    return one.at, f"{what}{_ago(now, one.last)} ago{mails}", "bad"


def _way(one: WayIn) -> _Line:
    return one.name, f"up   {one.at}" if one.up else f"down   {one.at}: {one.reason}", "" if one.up else "bad"


def _ago(now: datetime, then: datetime) -> str:
    return age((now - then).total_seconds())


def _big(octets: int) -> str:
    """`640 MB`, `12 GB`."""
    return f"{octets / 1e9:,.0f} GB" if octets >= 10**10 else f"{octets / 1e6:,.0f} MB"
