"""History: what one did oneself, the newest first; from here to the mail, and back where it can be undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from rcqueue.model.act import Verb
from rcqueue.widgets.keymap import Situation, bindings
from rcqueue.widgets.line import Piece
from rcqueue.widgets.text import address, age, number, plural

from . import acpi
from .dialogs import Ask
from .page import Page

if TYPE_CHECKING:
    from rcqueue.model.journal import Entry

LIMIT = 200  #: entries that are read at a time
MOST = 50  #: mails of one entry that are undone one by one
WIDE = 28  #: cells of an address
#: What undoes an act, by its kind, while the mail is in that status.
UNDOES = {("mail.release", "RELEASING"): "recall", ("mail.delete", "DELETED"): "restore"}


class HistoryScreen(Page):
    CONTEXT = "history"
    TITLE_TEXT = "History"
    COLUMNS = ("AGO", "WHAT", "MAILS", "NOW", "FROM", "SUBJECT, NOTE")
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("history")]

    def on_mount(self) -> None:
        super().on_mount()
        self.verb = ""
        self.entries: list[Entry] = []
        self._next: str | int | None = None
        self._reading = False
        self.app.work(self._read())

    def heading(self) -> list[Piece]:
        verb = getattr(self, "verb", "")
        return [*super().heading(), (f"   what you did{f': {verb}' if verb else ''}, the newest first", "dim")]

    def situation(self) -> Situation:
        entry = self._entry()
        undone = entry is not None and _undoing(entry) is not None
        there = entry.row.status if entry is not None and entry.row is not None else None
        return Situation(super().situation().rights, status=there, undo=undone)

    def came(self, messages: set[str]) -> None:
        if messages & {entry.message for entry in self.entries}:
            self.app.work(self._read())

    async def _read(self, *, more: bool = False) -> None:
        """Reads it anew, or goes on from the last one read."""
        if self._reading or (more and self._next is None):
            return
        self._reading = True
        before = self._next if more else None
        page = await self.app.call(self.desk.api.history(before, LIMIT, verb=self.verb or None))
        self._reading = False
        if page is None or not self.is_mounted:
            return
        self.entries = [*(self.entries if more else ()), *page.entries]
        self._next = page.next
        self.table.empty = "Nothing yet." if not self.verb else f"No {self.verb} yet. / shows the others."
        self.table.show([(str(entry.seq), self._row(entry)) for entry in self.entries])
        self.changed()

    def _row(self, entry: Entry) -> list[Piece]:
        row = entry.row
        undone = _undoing(entry) is not None
        said = [row.subject if row is not None else "", entry.said]
        if entry.kind == "denied":
            said.reverse()
        return [
            (age((self.app.clock() - entry.at).total_seconds()), "dim"),
            (entry.kind.removeprefix("mail."), "warn" if entry.kind == "denied" else ""),
            (number(len(entry.mails)) if len(entry.mails) > 1 else "", ""),
            (row.status if row is not None else "", "" if undone else "dim"),
            (address(row.fromEmail or "", WIDE) if row is not None else "", ""),
            (" / ".join(filter(None, said)), ""),
        ]

    def _entry(self) -> Entry | None:
        key = self.table.key
        return next((entry for entry in getattr(self, "entries", ()) if str(entry.seq) == key), None)

    def do_view_down(self) -> None:
        super().do_view_down()
        self._go_on()

    def do_view_page_down(self) -> None:
        super().do_view_page_down()
        self._go_on()

    def do_view_bottom(self) -> None:
        super().do_view_bottom()
        self._go_on()

    def _go_on(self) -> None:
        if self.table.at + self.table.room >= len(self.entries):
            self.app.work(self._read(more=True))

    def do_mail_show(self) -> None:
        """The queue shows that mail, whatever its status; back there returns to where one was."""
        if (entry := self._entry()) is not None and entry.message is not None:
            self.dismiss()
            self.app.queue.visit(f"id:{entry.message} status:any", "-time", "from history")

    def do_view_only(self) -> None:
        self.app.work(self._narrow())

    async def _narrow(self) -> None:
        sentence = "Which acts? A verb, as release or delete, or nothing for all."
        given = await self.app.push_screen_wait(Ask(sentence, _verb_check, value=self.verb, does="shows them"))
        if given is not None:
            self.verb = given
            self.table.at = 0
            await self._read()

    def do_view_undo(self) -> None:
        if (entry := self._entry()) is not None:
            self.app.work(self._undo(entry))

    async def _undo(self, entry: Entry) -> None:
        from rcqueue.model.act import ActBody

        verb = _undoing(entry)
        if verb is None:
            self.app.flash(f"{entry.kind} can't be undone now", "warn")
            return
        if len(entry.mails) > MOST:
            self.app.flash(f"{plural(len(entry.mails), 'mail')} are many: A undoes acts on many", "warn")
            return
        done = 0
        for mail in entry.mails:
            answer = await self.app.call(self.desk.api.act(mail.id, verb, ActBody()))
            done += answer.done if answer is not None else 0
        if done:
            self.app.flash(f"{verb}: {plural(done, 'mail')}")
            self.app.queue.did(acpi.of(f"mail.{verb}", id=[mail.id for mail in entry.mails]))
        await self._read()


def _undoing(entry: Entry) -> str | None:
    return UNDOES.get((entry.kind, entry.row.status)) if entry.row is not None and entry.mails else None


def _verb_check(text: str) -> str:
    known = text in ("", "denied") or text in list(Verb) or "." in text
    return "" if known else f"expected one of {', '.join(Verb)}, or nothing"
