"""What the registry of actions says about keys: bindings, what works now, and how a key is written.

The keys in force are those of the registry, but where the person chose others (`use`); one terminal a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from textual.binding import Binding
from textual.keys import Keys, _character_to_key

from rcqueue.model.actions import ACTIONS, BY_NAME, Action, named
from rcqueue.safe_text import safe_text

_SIGNS = {_character_to_key(chr(code)): chr(code) for code in range(33, 127)}
_KEYS = _SIGNS | {"escape": "esc", "pageup": "pgup", "pagedown": "pgdn"}


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
    undo: bool = False  #: the act under the cursor can be undone
    visiting: bool = False  #: the queue shows what a page sent one to; one can return
    paused: bool = False  #: the next hop there is paused


def bindings(*contexts: str, action: str = "screen.do") -> list[Binding]:
    """The keys of these contexts; each calls `action` with the name of its entry in the registry. One without a key has
    a name that no key has, so that the person may give it one (Textual puts the chosen keys in by the id). To leave
    works in dialogs too."""
    return [
        Binding(
            a.key or f"no-key-{a.name}",
            f"{action}('{a.name}')",
            a.help,
            show=False,
            id=a.name,
            priority=a.name == "view.quit",
        )
        for a in ACTIONS
        if any(context in a.contexts for context in contexts)
    ]


# -- keys that the person chooses -------------------------------------------------------------------------------------

_chosen: dict[str, str] = {}
_NAMES = frozenset(key.value for key in Keys)
_MODIFIERS = frozenset(("ctrl", "shift", "alt"))
_TAKEN = frozenset(("ctrl+c", "ctrl+z"))  # Textual's own, wherever one is
_EXPECTED = 'keys by comma, such as "r,ctrl+y", "f5", "slash" or "/"'


def use(keys: Mapping[str, str]) -> None:
    """From now on these keys, by action, are in force; the others' are those of the registry."""
    _chosen.clear()
    _chosen.update(keys)


def keys_of(action: Action) -> tuple[str, ...]:
    """Its keys in force, by Textual's names."""
    keys = _chosen.get(action.name, action.key)
    return tuple(keys.split(",")) if keys else ()


def choose(given: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
    """(keys that can be in force, by action; what is wrong with the others: action, what was found, what was expected).
    Of two actions that would have one key where both work, the one that the person gave it does not get it."""
    keys: dict[str, str] = {}
    wrong: list[str] = []
    for name, value in given.items():
        if (action := BY_NAME.get(name)) is None or not action.contexts:
            close = get_close_matches(name, BY_NAME, 3) or ["a name such as mail.release"]
            wrong.append(f"{safe_text(name, limit=40)}: no such action; expected {' or '.join(close)}")
        elif not isinstance(value, str):
            wrong.append(f"{name}: expected {_EXPECTED}")
        else:
            names = [_character_to_key(k) if len(k) == 1 else k for k in map(str.strip, value.split(","))]
            unknown = next((key for key in names if not _is_key(key)), None)
            if unknown is None:
                keys[name] = ",".join(names)
            else:
                wrong.append(
                    f"{name}: {safe_text(unknown, limit=40)!r} is no key that can be given; expected {_EXPECTED}"
                )
    while clash := _clash(keys):
        loser, key, winner = clash
        wrong.append(f"{loser}: {written(key)} is the key of {winner} there; expected another one")
        del keys[loser]
    return keys, wrong


def _is_key(key: str) -> bool:
    *modifiers, last = key.split("+")
    return key not in _TAKEN and set(modifiers) <= _MODIFIERS and (last in _SIGNS or last in _NAMES)


def _clash(keys: Mapping[str, str]) -> tuple[str, str, str] | None:
    """(action whose chosen key is another's too, the key, the other one); None: there is no clash."""
    for name, chosen in keys.items():
        here = set(named(name).contexts)
        for other in ACTIONS:
            there = set(other.contexts)
            if other.name == name or not (here & there or "app" in here | there):
                continue
            both = set(chosen.split(",")) & set((keys.get(other.name, other.key) or "").split(","))
            if both:
                return name, min(both), other.name
    return None


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
        case "view.undo":
            return now.undo
        case "view.return":
            return now.visiting
        case "view.select_none":
            return now.marks > 0
        case "mail.body":
            return now.status is not None and now.body
        case "mail.show" | "mail.note" | "view.select" | "view.pane_next":
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
        a
        for a in ACTIONS
        if a.footer and keys_of(a) and (context in a.contexts or "app" in a.contexts) and works(a, now)
    ]
    return sorted(shown, key=lambda a: (a.dangerous, "app" in a.contexts))


def word(action: Action, now: Situation) -> str | None:
    """What the footer says of its key: what it would do now."""
    return "resume" if action.name == "outgoing.pause" and now.paused else action.footer


def key_name(action: Action) -> str:
    """How its first key is written: `c`, `/`, `^p`, `esc`; "" when it has none."""
    return written(keys_of(action)[0]) if keys_of(action) else ""


def key(name: str) -> str:
    """The same of the action of that name, for sentences: "recall with u"."""
    return key_name(named(name)) or name


def keys_name(action: Action) -> str:
    return " ".join(map(written, keys_of(action)))


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
