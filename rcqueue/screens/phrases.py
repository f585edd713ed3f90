"""What is said about acts: what was done, why not and what next, how far. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcqueue.widgets.keymap import key
from rcqueue.widgets.text import number, plural

if TYPE_CHECKING:
    from rcqueue.client.api import ApiProblem
    from rcqueue.model.act import ActAnswer, ActBody, ActProgress, Manner
    from rcqueue.model.mail import Row

_DONE = {
    "claim": "claimed",
    "unclaim": "given back",
    "takeover": "taken over",
    "assign": "handed over",
    "release": "released",
    "recall": "recalled",
    "delete": "deleted",
    "restore": "restored",
    "extend": "extended",
    "note": "noted",
    "settle": "settled",
    "rescan": "scanned again",
}
_DOING = {
    "claim": "Claiming",
    "unclaim": "Giving back",
    "takeover": "Taking over",
    "assign": "Handing over",
    "release": "Releasing",
    "recall": "Recalling",
    "delete": "Deleting",
    "restore": "Restoring",
    "extend": "Extending",
    "note": "Noting",
    "settle": "Settling",
    "rescan": "Letting go what would pass of",
}
_IN_FORM = {"original": "as it came", "attachment": "as an attachment", "tagged": "tagged", "stripped": "stripped"}
_NOT_DONE = {
    "changed": "changed meanwhile",
    "claimed": "held by others",
    "refused": "refused",
    "status": "in another status",
    "gone": "gone",
    "lost": "claim lost",
    "held": "still held",
}
SAMPLE = 3  # mails of many that are named before they are confirmed
_SHORT = {"done": "done", "changed": "changed", "claimed": "held", "refused": "refused"}  # while it runs


_ORDERS = {
    "time": "oldest first",
    "-time": "newest first",
    "expiry": "what expires first",
    "-expiry": "what expires last",
    "size": "smallest first",
    "-size": "largest first",
    "score": "least points first",
    "-score": "most points first",
}


def order(sort: str) -> str:
    """How a list is sorted: `newest first`, `by subject, downwards`."""
    by = "by " + sort.removeprefix("-")
    return _ORDERS.get(sort) or by + (", downwards" if sort.startswith("-") else "")


def name(row: Row) -> str:
    """How a mail is called in a sentence: its sender, else its subject, else its id."""
    return row.fromEmail or row.sender or row.subject or row.id


def called(row: Row) -> str:
    """The same, where an act is on several mails with their number."""
    return name(row) if row.matching == 1 else f"{name(row)} ({plural(row.matching, 'mail')})"


def done(verb: str, answer: ActAnswer, row: Row, how: ActBody) -> str:
    """`released to sales@acme.example`, `released to 43, tagged`, `claimed win@lucky.example`."""
    what = _DONE[verb]
    if verb == "release":
        to = row.toEmail if answer.done == 1 and row.toEmail else plural(answer.done, "recipient")
        text = f"{what} to {', '.join(how.to) or to}"
    else:
        would = next((f", would {result.would}" for result in answer.results if result.would), "")
        text = f"{what}: {name(row)}{would}" + (f", {plural(answer.done, 'mail')}" if answer.done > 1 else "")
    text += f" to {how.person}" if how.person else ""
    text += manner(verb, how)
    left: dict[str, int] = {}
    for result in answer.results:
        if result.result != "done":
            left[result.result] = left.get(result.result, 0) + 1
    if left:
        text += "; not done: " + ", ".join(f"{number(n)} {_NOT_DONE.get(r, r)}" for r, n in left.items())
    return text


def manner(verb: str, how: Manner) -> str:
    """`, as an attachment, to be learned, sender allowed for 30 days`; "" for the usual."""
    said = [_IN_FORM.get(how.form or "", ""), "to be learned" if how.learn else ""]
    if how.sender is not None:
        said.append(f"sender {'allowed' if verb == 'release' else 'blocked'} for {plural(how.sender.days, 'day')}")
    return "".join(f", {one}" for one in said if one)


def refusal(verb: str, problem: ApiProblem, row: Row, rights: frozenset[str]) -> str:
    """Who or what stands in the way, and what to do next. Nothing was done."""
    extra = problem.extra
    by = str(extra.get("by") or "")
    match problem.type:
        case "claimed":
            return held(by or "someone else", rights)
        case "lost":
            now = f", {by} holds it now" if by else ""
            return f"your claim is gone{now}: nothing done; {key('mail.claim')} claims it again"
        case "changed":
            return f"{name(row)} has changed since you saw it: nothing done; look, then press the key again"
        case "status":
            return not_in_status(verb, str(extra.get("is") or row.status))
        case "forbidden":
            lacks = extra.get("right") or extra.get("class")
            return f"you lack the right to {lacks}: nothing done" if lacks else f"{problem}: nothing done"
        case "not-found":
            return "it is not there any more: nothing done"
    return f"{problem}: nothing done"


def held(by: str, rights: frozenset[str]) -> str:
    if "takeover" in rights:
        return f"{by} holds this: {key('mail.takeover')} takes over (says why to {by})"
    return f"{by} holds this: nothing done; ask {by}, or wait until the claim lapses"


def not_in_status(verb: str, status: str) -> str:
    hint = {
        "RELEASING": f"; {key('mail.recall')} recalls it",
        "DELETED": f"; {key('mail.restore')} restores it",
        "EXPIRED": f"; {key('mail.restore')} restores it",
        "RELEASED": f"; {key('mail.restore')} brings it back on hold",
        "UNCERTAIN": f"; {key('mail.settle')} settles it",
        "ONHOLD": "",
    }.get(status, "")
    what = "on hold" if status == "ONHOLD" else status
    return f"it is {what}: no {verb}{hint}"


def confirm(verb: str, act: ActProgress, of: str, how: Manner) -> str:
    """The sentence that asks for the count. `of` says what was chosen: `3 marked messages`."""
    if verb == "rescan":
        asked = f"Type {meant(act)} to release those and give the others their new verdict."
        return f"{number(meant(act))} of {plural(act.count, 'mail')}, {of}, would pass now. {asked}"
    verbs = {"release": "Release", "delete": "Delete", "restore": "Restore", "recall": "Recall", "settle": "Settle"}
    what = verbs.get(verb) or {"takeover": "Take over", "extend": "Extend"}.get(verb, verb.capitalize())
    to = f" to {', '.join(how.to)}" if how.to else act.reach.words
    asked = f"{what} {plural(act.count, 'mail')}{to}, {of}{manner(verb, how)}."
    sample = "\n".join(act.sample[:SAMPLE])
    return "\n\n".join(filter(None, (asked, sample, f"Type {act.count} to confirm.")))


def meant(act: ActProgress) -> int:
    """How many mails are confirmed: all of it; of a rescan those that would pass."""
    return act.would.get("pass", 0) if act.verb == "rescan" else act.count


def state(act: ActProgress) -> str:
    """How an act stands; one that is stored waits for its count to be typed."""
    return "not confirmed" if act.state == "stored" else str(act.state)


def progress(act: ActProgress, rate: float, width: int) -> str:
    """`Releasing 14,000  [=====    ]  61 %  13 s left  412/s  8,540 done  12 changed  ^x stops`, in `width` cells:
    what is least needed goes first."""
    if act.state == "selecting":
        return " Looking for all that match ...  ^x stops"
    weighing = act.state == "weighing"  # nothing is done yet
    far = sum(act.would.values()) if weighing else act.tried
    share = far / act.count if act.count else 1.0
    head = f" {'Scanning' if weighing else _DOING[act.verb]} {number(act.count)}"
    parts = [f"  {round(share * 100)} %"]
    parts += [f"  {number(n)} would {word}" for word, n in act.would.items() if n] if weighing else []
    parts += [f"  {number(n)} {_SHORT.get(r, r)}" for r, n in act.results.items() if n]
    if rate >= 1:
        parts += [f"  {max(0, round((act.count - far) / rate))} s left", f"  {rate:,.0f}/s"]
    parts.append(f"  {key('act.stop')} stops")
    while len(head) + sum(map(len, parts)) > width - 1 and len(parts) > 1:
        parts.pop()
    room = width - len(head) - sum(map(len, parts)) - 6
    bar = ""
    if room >= 6:
        filled = round(share * room)
        bar = f"  [{'=' * filled}{' ' * (room - filled)}]"
    return head + bar + "".join(parts)


def undoing(undo: ActProgress, act: ActProgress) -> str:
    """`recalling 5,000 of 14,000 mails; 9,000 can't be taken back any more`. What undoes an act, and the act."""
    text = f"{_DOING[undo.verb].lower()} {number(undo.count)} of {plural(act.done, 'mail')}"
    gone = act.done - undo.count
    return f"{text}; {number(gone)} can't be taken back any more" if gone > 0 else text


def finished(act: ActProgress) -> str:
    """`8,540 mails released, 12 changed meanwhile, 3 held by others`."""
    done = "released" if act.verb == "rescan" else _DONE[act.verb]  # of many, those that pass are let go
    text = ", ".join([f"{plural(act.done, 'mail')} {done}", *not_done(act)])
    return f"stopped: {text}" if act.state == "stopped" else text


def nothing_left(act: ActProgress) -> str:
    """Where the mails would stand that an act was not done to."""
    if act.purged is not None:
        return "What became of each mail is not kept any more: the counts above are."
    if act.tried:
        return "It was done to each mail that was tried."
    return "Nobody confirmed it in time: nothing was done." if act.state == "lapsed" else "No mail was tried yet."


def not_done(act: ActProgress) -> list[str]:
    """`12 changed meanwhile`, `3 held by others`."""
    return [f"{number(n)} {_NOT_DONE.get(r, r)}" for r, n in act.results.items() if r != "done" and n]
