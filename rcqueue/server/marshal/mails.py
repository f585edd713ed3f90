"""How a mail changes: the one place where status, counters, next expiry, claims and versions move together.

Pure: works on `Rows`, knows neither rights nor the database.
"""

from __future__ import annotations

from typing import Any

from rcqueue.model.folding import domain_of
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.query_sql import terms_of, words_of
from rcqueue.server.store.rows import RowDict, Rows

WAITS = 0  #: in the place of a claim's session: it was assigned, and waits for the person whatever sessions they have
ENDED = frozenset({"RELEASED", "DELETED", "EXPIRED"})


def new_mail(message: int, n: int, rcpt: str, status: str, expiry: int, version: int, **values: Any) -> RowDict:
    """A row of the table `mail`."""
    row: RowDict = dict.fromkeys(("release", "due", "ended", "way", "requested"))
    row |= {"message": message, "n": n, "rcpt": rcpt, "rcpt_domain": domain_of(rcpt), "status": status}
    return row | {"expiry": expiry, "version": version, "tries": 0, "reply": ""} | values


class MessageChange:
    """Changes to the mails of one message by one entry, which will have the number `seq`."""

    def __init__(self, rows: Rows, message: int, seq: int, now: int) -> None:
        row = rows.message(message)
        if row is None:
            raise KeyError(message)
        self.rows, self.id, self.seq, self.now = rows, message, seq, now
        self.row: RowDict = row
        self.changed: list[int] = []

    @property
    def mails(self) -> dict[int, RowDict]:
        return self.rows.mails[self.id]

    def claim_on(self, n: int) -> RowDict | None:
        return self.rows.claims[self.id].get(n)

    def set(self, n: int, status: str, **values: Any) -> None:
        """Moves a mail to `status` (or keeps it there) and gives it this entry's number as its version."""
        old = self.mails[n]
        values.update(status=status, version=self.seq)
        if status != old["status"]:
            values.setdefault("ended", self.now if status in ENDED else None)
            message = self.rows.message(self.id)
            assert message is not None
            was, becomes = old["status"].lower(), status.lower()
            self.rows.put(t.message, (self.id,), {was: message[was] - 1, becomes: message[becomes] + 1})
            self.rows.flow(self.row["customer"], self.now, came=status == "ONHOLD", went=old["status"] == "ONHOLD")
            self.rows.count(message, old["status"], -1)
            self.rows.count(message, status, +1)
            if old["status"] == "ONHOLD":
                self.rows.drop(t.claim, (self.id, n))
                if old["requested"] is not None:
                    self._request(n, None, -1)
        self.rows.put(t.mail, (self.id, n), values)
        self.changed.append(n)

    def add(self, rcpt: str, status: str, expiry: int) -> int:
        """Another mail of the message, to another recipient; its number."""
        n, message = max(self.mails) + 1, self.rows.message(self.id)
        assert message is not None
        self.rows.put(t.mail, (self.id, n), new_mail(self.id, n, rcpt, status, expiry, self.seq))
        words = words_of(message, [mail["rcpt"] for _, mail in sorted(self.mails.items())])
        counts = {"recipients": message["recipients"] + 1, status.lower(): message[status.lower()] + 1}
        self.rows.put(t.message, (self.id,), {**counts, "words": words})
        for term in terms_of(message, [rcpt]):
            self.rows.append(t.posting, {"term": term, "message": self.id})
        self.rows.count(message, status, +1)
        self.changed.append(n)
        return n

    def grant(
        self, n: int, session: int, account: int, until: int | None, given_by: int | None = None, note: str = ""
    ) -> None:
        """Claims a mail: the fence is this entry's number."""
        self.rows.put(
            t.claim,
            (self.id, n),
            {
                "message": self.id,
                "n": n,
                "session": session,
                "account": account,
                "fence": self.seq,
                "at": self.now,
                "until": until,
                "given_by": given_by,
                "note": note or None,
            },
        )
        self.changed.append(n)

    def request(self, n: int) -> None:
        """Its recipient asks for its release. That changes nothing of the mail itself: its version stays."""
        self._request(n, self.now, +1)
        self.changed.append(n)

    def _request(self, n: int, at: int | None, by: int) -> None:
        message = self.rows.message(self.id)
        assert message is not None
        self.rows.put(t.mail, (self.id, n), {"requested": at})
        self.rows.put(t.message, (self.id,), {"requested": message["requested"] + by})

    def free(self, n: int) -> None:
        self.rows.drop(t.claim, (self.id, n))
        self.changed.append(n)

    def mention(self, n: int) -> None:
        """The entry is about this mail too, and changes nothing of it."""
        self.changed.append(n)

    def entry(self, kind: str, account: int | None = None, session: int | None = None, **more: Any) -> Draft:
        """The entry of what was done; settles the message's version and next expiry."""
        message = self.rows.message(self.id)
        assert message is not None
        mails = self.mails
        if any(mails[n]["version"] == self.seq for n in self.changed):
            held = [m["expiry"] for m in mails.values() if m["status"] == "ONHOLD"]
            self.rows.put(t.message, (self.id,), {"version": self.seq, "next_expiry": min(held, default=None)})
        return Draft(
            kind,
            customer=message["customer"],
            queue=message["queue"],
            message=self.id,
            mails=[(n, mails[n]["status"], mails[n]["version"], mails[n]["expiry"]) for n in sorted(set(self.changed))],
            account=account,
            session=session,
            **more,
        )


def claim_ended(rows: Rows, claim: RowDict, now: int) -> bool:
    """Whether a claim's own end (or the lease of its session, if it has none) has passed, or its session has ended,
    or its account is disabled. (clockwork.lapsed asks the same of the database.)"""
    session, account = rows.get(t.session, claim["session"]), rows.get(t.account, claim["account"])
    if account is None or not account["enabled"]:
        return True
    if claim["session"] == WAITS:
        return bool(claim["until"] <= now)
    if session is None or session["ended"] is not None or session["ends"] <= now:
        return True
    return bool((session["lease"] if claim["until"] is None else claim["until"]) <= now)
