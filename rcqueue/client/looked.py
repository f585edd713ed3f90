"""What this terminal has looked at, so that what changed since can be marked. Pure, and bounded."""

from __future__ import annotations

from collections import OrderedDict

KEPT = 5_000  #: mails; of one that is forgotten nothing is marked


class Looked:
    """Rows that were under the cursor, with their versions; mails whose entries were read, with the last of them."""

    def __init__(self) -> None:
        self._versions: OrderedDict[str, int] = OrderedDict()
        self._entries: OrderedDict[str, int] = OrderedDict()
        self._open: str | None = None
        self.since: int | None = None  #: entries after this one are new in the mail that is open; None: all are

    def at(self, message: str, version: int) -> None:
        """Its row was painted under the cursor."""
        _keep(self._versions, message, version)

    def changed(self, message: str, version: int) -> bool:
        """Whether a row is not as it was when it was last looked at."""
        return version > self._versions.get(message, version)

    def read(self, message: str, seq: int) -> None:
        """Its entries were read, up to this one. What was new in it stays new until another mail is read."""
        if message != self._open:
            self._open, self.since = message, self._entries.get(message)
        _keep(self._entries, message, max(seq, self._entries.get(message, 0)))


def _keep(kept: OrderedDict[str, int], message: str, value: int) -> None:
    kept[message] = value
    kept.move_to_end(message)
    if len(kept) > KEPT:
        kept.popitem(last=False)
