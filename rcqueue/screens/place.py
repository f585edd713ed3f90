"""Where a person is at the queue: kept when their sign-in is over, and gone back to when they sign in again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rcqueue.client.desk import Desk


@dataclass(frozen=True, slots=True)
class Place:
    name: str
    filter: str
    sort: str
    cursor: str | None
    marks: tuple[str, ...]
    all_marked: bool
    tab: str

    @classmethod
    def of(cls, desk: Desk, tab: str) -> Place:
        view = desk.view
        marks = tuple(view.marks)
        return cls(desk.whoami.name, desk.query.text, view.sort, view.cursor, marks, view.all_marked, tab)

    def restore(self, desk: Desk) -> None:
        """The rows are read anew, around the one that the cursor was on."""
        desk.search(self.filter, self.sort)
        if self.cursor is not None:
            desk.view.jump("at", self.cursor)
        desk.view.marks.update(dict.fromkeys(self.marks))
        desk.view.refresh(self.marks)  # some may have left meanwhile
        desk.view.all_marked = self.all_marked
