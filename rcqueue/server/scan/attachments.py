"""Attachment rules: by declared type, by name, by the first bytes, by what a scanner lists of an archive.

Nothing is unpacked here: names, types and first bytes are what the readers' children saw of the message itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import translate
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from rcqueue.model.scan import Found
from rcqueue.server.reading import caps
from rcqueue.server.reading.deep import Deep


class Do(StrEnum):
    """What a rule does with a mail that has such an attachment."""

    BLOCK = "block"  #: the mail is rejected
    ISOLATE = "isolate"  #: the mail is held
    STRIP = "strip"  #: the mail is held, and released without the attachment


def _hex(value: str) -> str:
    if not re.fullmatch(rf"(?:[0-9a-f]{{2}}){{1,{caps.HEAD}}}", value.replace(" ", "").lower()):
        raise ValueError(f'1 to {caps.HEAD} bytes in hexadecimal were expected, such as "4d 5a"')
    return value.replace(" ", "").lower()


def _pattern(value: str) -> str:
    if not value or len(value) > 200:
        raise ValueError('a pattern of 1 to 200 characters was expected, such as "*.exe"')
    return value


class AttachmentRule(BaseModel):
    """All that is given must fit. Patterns have `*`, `?` and `[...]`; capital letters are as small ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, AfterValidator(_pattern)] | None = None  #: a pattern on the file's name
    type: Annotated[str, AfterValidator(_pattern)] | None = None  #: a pattern on the type that the mail declares
    magic: Annotated[str, AfterValidator(_hex)] | None = None  #: how its bytes begin, in hexadecimal
    member: Annotated[str, AfterValidator(_pattern)] | None = None  #: on names that a scanner lists within archives
    do: Do

    @model_validator(mode="after")
    def _says_something(self) -> AttachmentRule:
        beside = [self.name, self.type, self.magic]
        if not any((*beside, self.member)):
            raise ValueError("a rule was expected to have a name, type, magic or member")
        if self.member and any(beside):
            raise ValueError("member stands alone: scanners do not say which attachment they list")
        return self

    def __str__(self) -> str:
        said = (("name", self.name), ("type", self.type), ("magic", self.magic), ("member", self.member))
        return " and ".join(f"{key} {value}" for key, value in said if value)

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str] | None, ...]:
        of = (self.name, self.type, self.member)
        return tuple(None if text is None else re.compile(translate(text.lower())) for text in of)

    def fits(self, part: Part) -> bool:
        name, type_, _ = self._patterns
        return (
            not self.member
            and (name is None or bool(name.match(part.name.lower())))
            and (type_ is None or bool(type_.match(part.type.lower())))
            and (self.magic is None or part.head.startswith(bytes.fromhex(self.magic)))
        )

    def fits_member(self, path: str) -> bool:
        """`path` is that of a file within an archive; the pattern is on its last element, or on all of it."""
        member = self._patterns[2]
        path = path.lower()
        return member is not None and bool(member.match(path) or member.match(path.rpartition("/")[2]))


@dataclass(frozen=True, slots=True)
class Part:
    """One attachment. `head`: its first bytes, the transfer encoding undone."""

    name: str
    type: str
    head: bytes = b""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a message has attached. `unread`: why that is not known, or not all of it."""

    parts: tuple[Part, ...] = ()
    unread: str | None = None

    @classmethod
    def of(cls, deep: Deep) -> Contents:
        parts = tuple(
            Part(a.name, a.type, bytes.fromhex(head)) for a, head in zip(deep.attachments, deep.heads, strict=True)
        )
        return cls(parts, deep.degraded if deep.unread else None)


def found(rules: Sequence[AttachmentRule], contents: Contents, members: Iterable[str]) -> list[Found]:
    """What of a message the rules are about, each once a rule; in the order of the message."""
    names = list(dict.fromkeys(members))
    hits = [
        Found(name=part.name or "(no name)", rule=str(rule), action=rule.do)
        for part in contents.parts
        for rule in rules
        if rule.fits(part)
    ]
    hits += [
        Found(name=name, rule=str(rule), action=rule.do) for name in names for rule in rules if rule.fits_member(name)
    ]
    return hits
