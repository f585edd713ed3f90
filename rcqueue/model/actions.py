"""The one registry of actions: keys, footer, help page, palette, CLI verbs, routes and `/acpi` verbs come from it.

An action that reaches the server carries the name of its verb as OBJECT.VERB: `mail.release` is the key `r`, the route
`POST /api/v1/mails/ID/release`, `rcqueue release` and `{"cmd": "mail.release"}`. A test walks the registry and fails
where one is missing. Actions that only move the view, or ask how an act is to be done, are marked `view` and need none.
Plain data, so that it loads before pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass

from .access import Right


@dataclass(frozen=True, slots=True)
class Action:
    name: str  #: OBJECT.VERB for the server's, view.NAME for those that only move the view
    help: str  #: one line, lower case, as the footer and the palette show it
    key: str | None = None  #: Textual's name of the key; several by comma
    contexts: tuple[str, ...] = ("queue",)  #: screens and panes where the key works
    right: Right | None = None
    dangerous: bool = False  #: changes mail; last in the footer, checked first when the feed is stale
    statuses: tuple[str, ...] = ()  #: statuses of the mail that it applies to; empty: any
    footer: str | None = None  #: the word in the footer; None: only in help and palette
    many: bool = False  #: works on a selection or a filter too
    cli: str | None = None  #: the CLI words, where they are not simply the verb

    @property
    def view(self) -> bool:
        return self.name.startswith("view.")

    @property
    def object(self) -> str:
        return self.name.partition(".")[0]

    @property
    def verb(self) -> str:
        return self.name.partition(".")[2]


_HELD = ("ONHOLD",)
_Q = ("queue", "message")
_ALL_OF_IT = (*_Q, "campaigns")  # also where one key acts on all of a campaign
_DONE_AT = (*_ALL_OF_IT, "people", "acts", "act", "filters", "outgoing", "history")  # where something is done
_LISTS = (
    "queue",
    "campaigns",
    "facets",
    "filters",
    "message",
    "people",
    "acts",
    "act",
    "audit",
    "health",
    "outgoing",
    "history",
    "help",
    "demo",
)

ACTIONS: tuple[Action, ...] = (
    # -- acts on mail
    Action(
        "mail.claim", "claim it: nobody else can act on it", "c", _ALL_OF_IT, Right.CLAIM, False, _HELD, "claim", True
    ),
    Action("mail.unclaim", "give the claim back", "C", _Q, Right.CLAIM, False, _HELD, "unclaim", True),
    Action(
        "mail.takeover",
        "take over a colleague's claim, saying why",
        "t",
        _Q,
        Right.TAKEOVER,
        True,
        _HELD,
        "take over",
        True,
    ),
    Action("mail.assign", "hand it over to a colleague, with a note", "a", _Q, Right.CLAIM, False, _HELD, None, True),
    Action("mail.extend", "extend its expiry", "x", _ALL_OF_IT, Right.EXTEND, False, _HELD, None, True),
    Action("mail.note", "write a note on it", "n", _Q, Right.NOTE, False, (), "note", True),
    Action("mail.release", "release it to the next hop", "r", _ALL_OF_IT, Right.RELEASE, True, _HELD, "release", True),
    Action(
        "view.release_as",
        "release it in another way: form, to whom, learning",
        "ctrl+r",
        _Q,
        Right.RELEASE,
        True,
        _HELD,
        many=True,
    ),
    Action(
        "mail.recall",
        "recall a release within its window",
        "u",
        _Q,
        Right.RELEASE,
        True,
        ("RELEASING",),
        "recall",
        True,
    ),
    Action(
        "mail.delete",
        "delete it (restore brings it back until the purge)",
        "d",
        _ALL_OF_IT,
        Right.DELETE,
        True,
        _HELD,
        "delete",
        True,
    ),
    Action(
        "view.delete_as",
        "delete it, learning it as spam or blocking its sender",
        "ctrl+d",
        _Q,
        Right.DELETE,
        True,
        _HELD,
        many=True,
    ),
    Action(
        "mail.restore",
        "bring a deleted, expired or released mail back",
        "R",
        _Q,
        Right.DELETE,
        True,
        ("DELETED", "EXPIRED", "RELEASED"),
        "restore",
        True,
    ),
    Action(
        "mail.settle",
        "settle an uncertain release: arrived, again or hold",
        "s",
        (*_Q, "outgoing"),
        Right.RELEASE,
        True,
        ("UNCERTAIN",),
        "settle",
        True,
    ),
    Action(
        "mail.try",
        "try it now: its next hop had put it off",
        "r",
        ("outgoing",),
        Right.RELEASE,
        True,
        ("RELEASING",),
        "retry now",
        True,
    ),
    Action(
        "mail.rescan",
        "scan it again by the rules of now; many: a what-if",
        "E",
        _Q,
        Right.RELEASE,
        True,
        _HELD,
        None,
        True,
    ),
    # -- what the server is asked to show
    Action("mail.list", "filter the queue", "slash", ("queue",), Right.VIEW, footer="filter", cli="list"),
    Action(
        "mail.facets",
        "what the matching mail has in common, counted",
        "f",
        ("queue", "facets"),
        Right.VIEW,
        cli="facets",
    ),
    Action("campaign.list", "campaigns: mail that belongs together", "m", ("queue",), Right.VIEW, cli="campaigns"),
    Action("filter.list", "the saved filters", "F", right=Right.VIEW, cli="filters list"),
    Action(
        "filter.save",
        "save the filter in force under a name",
        "s",
        ("filters",),
        Right.VIEW,
        footer="save",
        cli="filters save",
    ),
    Action(
        "filter.delete",
        "delete a saved filter",
        "d",
        ("filters",),
        Right.VIEW,
        footer="delete",
        cli="filters delete",
    ),
    Action("view.take", "put this filter in force", "enter", ("filters",), footer="takes it"),
    Action("claim.list", "the filters that are claimed", contexts=(), right=Right.VIEW, cli="claims"),
    Action("claim.stand", "claim the filter: what arrives is yours; or back", "W", right=Right.CLAIM, cli="claim"),
    Action("claim.end", "give a claimed filter back", contexts=(), right=Right.VIEW, cli="claims"),
    Action("mail.show", "open the mail", "enter", ("queue", "history"), Right.VIEW, footer="open", cli="show"),
    Action("mail.next", "claim the next mails that nobody holds", "w", ("queue",), Right.CLAIM, cli="next"),
    Action("mail.body", "read the body (goes on record)", "b", _Q, Right.VIEW, footer="body", cli="show"),
    Action("act.list", "acts on many: progress", "A", ("queue",), Right.VIEW, cli="acts"),
    Action("act.show", "open the act: what it was not done to, and why", "enter", ("acts",), Right.VIEW, cli="acts"),
    Action(
        "act.undo",
        "undo it: recall the released, restore the deleted",
        "u",
        ("acts", "act"),
        Right.VIEW,
        True,
        footer="undo",
        cli="acts",
    ),
    Action(
        "act.stop",
        "stop the act that is running",
        "ctrl+x",
        ("queue", "campaigns", "acts", "act"),
        Right.VIEW,
        footer="stop",
        cli="acts",
    ),
    # -- people
    Action("people.list", "people and their roles", "P", ("queue",), Right.ADMINISTER, cli="people list"),
    Action("people.create", "create an account", "a", ("people",), Right.ADMINISTER, footer="add", cli="people create"),
    Action(
        "people.lock",
        "lock a person out of bodies",
        "l",
        ("people",),
        Right.ADMINISTER,
        True,
        footer="lock bodies",
        cli="people lock",
    ),
    Action(
        "people.unlock",
        "unlock bodies for a person",
        "L",
        ("people",),
        Right.ADMINISTER,
        True,
        footer="unlock",
        cli="people unlock",
    ),
    Action(
        "people.grant",
        "grant a role at a customer",
        "g",
        ("people",),
        Right.ADMINISTER,
        True,
        footer="grant",
        cli="people grant",
    ),
    Action(
        "people.revoke", "revoke a role", "v", ("people",), Right.ADMINISTER, True, footer="revoke", cli="people revoke"
    ),
    Action("people.disable", "disable an account", "D", ("people",), Right.ADMINISTER, True, cli="people disable"),
    Action("people.enable", "enable an account", "E", ("people",), Right.ADMINISTER, True, cli="people enable"),
    Action(
        "people.password", "set a person's password", "w", ("people",), Right.ADMINISTER, True, cli="people password"
    ),
    # -- scanners
    Action("scan.file", "what the scanners say of a message in a file", contexts=(), right=Right.VIEW, cli="scan"),
    Action(
        "policy.test",
        "what the policy would do with a message in a file, and why",
        contexts=(),
        right=Right.VIEW,
        cli="policy test",
    ),
    Action(
        "policy.show",
        "the policy as it holds, and what was set over its file",
        contexts=(),
        right=Right.ADMINISTER,
        cli="policy show",
    ),
    Action(
        "policy.set",
        "set a threshold or the points of a rule",
        contexts=(),
        right=Right.ADMINISTER,
        dangerous=True,
        cli="policy set",
    ),
    Action("sender.list", "senders that are let through or stopped", contexts=(), right=Right.VIEW, cli="senders list"),
    Action(
        "sender.allow",
        "let a sender through: its mail is not held as spam",
        contexts=(),
        right=Right.RELEASE,
        dangerous=True,
        cli="senders allow",
    ),
    Action(
        "sender.block",
        "stop a sender: its mail is held",
        contexts=(),
        right=Right.DELETE,
        dangerous=True,
        cli="senders block",
    ),
    Action(
        "sender.end",
        "take back what was said about a sender",
        contexts=(),
        right=Right.VIEW,
        dangerous=True,
        cli="senders end",
    ),
    Action(
        "rules.push",
        "push rule files or signatures to a scanner",
        contexts=(),
        right=Right.ADMINISTER,
        cli="rules push",
    ),
    Action("rules.rollback", "take a pushed file back", contexts=(), right=Right.ADMINISTER, cli="rules rollback"),
    Action("rules.list", "the pushed files in force", contexts=(), right=Right.ADMINISTER, cli="rules list"),
    # -- the server
    Action(
        "health.show",
        "health: scanners, next hops, ways in, alerts",
        "H",
        ("queue",),
        Right.VIEW,
        cli="status",
    ),
    Action("wall.show", "counts alone, for a display on a wall", None, ("queue",), Right.COUNT, cli="wall"),
    # -- what is on its way out
    Action(
        "outgoing.list", "outgoing: what is on its way, next hops", "ctrl+o", ("queue",), Right.VIEW, cli="outgoing"
    ),
    Action(
        "outgoing.pause",
        "pause the next hop, or let it run again",
        "p",
        ("outgoing",),
        Right.ADMINISTER,
        True,
        footer="pause",
        cli="outgoing",
    ),
    Action(
        "outgoing.resume",
        "let a paused next hop run again",
        contexts=(),
        right=Right.ADMINISTER,
        dangerous=True,
        cli="outgoing",
    ),
    Action(
        "outgoing.limit",
        "limit the next hop to so many mails a minute",
        "l",
        ("outgoing",),
        Right.ADMINISTER,
        True,
        footer="limit",
        cli="outgoing",
    ),
    # -- notices to recipients
    Action("notice.list", "notices to recipients, by day", contexts=(), right=Right.ADMINISTER, cli="notices list"),
    Action(
        "notice.send",
        "send the notices of a domain now",
        contexts=(),
        right=Right.ADMINISTER,
        cli="notices send",
    ),
    Action(
        "notice.start",
        "start the notices again for a recipient who stopped them",
        contexts=(),
        right=Right.ADMINISTER,
        cli="notices start",
    ),
    Action("history.list", "history: what you did, the newest first", "h", ("queue",), Right.VIEW, cli="history"),
    Action("audit.list", "the audit log", None, ("queue",), Right.AUDIT, cli="audit list"),
    # -- the view
    Action("view.down", "next mail, next line", "j,down", _LISTS),
    Action("view.up", "previous mail, previous line", "k,up", _LISTS),
    Action("view.page_down", "page down", "pagedown,ctrl+f,space", _LISTS),
    Action("view.page_up", "page up", "pageup,ctrl+b", _LISTS),
    Action("view.top", "newest mail, and the new ones", "g,home", tuple(c for c in _LISTS if c != "people")),
    Action("view.bottom", "oldest mail", "G,end", _LISTS),
    Action("view.next", "open the next mail", "J", ("message",), footer="next mail"),
    Action("view.previous", "open the mail before", "K", ("message",)),
    Action("view.select", "mark or unmark it", "v", ("queue", "campaigns"), footer="mark"),
    Action("view.select_all", "mark all that match the filter", "asterisk"),
    Action("view.select_none", "drop all marks", "V", ("queue", "campaigns")),
    Action("view.pane_next", "next pane", "tab", _Q, footer="pane"),
    Action("view.pane_previous", "previous pane", "shift+tab", _Q),
    Action("view.pane_down", "pane: down", "right_square_bracket"),
    Action("view.pane_up", "pane: up", "left_square_bracket"),
    Action("view.form", "open body: text, HTML source, raw, hex", "i", _Q),
    Action("view.panes", "panes below, or the table alone", "p"),
    Action("view.unfold", "show each recipient", "e", _Q),
    Action("view.follow", "follow a colleague's cursor until you press a key", "at"),
    Action("view.others", "show what matches in any status", "S"),
    Action("view.sort", "sort by the next column", "o"),
    Action("view.columns", "columns: which, in which order, sorted by which", "O"),
    Action("view.narrow", "narrow to it", "enter", ("facets",), footer="narrows"),
    Action("view.exclude", "leave it out", "minus", ("facets",), footer="leaves out"),
    Action("view.widen", "take the last term of the filter back", "backspace", ("facets",), footer="takes back"),
    Action("view.letters", "jump to a row by its letter", "apostrophe"),
    Action("view.pause", "hold the view still, and go on", "z"),
    Action("view.copy", "the rc_acpi.sh request of what was just done", "y", _DONE_AT),
    Action("view.campaign", "open its mails", "enter", ("campaigns",), footer="open"),
    Action("view.jump", "jump to a time or an id", "ctrl+g"),
    Action(
        "view.back",
        "back",
        "escape,q",
        (
            "campaigns",
            "facets",
            "filters",
            "message",
            "people",
            "acts",
            "act",
            "audit",
            "health",
            "outgoing",
            "history",
            "wall",
            "help",
            "demo",
        ),
        footer="back",
    ),
    Action("view.expiring", "what expires in a day and nobody has seen", "X"),
    Action("view.return", "back to where you were", "escape", footer="back"),
    Action("view.undo", "undo it: recall or restore", "u", ("history",), Right.VIEW, True, footer="undo"),
    Action("view.only", "only one verb", "slash", ("history",), footer="filter"),
    Action("view.leaving", "says how to leave", "q", ("queue",)),
    Action("view.redraw", "draw the screen anew", "ctrl+l", ("app",)),
    Action("view.help", "help: every key that works here", "question_mark", ("app",), footer="help"),
    Action("view.palette", "find any command by its name", "ctrl+p", ("app",), footer="commands"),
    Action("view.theme", "next theme", None, ("app",)),
    Action("view.demo", "Demo: accounts, the server's URL", None, ("app",)),
    Action("view.quit", "sign out and quit", "ctrl+q", ("app",)),
)

BY_NAME: dict[str, Action] = {a.name: a for a in ACTIONS}


def named(name: str) -> Action:
    return BY_NAME[name]


def server_actions() -> tuple[Action, ...]:
    """Those that reach the server: each has a route, a CLI verb and an `/acpi` verb."""
    return tuple(a for a in ACTIONS if not a.view)
