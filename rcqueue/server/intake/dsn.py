"""What a sender asks to be told (DSN, RFC 3461), out of the parameters of MAIL and RCPT. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rcqueue.model.mail import Dsn

_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})"
_EVENT = r"(?:SUCCESS|FAILURE|DELAY)"
_FORMS = {
    "RET": (re.compile("FULL|HDRS", re.IGNORECASE), "FULL or HDRS"),
    "ENVID": (re.compile(_XTEXT + "{1,100}"), "up to 100 characters of xtext"),
    "NOTIFY": (
        re.compile(f"NEVER|{_EVENT}(?:,{_EVENT}){{0,2}}", re.IGNORECASE),
        "NEVER, or some of SUCCESS, FAILURE, DELAY",
    ),
    "ORCPT": (re.compile("[A-Za-z0-9-]{1,40};" + _XTEXT + "{1,500}"), "TYPE;ADDRESS, in xtext"),
}
OF_MAIL, OF_RCPT = ("RET", "ENVID"), ("NOTIFY", "ORCPT")


def split(parameters: str) -> tuple[str, list[str]]:
    """(the parameters that are about something else, those of DSN), as they were written."""
    words = parameters.split()
    ours = [word for word in words if word.partition("=")[0].upper() in _FORMS]
    return " ".join(word for word in words if word not in ours), ours


def checked(words: Sequence[str], names: Sequence[str]) -> str:
    """Parameters of DSN, as they are said again. Raises ValueError in the client's terms."""
    said: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        name = name.upper()
        if name not in names:
            raise ValueError(f"{name} does not belong here, one of {', '.join(names)} was expected")
        form, expected = _FORMS[name]
        if name in said:
            raise ValueError(f"{name} is given twice")
        if not value.isascii():
            continue  # RFC 6533's form of ORCPT, which not every next hop may hear: no reason to refuse a mail
        if not form.fullmatch(value):
            raise ValueError(f"{name}: {expected} was expected")
        said[name] = value
    return " ".join(f"{name}={value}" for name, value in said.items())


def asked(of_mail: str, of_rcpt: Iterable[tuple[str, str]]) -> Dsn | None:
    """None when nothing is asked for."""
    recipients = {recipient: said for recipient, said in of_rcpt if said}
    return Dsn(mail=of_mail, recipients=recipients) if of_mail or recipients else None


def known(words: Iterable[str], names: Sequence[str]) -> str:
    """The parameters of DSN among a mail server's, which has checked them; "" when they can't be said again."""
    try:
        return checked(split(" ".join(words))[1], names)
    except ValueError:
        return ""


def of(dsn: Dsn | None, recipients: Iterable[str]) -> Dsn | None:
    """As far as it is about these recipients."""
    return None if dsn is None else asked(dsn.mail, ((to, dsn.recipients.get(to, "")) for to in recipients))
