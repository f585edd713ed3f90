"""`rcqueue.toml`, and the environment over it: RCQUEUE__HTTP__LISTEN=127.0.0.1:8080 wins over `[http] listen`. What
reads them is config_file; how values are written, config_values. Relative paths are relative to the file's folder.
"""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from rcqueue.model.access import ROLES, ROOT

from .config_values import (
    DAY,
    SECOND,
    Address,
    BaseUrl,
    Bytes,
    CustomerPath,
    Domain,
    Endpoint,
    Listen,
    MailAddress,
    Microseconds,
    Network,
    Sender,
    TimeOfDay,
    Word,
    longest_match,
)

__all__ = ["DAY", "SECOND", "Address"]  # what whoever reads the configuration needs beside it

ENVIRONMENT = "RCQUEUE__"


class ConfigMistake(Exception):
    """The text has one line a mistake: where it stands, the key, and what was expected there."""


# -- the tables of the file -------------------------------------------------------------------------------------------


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Http(_Table):
    listen: Listen = Address("127.0.0.1", 8025)
    cert: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _plain_on_loopback_only(self) -> Http:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together: both were expected, or neither")
        if self.cert is None and not self.listen.is_loopback:
            raise ValueError(f"listen is {self.listen}, which other hosts can reach: cert and key were expected")
        return self


class Smtp(_Table):
    """SMTP in; all but `listen` holds for the other ways in that speak SMTP too."""

    listen: Listen = Address("127.0.0.1", 10025)
    size_limit: Bytes = 50 << 20
    recipient_limit: int = Field(default=1000, ge=100, le=32_000)  #: of one transaction; RFC 5321 asks for 100
    timeout: Microseconds = 300 * SECOND  #: a connection on which nothing comes is ended
    trusted: tuple[Network, ...] = ()  #: hosts that may say which client they have a mail from (XFORWARD, XCLIENT)
    cert: Path | None = None  #: for STARTTLS
    key: Path | None = None

    @model_validator(mode="after")
    def _both(self) -> Smtp:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together: both were expected, or neither")
        return self


class Lmtp(_Table):
    listen: Listen


class Milter(_Table):
    listen: Listen


class Filter(_Table):
    """A content filter: what passes is handed to `reinject` before the mail server is answered."""

    listen: Listen
    reinject: Listen
    timeout: Microseconds = 300 * SECOND  #: for each answer of the server that mail is handed to


class Postfix(_Table):
    """A Postfix on this host whose hold queue is adopted, by its helper (packaging/rcqueue-postfix-helper)."""

    helper: Path  #: the helper's socket
    poll: Microseconds = 5 * SECOND


class Amavis(_Table):
    """The quarantine of an amavis: sent to an address by SMTP, or in a folder."""

    address: str = ""  #: mail to it from a host of `[smtp] trusted` is the quarantine's
    folder: Path | None = None
    poll: Microseconds = 5 * SECOND
    release: Endpoint | None = None  #: where amavis takes AM.PDP: it then releases what came from the folder

    @model_validator(mode="after")
    def _one_at_least(self) -> Amavis:
        if not self.address and self.folder is None:
            raise ValueError("address or folder was expected, or both")
        if self.release is not None and self.folder is None:
            raise ValueError("folder was expected beside release: amavis releases its own files")
        return self


Encryption = Literal["none", "opportunistic", "required", "verify"]


class Tls(NamedTuple):
    """How mail to one next hop is encrypted."""

    mode: Encryption = "opportunistic"
    ca: Path | None = None  #: certificates to trust; None: the system's
    name: str = ""  #: what its certificate has to be for; "": the host of its address


class NextHopAt(_Table):
    """What holds for one next hop alone."""

    address: Listen
    tls: Encryption | None = None  #: None: as for all
    ca: Path | None = None
    name: str = ""


class NextHop(_Table):
    default: Listen = Address("127.0.0.1", 10026)
    domains: dict[Domain, Listen] = {}  #: for mail to these domains and those below them
    tls: Encryption = "opportunistic"
    ca: Path | None = None
    at: tuple[NextHopAt, ...] = ()
    sessions: int = Field(default=10, ge=1, le=100)  #: at once, to each next hop
    give_up: Microseconds = 2 * DAY  #: counted from the first attempt; then back to the hold
    timeout: Microseconds = 300 * SECOND  #: for each answer; RFC 5321 asks for five minutes

    @model_validator(mode="after")
    def _encrypted_as_meant(self) -> NextHop:
        hops = dict.fromkeys((self.default, *self.domains.values()))
        if twice := next((at.address for at in self.at if sum(a.address == at.address for a in self.at) > 1), None):
            raise ValueError(f"at: {twice} is given twice, once was expected")
        for at in self.at:
            if at.address not in hops:
                raise ValueError(f"at: {at.address} is no next hop; one of {', '.join(map(str, hops))} was expected")
            if (at.ca or at.name) and self.tls_of(at.address).mode != "verify":
                raise ValueError(f'at: {at.address} has ca or name: tls = "verify" was expected beside it')
        if self.ca and not any(self.tls_of(hop).mode == "verify" for hop in hops):
            raise ValueError('ca: tls = "verify" was expected beside it')
        return self

    def of(self, recipient: str) -> Address:
        return longest_match(self.domains, recipient) or self.default

    def tls_of(self, hop: Address) -> Tls:
        for at in self.at:
            if at.address == hop:
                return Tls(at.tls or self.tls, at.ca or self.ca, at.name)
        return Tls(self.tls, self.ca)


class Release(_Table):
    #: Whom a release "to postmaster" goes to, and the From of what we make for one; None: postmaster at the domain.
    postmaster: MailAddress | None = None
    tag: Word = "[SPAM]"  #: stands before the subject of a tagged mail
    #: A released mail carries a pass, by which it is not caught again here (server/passes.py).
    passes: bool = Field(default=True, alias="pass")


class Notices(_Table):
    """Notices to recipients about what is held for them."""

    domains: tuple[Domain, ...] = Field(min_length=1)  #: whose recipients get them, and of those below
    sender: Sender = Field(alias="from")
    url: BaseUrl  #: what links begin with: this server as recipients reach it
    at: TimeOfDay = time(7)  #: each day, local time
    subject: str = Field(default="Mail on hold for you", min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
    days: int = Field(default=7, ge=1, le=30)  #: how long links are good

    def asked_for(self, recipient: str) -> bool:
        return longest_match(dict.fromkeys(self.domains, True), recipient) is not None


class DatabaseAt(_Table):
    url: str = ""

    @model_validator(mode="after")
    def _sqlite_only(self) -> DatabaseAt:
        if self.url:
            raise ValueError("url: this version keeps the queue in SQLite in data_dir; no url was expected")
        return self


class HoldTerms(_Table):
    expiry: Microseconds = 14 * DAY
    purge: Microseconds = 7 * DAY
    recall: Microseconds = 10 * SECOND
    passed: Microseconds = 30 * DAY  #: what is known of passed and rejected mail
    acts: Microseconds = 30 * DAY  #: what became of each mail of an act on many, from its end


class Customer(_Table):
    path: CustomerPath
    domains: tuple[Domain, ...] = ()
    claim_locks_body: bool = False


def _role(name: str) -> str:
    if name not in ROLES:
        raise ValueError(f"there is no role {name!r}; one of {', '.join(ROLES)} was expected")
    return name


class ScannerAt(_Table):
    """A scanner: where it is, and how much of it a mail may take."""

    type: Literal["spamassassin", "clamav", "sophos-sssp", "sophos-icap", "rspamd"]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")  #: as the policy names it; its type
    address: Endpoint
    timeout: Microseconds = 30 * SECOND  #: for one mail
    size_limit: Bytes = 25 << 20  #: of one mail; a larger one is not scanned, and the policy's `too_large` is done
    pool: int = Field(default=4, ge=1, le=100)  #: mails at once
    away: Literal["hold", "tag", "defer"] = "hold"  #: done when it gives no answer and the policy does not say
    service: str = Field(default="avscan", pattern=r"^[A-Za-z0-9._/?=&-]+$")  #: sophos-icap: what RESPMOD asks for
    controller: Listen | None = None  #: rspamd: where it learns
    password_file: Path | None = None  #: rspamd: of the controller
    signatures: Path | None = None  #: a folder here: they, or its rules, are as old as the newest file in it

    @model_validator(mode="before")
    @classmethod
    def _named_by_its_type(cls, given: Any) -> Any:
        return {"name": given["type"], **given} if isinstance(given, dict) and "type" in given else given

    @model_validator(mode="after")
    def _fits_its_type(self) -> ScannerAt:
        if self.type == "rspamd" and isinstance(self.address, Path):
            raise ValueError("address: HOST:PORT was expected, rspamd answers over HTTP")
        if self.type != "rspamd" and (self.controller or self.password_file):
            raise ValueError("controller and password_file are of rspamd alone; neither was expected")
        return self


class RulesAt(_Table):
    """Where rule files, or signatures, that are pushed to a scanner are put, and how it is told of them."""

    folder: Path  #: that the scanner reads; the server writes into it
    lint: tuple[str, ...] = ()  #: a program and its arguments, "{folder}" and "{file}" replaced; its own if not said
    reload: tuple[str, ...] = ()  #: a program and its arguments; clamd is told by its own protocol
    pid_file: Path | None = None  #: of spamd: gets SIGHUP instead
    timeout: Microseconds = 60 * SECOND  #: for lint, and for the scanner to know its new rules


class Alerts(_Table):
    """From when on something is an alert."""

    signatures: Microseconds = 48 * 3600 * SECOND  #: older ones, and older rules, are
    down: Microseconds = 60 * SECOND  #: a scanner, next hop or way in that is down so long is
    paused: Microseconds = 3600 * SECOND  #: a next hop that somebody paused so long ago is
    disk: int = Field(default=90, ge=1, le=100)  #: percent of data_dir's disk that may be used


class Config(BaseSettings):
    """All of it, checked: by `load`, or by keywords alone."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix=ENVIRONMENT, env_nested_delimiter="__")

    data_dir: Path
    http: Http = Http()
    smtp: Smtp = Smtp()
    lmtp: Lmtp | None = None
    milter: Milter | None = None
    filter: Filter | None = None
    postfix: Postfix | None = None
    amavis: Amavis | None = None
    next_hop: NextHop = NextHop()
    release: Release = Release()
    notices: Notices | None = None
    database: DatabaseAt = DatabaseAt()
    hold: HoldTerms = HoldTerms()
    customer: tuple[Customer, ...] = ()
    #: By role: how many mails one person may release, or delete, at once. A role that is not named has no cap.
    caps: dict[Annotated[str, AfterValidator(_role)], Annotated[int, Field(ge=1)]] = {}
    scanner: tuple[ScannerAt, ...] = ()
    policy: Path | None = None  #: a file of TOML; without one the scanners' own measures hold
    #: Names under which our own mail servers write Authentication-Results; none: whoever says that DMARC fails counts.
    authserv_ids: tuple[Annotated[str, AfterValidator(str.lower)], ...] = ()
    rules: dict[str, RulesAt] = {}  #: by the scanner's name
    alerts: Alerts = Alerts()

    @model_validator(mode="after")
    def _each_scanner_once(self) -> Config:
        names = [scanner.name for scanner in self.scanner]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"scanner: name {twice!r} is given twice, once was expected")
        return self

    @model_validator(mode="after")
    def _rules_of_scanners(self) -> Config:
        types = {scanner.name: scanner.type for scanner in self.scanner}
        for name, rules in self.rules.items():
            if (type_ := types.get(name)) not in ("spamassassin", "clamav"):
                raise ValueError(f"rules.{name}: the name of a [[scanner]] was expected, of spamassassin or clamav")
            if type_ == "spamassassin" and not rules.reload and rules.pid_file is None:
                raise ValueError(f"rules.{name}: reload or pid_file was expected, or spamd never reads what is pushed")
        return self

    @model_validator(mode="after")
    def _each_customer_once(self) -> Config:
        seen = set()
        for name in (n for c in self.customer for n in (f"path {c.path!r}", *(f"domain {d!r}" for d in c.domains))):
            if name in seen:
                raise ValueError(f"customer: {name} is given twice, once was expected")
            seen.add(name)
        return self

    def customer_of(self, recipient: str) -> str:
        """The path of the customer whose mail this is; of no customer's domain: the root."""
        domains = {domain: customer.path for customer in self.customer for domain in customer.domains}
        return longest_match(domains, recipient) or ROOT

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)
