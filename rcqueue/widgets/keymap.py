"""What the registry of actions says about keys: bindings, what works now, and how a key is written. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding

from rcqueue.model.actions import ACTIONS, Action

_KEYS = {
    "slash": "/",
    "question_mark": "?",
    "asterisk": "*",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "pageup": "pgup",
    "pagedown": "pgdn",
}


@dataclass(frozen=True, slots=True)
class Situation:
    """What the keys would act on now. `claim` is "" (none), "mine" or "other"; `status` None: no mail there."""

    rights: frozenset[str]
    status: str | None = None
    claim: str = ""
    marks: int = 0
    recall: bool = False  #: a release can still be recalled
    running: bool = False  #: an act on many is under way
    body: bool = True  #: the body of this mail may be read
    demo: bool = False


def bindings(*contexts: str, action: str = "screen.do") -> list[Binding]:
    """The keys of these contexts; each calls `action` with the name of its entry in the registry."""
    return [
        Binding(a.key, f"{action}('{a.name}')", a.help, show=False)
        for a in ACTIONS
        if a.key and any(context in a.contexts for context in contexts)
    ]


def allowed(action: Action, now: Situation) -> bool:
    """Whether the person may do it at all, whatever is under the cursor."""
    if action.name == "view.demo":
        return now.demo
    return action.right is None or action.right in now.rights


def works(action: Action, now: Situation) -> bool:
    """Whether it would do something now."""
    if not allowed(action, now):
        return False
    match action.name:
        case "mail.recall":
            return now.recall or now.status == "RELEASING"
        case "act.stop":
            return now.running
        case "view.select_none":
            return now.marks > 0
        case "mail.body":
            return now.status is not None and now.body
        case "mail.show" | "mail.note" | "view.select":
            return now.status is not None
    if action.statuses and now.status not in action.statuses:
        return False
    if now.marks and action.many and action.name not in ("mail.unclaim", "mail.takeover"):
        return True
    match action.name:
        case "mail.claim":
            return now.claim == ""
        case "mail.unclaim":
            return now.claim == "mine"
        case "mail.takeover":
            return now.claim == "other"
        case "mail.release" | "mail.delete" | "mail.extend" | "view.release_as" | "view.delete_as":
            return now.claim != "other"
    return True


def footer(context: str, now: Situation) -> list[Action]:
    """The actions for the footer: those that work now, dangerous ones last."""
    shown = [
        a for a in ACTIONS if a.footer and a.key and (context in a.contexts or "app" in a.contexts) and works(a, now)
    ]
    return sorted(shown, key=lambda a: (a.dangerous, "app" in a.contexts))


def key_name(action: Action) -> str:
    """How its first key is written: `c`, `/`, `^p`, `esc`."""
    return written(action.key.split(",")[0]) if action.key else ""


def keys_name(action: Action) -> str:
    return " ".join(written(key) for key in action.key.split(",")) if action.key else ""


def written(key: str) -> str:
    if key.startswith("ctrl+"):
        return "^" + key.removeprefix("ctrl+")
    if key.startswith("shift+"):
        return "shift-" + written(key.removeprefix("shift+"))
    return _KEYS.get(key, key)


def of(contexts: Iterable[str]) -> list[Action]:
    """The actions of these contexts, in the order of the registry."""
    wanted = set(contexts)
    return [a for a in ACTIONS if wanted & set(a.contexts)]
