"""The mail that a notice is. Pure: what is held, and links, to bytes.

Everything in it that came from mail is hostile. `safe_text` spells control characters out and leaves nothing that ends
a line; HTML is escaped; and what reads as a link is broken up, so that no mail program makes one of it: the only links
in a notice are its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape

from rcqueue.model.mail import from_us
from rcqueue.safe_text import safe_text
from rcqueue.server.config_values import Mailbox

from .held import HeldFor, HeldMail

SUBJECT = 150  #: characters of a held mail's that are shown
#: An address that may stand in To as it is; and one that reads as nothing but an address.
_PLAIN = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")
_ADDRESS = re.compile(r"[\w+'-]+(?:\.[\w+'-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", re.ASCII)
_LINKS = re.compile(r"://|(?<=\w)\.(?=[^\W\d_])|(?<=\w)@(?=\w)")


@dataclass(frozen=True, slots=True)
class Letter:
    """What every notice of a day has in common, and whom this one is for."""

    sender: Mailbox
    to: str
    subject: str
    id: str  #: the left half of its Message-ID; the same at each attempt
    at: datetime
    links_end: datetime


def digest(letter: Letter, held: HeldFor, links: Sequence[str | None], stop: str) -> bytes:
    """A notice as it is sent: each line ended by CRLF, in ASCII. `links` are those of `held.mails`, in order; None:
    that mail has been asked for. `stop` is the link that stops the notices."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(letter.sender.name, addr_spec=letter.sender.address)
    mail["To"] = letter.to if _PLAIN.fullmatch(letter.to) else "undisclosed-recipients:;"
    mail["Subject"] = letter.subject
    mail["Date"] = format_datetime(letter.at)
    mail["Message-ID"] = f"<{letter.id}@{letter.sender.address.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join(_text(letter, held, links, stop)) + "\n", cte="quoted-printable")
    mail.add_alternative("\n".join(_html(letter, held, links, stop)) + "\n", subtype="html", cte="quoted-printable")
    return mail.as_bytes()


def shown(text: str, limit: int = SUBJECT) -> str:
    """Text from mail as a notice shows it: on one line, without anything that a mail program makes a link of."""
    return _LINKS.sub(lambda found: f"[{found[0]}]", safe_text(text, limit=limit))


def _address(text: str) -> str:
    """An address is not broken up, where it can be nothing else: it is what people know each other by."""
    return text[:SUBJECT] if _ADDRESS.fullmatch(text) else shown(text) or "<>"


def _subject(mail: HeldMail) -> str:
    return shown(mail.subject) or "(no subject)"


def _when(at: int) -> str:
    return from_us(at).astimezone().strftime("%Y-%m-%d %H:%M")


def _intro(letter: Letter, held: HeldFor) -> list[str]:
    mails = len(held.mails) + held.more
    what, be = ("One mail", "is") if mails == 1 else (f"{mails} mails", "are")
    return [
        f"{what} for {_address(letter.to)} {be} on hold.",
        "If you miss one, open its link and press the button there: that asks the mail admins to release it. "
        "Opening a link alone does nothing.",
    ]


def _more(letter: Letter, held: HeldFor) -> list[str]:
    lines = [f"{held.more} older ones are not listed."] if held.more else []
    if held.dangerous:
        lines.append(f"Held for you as dangerous, and not listed: {held.dangerous}.")
    return [*lines, f"Each link is good once, until {letter.links_end.astimezone():%Y-%m-%d}."]


_STOP = "To get no more of these notices, open this link and press the button there:"
_ASKED = "You have asked for this one."


def _text(letter: Letter, held: HeldFor, links: Sequence[str | None], stop: str) -> list[str]:
    lines = [line for said in _intro(letter, held) for line in (said, "")]
    for mail, link in zip(held.mails, links, strict=True):
        lines += [f"{_when(mail.at)}  {_address(mail.sender)}  ({mail.verdict.lower()})", f"    {_subject(mail)}"]
        lines += [f"    {link or _ASKED}", ""]
    return [*lines, *_more(letter, held), "", _STOP, stop]


def _html(letter: Letter, held: HeldFor, links: Sequence[str | None], stop: str) -> list[str]:
    lines = ["<!DOCTYPE html>", '<html><head><meta charset="utf-8"></head><body>']
    lines += [f"<p>{escape(said)}</p>" for said in _intro(letter, held)]
    lines.append("<table>")
    for mail, link in zip(held.mails, links, strict=True):
        asks = f'<a href="{escape(link)}">Ask for it</a>' if link else escape(_ASKED)
        cells = (escape(said) for said in (_when(mail.at), _address(mail.sender), _subject(mail), mail.verdict.lower()))
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in (*cells, asks)) + "</tr>")
    lines.append("</table>")
    lines += [f"<p>{escape(said)}</p>" for said in _more(letter, held)]
    return [*lines, f'<p>{escape(_STOP)} <a href="{escape(stop)}">no more notices</a></p>', "</body></html>"]
