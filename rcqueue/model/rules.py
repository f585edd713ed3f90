"""Rule files and signatures that are pushed to scanners, as they cross the wire."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from .mail import Time, Wire

LARGEST = 8 << 20  #: bytes of a file


class Outcome(StrEnum):
    """What came of a push or a rollback."""

    BEGUN = "begun"  #: under way
    INSTALLED = "installed"
    REFUSED = "refused"  #: by the check or the scanner's lint: nothing was changed
    ROLLED_BACK = "rolled back"  #: the scanner did not take it: it answers as before
    FAILED = "failed"  #: neither: the folder is as it was, and the scanner does not answer as before
    TAKEN_BACK = "taken back"  #: a push that a later rollback undid


class RulePush(Wire):
    """The body of `POST /api/v1/rules`. `scanner` is needed where more than one takes such files."""

    scanner: str = ""
    name: str = Field(max_length=200)
    content: str = Field(max_length=LARGEST)
    reason: str = Field(default="", max_length=2000)


class RuleRollback(Wire):
    """The body of `POST /api/v1/rules/NAME/rollback`."""

    scanner: str = ""
    reason: str = Field(default="", max_length=2000)


class RuleFile(Wire):
    """One push or rollback. In a list: the push that is in force."""

    seq: int  #: of the entry that began it
    kind: str  #: push, rollback
    scanner: str
    name: str
    sha256: str
    size: int
    by: str
    at: Time
    outcome: Outcome
    said: list[str] = []  #: why not, line by line


class RuleFiles(Wire):
    rules: list[RuleFile]
