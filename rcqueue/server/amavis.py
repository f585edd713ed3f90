"""The origin of what came from amavis's quarantine: "amavis:MAILID", and after a space its file, if there is one."""

from __future__ import annotations

_ORIGIN = "amavis:"
FILES = f"{_ORIGIN}%"  #: for LIKE


def origin_of(mail_id: str, file: str = "") -> str:
    """`file` is the path below the quarantine folder."""
    return f"{_ORIGIN}{mail_id} {file}" if file else f"{_ORIGIN}{mail_id}"


def file_of(origin: str) -> tuple[str, str] | None:
    """(mail id, file) of a message that is in the quarantine folder; None: it came another way."""
    mail_id, space, file = origin.removeprefix(_ORIGIN).partition(" ")
    return (mail_id, file) if origin.startswith(_ORIGIN) and space else None
