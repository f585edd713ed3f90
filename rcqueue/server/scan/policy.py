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
[default.points.spamassassin]              # instead of those that the scanner gives for a rule that hits
URIBL_BLACK = 3.5
[[default.attachment]]
name = "*.exe"
do = "block"
[domain."sales.example"]                   # what it does not say is the default's
[domain."sales.example".score.spamassassin]
hold = 12.0

Over it stand what people set while the server runs: thresholds, and points of single rules (`Policy.under`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from rcqueue.server.config import ConfigMistake
from rcqueue.server.config_values import Domain, longest_match

from .attachments import AttachmentRule

Away = Literal["hold", "tag", "defer"]
TooLarge = Literal["hold", "tag"]
Threat = Literal["hold", "reject"]
MOST_POINTS = 10_000.0
RuleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
Points = Annotated[float, Field(ge=-MOST_POINTS, le=MOST_POINTS)]

#: What people set over the file: by scope ("default", or a domain of the file) and key ("score.spamd.hold").
Settings = Mapping[tuple[str, str], float]
DEFAULT = "default"
THRESHOLDS = ("tag", "hold", "reject")


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
    points: dict[str, dict[RuleName, Points]] = {}  #: by scanner and rule
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
    """`aways`: each configured scanner by its name, with what is done when it is away and the policy does not say.
    `faults`: settings that do not fit the file, with the reason; what the file says holds in their stead."""

    def __init__(self, of: _File, aways: Mapping[str, Away], settings: Settings | None = None) -> None:
        self._file, self._aways = of, dict(aways)
        self.settings = dict(settings or {})
        self.faults: dict[tuple[str, str], str] = {}
        edited = self._edited()
        self._default = _Named(DEFAULT, edited.default, self._set_at(DEFAULT))
        self._domains = {
            domain: _Named(domain, _over(edited.default, terms), self._set_at(domain))
            for domain, terms in edited.domain.items()
        }

    def under(self, settings: Settings) -> Policy:
        """The file's policy with these settings over it, instead of those that there are."""
        return Policy(self._file, self._aways, settings)

    @property
    def scopes(self) -> tuple[str, ...]:
        return (DEFAULT, *self._domains)

    def at(self, scope: str) -> Terms:
        """The terms of a scope, settings included."""
        return (self._default if scope == DEFAULT else self._domains[scope]).terms

    def terms(self, recipient: str) -> tuple[str, Terms]:
        """What holds for a recipient, and its name in the file: that of the nearest domain above, or "default"."""
        named = self._named(recipient)
        return named.name, named.terms

    def set_for(self, recipient: str) -> Mapping[str, float]:
        """The settings that hold for a recipient, by key."""
        return self._named(recipient).settings

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

    def _named(self, recipient: str) -> _Named:
        return longest_match(self._domains, recipient) or self._default

    # -- settings

    def with_setting(self, scope: str, key: str, value: float | None) -> Policy:
        """With one more setting; None takes one back. Raises PolicyMistake: it, or another by it, would not fit."""
        where = (scope, key)
        if value is None and where not in self.settings:
            raise PolicyMistake(f"{key} is not set for {scope}: there is nothing to take back")
        settings = {name: old for name, old in self.settings.items() if name != where}
        changed = self.under(settings if value is None else {**settings, where: value})
        if broken := [fault for name, fault in changed.faults.items() if name not in self.faults or name == where]:
            raise PolicyMistake(broken[0])
        return changed

    def in_file(self, scope: str, key: str) -> float | None:
        """What the file says in the place of a setting."""
        kind, scanner, name = _key(key)
        if scope != DEFAULT and scope not in self._file.domain:
            return None
        default = self._file.default
        terms = default if scope == DEFAULT else _over(default, self._file.domain[scope])
        if kind == "points":
            return terms.points.get(scanner, {}).get(name)
        found: float | None = getattr(terms.score.get(scanner), name, None)
        return found

    def _edited(self) -> _File:
        """The file with the settings in it; those of one scope and scanner fit together, or none of them holds."""
        groups: dict[tuple[bool, str, str, str], dict[str, float]] = {}
        for (scope, key), value in self.settings.items():
            try:
                kind, scanner, name = _key(key)
            except PolicyMistake as mistake:
                self.faults[scope, key] = str(mistake)
            else:
                groups.setdefault((scope != DEFAULT, scope, kind, scanner), {})[name] = value
        edited = self._file
        for (_, scope, kind, scanner), values in sorted(groups.items()):
            try:
                edited = self._edit(edited, scope, kind, scanner, values)
            except PolicyMistake as mistake:
                self.faults |= {(scope, f"{kind}.{scanner}.{name}"): str(mistake) for name in values}
        return edited

    def _edit(self, of: _File, scope: str, kind: str, scanner: str, values: dict[str, float]) -> _File:
        if scope != DEFAULT and scope not in of.domain:
            raise PolicyMistake(f"scope {scope!r}: one of {', '.join((DEFAULT, *of.domain))} was expected")
        if scanner not in self._aways:
            raise PolicyMistake(f"there is no scanner {scanner!r}; {_one_of(self._aways)} was expected")
        terms = of.default if scope == DEFAULT else of.domain[scope]
        table: dict[str, Any] = getattr(terms, kind)
        if kind == "score":
            said = table.get(scanner) or of.default.score.get(scanner)
            of_scanner: Any = _thresholds(scanner, {**(said.model_dump(exclude_none=True) if said else {}), **values})
        else:
            of_scanner = {**table.get(scanner, {}), **values}
            if unfit := next((n for n, points in values.items() if not abs(points) <= MOST_POINTS), None):
                raise PolicyMistake(f"points.{scanner}.{unfit}: at most {MOST_POINTS:g} were expected")
        terms = terms.model_copy(update={kind: {**table, scanner: of_scanner}})
        if scope == DEFAULT:
            return of.model_copy(update={"default": terms})
        return of.model_copy(update={"domain": {**of.domain, scope: terms}})

    def _set_at(self, scope: str) -> dict[str, float]:
        """The settings that hold in a scope. The default's thresholds don't, where its domain has its own."""
        holds = {where: value for where, value in self.settings.items() if where not in self.faults}
        own = self._file.domain[scope].score if scope != DEFAULT else {}
        inherited = {
            key: value
            for (where, key), value in holds.items()
            if where == DEFAULT and not (key.startswith("score.") and key.split(".")[1] in own)
        }
        return inherited | {key: value for (where, key), value in holds.items() if where == scope}


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    terms: Terms
    settings: Mapping[str, float] = field(default_factory=dict)


_KEY = re.compile(r"score\.([a-z0-9_-]{1,40})\.(tag|hold|reject)|points\.([a-z0-9_-]{1,40})\.([A-Za-z0-9_.-]{1,100})")


def _key(key: str) -> tuple[str, str, str]:
    """(score or points, scanner, threshold or rule). Raises PolicyMistake."""
    found = _KEY.fullmatch(key)
    if found is None:
        raise PolicyMistake(f"key {key!r}: score.SCANNER.{'|'.join(THRESHOLDS)} or points.SCANNER.RULE was expected")
    return ("score", found[1], found[2]) if found[1] else ("points", found[3], found[4])


def _thresholds(scanner: str, values: Mapping[str, float]) -> Thresholds:
    try:
        return Thresholds(**values)
    except ValidationError as error:
        said = ", ".join(f"{name} = {values[name]:g}" for name in THRESHOLDS if name in values)
        raise PolicyMistake(f"score.{scanner} would be {said}: {_said(error.errors()[0])}") from None


def _over(default: Terms, terms: Terms) -> Terms:
    """A domain's terms, with the default's for all that it does not say; maps are joined key by key."""
    merged = {name: getattr(default, name) for name in Terms.model_fields}
    for name in terms.model_fields_set:
        merged[name] = _joined(merged[name], getattr(terms, name))
    return Terms(**merged)


def _joined(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _joined(below.get(key), value) for key, value in above.items()}


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
        for key in ("scanners", "score", "points", "away", "too_large")
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
    said = _said(details)
    return f"{file}: {key}: {said}" if key else f"{file}: {said}"


def _said(details: ErrorDetails) -> str:
    match details["type"]:
        case "extra_forbidden":
            return f"unknown key; one of {', '.join(_table(details['loc']).model_fields)} was expected"
        case "missing":
            return "is missing; it is required"
        case "value_error":
            return str(details["ctx"]["error"])
        case "tuple_type":
            return "a list was expected"
        case _:
            return details["msg"].replace("Input should be", "expected", 1)


def _table(keys: tuple[int | str, ...]) -> type[BaseModel]:
    """The table that an unknown key stands in."""
    within = keys[1:] if keys[0] == "default" else keys[2:]
    if len(keys) == 1:
        return _File
    return Terms if len(within) == 1 else _TABLES[str(within[0])]
