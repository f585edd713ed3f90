"""The policy: data in a file of TOML, and what it makes of what the scanners said. Pure; it asks nobody.

[default]
scanners = ["clamav", "spamassassin"]      # whose word counts; all that are configured, if it is not said
virus = "reject"
[default.score.spamassassin]
tag = 5.0
hold = 8.0
reject = 25.0
[default.away]
clamav = "defer"
[[default.attachment]]
name = "*.exe"
do = "block"
[domain."sales.example"]                   # what it does not say is the default's
[domain."sales.example".score.spamassassin]
hold = 12.0
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from rcqueue.server.config import ConfigMistake, Domain, longest_match

from .attachments import AttachmentRule

Away = Literal["hold", "tag", "defer"]
TooLarge = Literal["hold", "tag"]
Threat = Literal["hold", "reject"]


class PolicyMistake(ConfigMistake):
    """The text has one line a mistake: the file, the key, and what was expected there."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Thresholds(_Table):
    """From which score of a scanner on what is done; what is not given is not done."""

    tag: float | None = Field(default=None, allow_inf_nan=False)
    hold: float | None = Field(default=None, allow_inf_nan=False)
    reject: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_order(self) -> Thresholds:
        given = [value for value in (self.tag, self.hold, self.reject) if value is not None]
        if not given or given != sorted(given):
            raise ValueError("some of tag, hold and reject were expected, none below the one before it")
        return self


class Terms(_Table):
    """What is done with the mail of one domain. Every one of the maps goes by the scanner's name."""

    scanners: tuple[str, ...] | None = None  #: None: all
    score: dict[str, Thresholds] = {}
    spam: Literal["tag", "hold", "reject"] = "hold"  #: a scanner without thresholds calls it spam, or one insists
    virus: Threat = "hold"
    phish: Threat = "hold"  #: found by a virus scanner
    suspicious: Threat = "hold"  #: what a virus scanner finds that is no virus: encrypted, with macros
    away: dict[str, Away] = {}
    too_large: dict[str, TooLarge] = {}
    unreadable: TooLarge = "hold"  #: there are attachment rules, and the attachments can't all be read
    attachment: tuple[AttachmentRule, ...] = ()


class _File(_Table):
    default: Terms = Terms()
    domain: dict[Domain, Terms] = {}


class Policy:
    """`aways`: each configured scanner by its name, with what is done when it is away and the policy does not say."""

    def __init__(self, of: _File, aways: Mapping[str, Away]) -> None:
        self._aways = dict(aways)
        self._default = _Named("default", of.default)
        self._domains = {domain: _Named(domain, _over(of.default, terms)) for domain, terms in of.domain.items()}

    def terms(self, recipient: str) -> tuple[str, Terms]:
        """What holds for a recipient, and its name in the file: that of the nearest domain above, or "default"."""
        named = longest_match(self._domains, recipient) or self._default
        return named.name, named.terms

    def scanners(self, recipient: str) -> tuple[str, ...]:
        """Whose word counts."""
        terms = self.terms(recipient)[1]
        return tuple(self._aways) if terms.scanners is None else terms.scanners

    def looks_into(self, recipient: str) -> bool:
        """Whether what is attached matters."""
        return bool(self.terms(recipient)[1].attachment)

    @property
    def has_rules(self) -> bool:
        """Whether there are attachment rules for anybody."""
        return any(named.terms.attachment for named in (self._default, *self._domains.values()))

    def away(self, terms: Terms, scanner: str) -> Away:
        return terms.away.get(scanner) or self._aways.get(scanner, "hold")


class _Named:
    def __init__(self, name: str, terms: Terms) -> None:
        self.name, self.terms = name, terms


def _over(default: Terms, terms: Terms) -> Terms:
    """A domain's terms, with the default's for all that it does not say; maps are joined key by key."""
    merged = {name: getattr(default, name) for name in Terms.model_fields}
    for name in terms.model_fields_set:
        value = getattr(terms, name)
        merged[name] = {**merged[name], **value} if isinstance(value, dict) else value
    return Terms(**merged)


# -- reading ----------------------------------------------------------------------------------------------------------


def parse(text: str, aways: Mapping[str, Away], file: Path | str = "policy.toml") -> Policy:
    """The policy in `text`. Raises PolicyMistake with every mistake at once."""
    try:
        of = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PolicyMistake(f"{file}: TOML was expected: {error}") from None
    except ValidationError as error:
        raise PolicyMistake("\n".join(_mistake(file, details) for details in error.errors())) from None
    unknown = [
        f"{file}: {where}.{key}: there is no scanner {name!r}; {_one_of(aways)} was expected"
        for where, terms in (("default", of.default), *((f"domain.{name}", t) for name, t in of.domain.items()))
        for key in ("scanners", "score", "away", "too_large")
        for name in getattr(terms, key) or ()
        if name not in aways
    ]
    if unknown:
        raise PolicyMistake("\n".join(unknown))
    return Policy(of, aways)


def load(file: Path | None, aways: Mapping[str, Away]) -> Policy:
    """The policy in a file; without one that of no words, under which the scanners' own measures hold."""
    if file is None:
        return Policy(_File(), aways)
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        raise PolicyMistake(f"{file}: can't be read: {error.strerror}; a file of TOML was expected") from None
    except UnicodeDecodeError:
        raise PolicyMistake(f"{file}: TOML in UTF-8 was expected") from None
    return parse(text, aways, file)


def _one_of(names: Mapping[str, object]) -> str:
    return f"one of {', '.join(names)}" if names else "a [[scanner]] of that name in the configuration"


_TABLES: dict[str, type[BaseModel]] = {"score": Thresholds, "attachment": AttachmentRule}


def _mistake(file: Path | str, details: ErrorDetails) -> str:
    keys = details["loc"]
    key = ".".join(str(k + 1) if isinstance(k, int) else k for k in keys if k != "[key]")
    match details["type"]:
        case "extra_forbidden":
            said = f"unknown key; one of {', '.join(_table(keys).model_fields)} was expected"
        case "missing":
            said = "is missing; it is required"
        case "value_error":
            said = str(details["ctx"]["error"])
        case "tuple_type":
            said = "a list was expected"
        case _:
            said = details["msg"].replace("Input should be", "expected", 1)
    return f"{file}: {key}: {said}" if key else f"{file}: {said}"


def _table(keys: tuple[int | str, ...]) -> type[BaseModel]:
    """The table that an unknown key stands in."""
    within = keys[1:] if keys[0] == "default" else keys[2:]
    if len(keys) == 1:
        return _File
    return Terms if len(within) == 1 else _TABLES[str(within[0])]
