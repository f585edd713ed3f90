"""The next hop's own queue id, as its 250 names it. Best effort: there is no standard for it. Pure."""

from __future__ import annotations

import re

#: Has a digit, as no word of a sentence has, and is no part of an address.
_ID = r"<?(?=[A-Za-z._-]*\d)([A-Za-z0-9][A-Za-z0-9._-]{3,79}+)(?![\w@])"

#: Where each kind of server has it, the first that fits. Of a relay that quotes the server behind it, the last one is
#: the one that has the mail.
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf".*\bqueued(?: mail)? (?:as|with id|id) {_ID}",  # Postfix, Halon, Stalwart
        rf".*\bheld as {_ID}",  # rcqueue
        rf".*\b(?:internal)?id=\W?{_ID}",  # Exim; Exchange's InternalId
        rf".*\bqueued \({_ID}\)",  # Haraka
        rf"250 (?:2\.\d\.\d )?{_ID} message accepted\b",  # sendmail, OpenSMTPD
        rf".*\bmessage accepted(?: as| for delivery)?:? {_ID}",
        r"250 ok (\d{6,} qp \d+)",  # qmail
        rf"250 (?:2\.\d\.\d )?ok +\d{{9,11}} {_ID}",  # Google
        rf"250 2\.0\.0 <[^>]*> {_ID}>?:? saved\b",  # Dovecot
    )
)


def queue_id_of(reply: str) -> str | None:
    """`reply` is one line, code first."""
    return next((found[1].rstrip(".") for form in _FORMS if (found := form.match(reply))), None)
