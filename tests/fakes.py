"""A server of mail in memory, for tests of the terminal: the same calls, rows and entries as the real one, no network.

`Store` is the queue and its journal; `FakeApi` and `FakeFeed` are what a terminal talks to. Time stands still.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from rcqueue.app import Network, Start
from rcqueue.client.answers import ActResults, AuditPage, Login, Person, QueryCounts
from rcqueue.client.desk import EXPIRING
from rcqueue.client.feed import Connected, Entries, Event
from rcqueue.client.http import ApiProblem, Unreachable
from rcqueue.client.outcome import sort_key
from rcqueue.model.access import ROLES
from rcqueue.model.act import ActAnswer, ActBody, ActProgress, ActRequest, MailResult, Reach
from rcqueue.model.facet import Facet, Facets, FacetValue
from rcqueue.model.facts import Facts, MailFacts
from rcqueue.model.health import Health, Wall
from rcqueue.model.ids import encode_mail, encode_message, new_message_id
from rcqueue.model.journal import Entry, Hello, History, MailChange, Step, Timeline
from rcqueue.model.mail import (
    Attachments,
    AuthResult,
    Campaign,
    CampaignClaim,
    Campaigns,
    Dsn,
    Envelope,
    HeaderField,
    Headers,
    Hex,
    MailLine,
    Page,
    Part,
    Receipt,
    ReceiptDetail,
    RoleGrant,
    Row,
    RowClaim,
    RuleHit,
    ScanResult,
    Status,
    Summary,
    Text,
    VerdictDetail,
    VerdictKind,
    Whoami,
    to_us,
)
from rcqueue.model.outgoing import Outgoing
from rcqueue.model.query import Query, matching, parse
from rcqueue.model.saved import SavedFilter

HEX_PAGE = 16 * 1024
NOW = datetime(2026, 3, 14, 3, 0, tzinfo=UTC)


@dataclass
class Mail:
    to: str
    status: Status = Status.ONHOLD
    version: int = 0
    claim: str | None = None
    fence: int = 0


@dataclass
class Message:
    number: int
    at: datetime
    sender: str
    subject: str
    mails: list[Mail]
    score: float | None = None
    verdict: VerdictKind = VerdictKind.SPAM
    size: int = 2048
    rules: list[str] = field(default_factory=list)
    customer: str = "acme/sales"
    kept_for: timedelta = timedelta(days=14)

    @property
    def id(self) -> str:
        return encode_message(self.number)

    @property
    def campaign(self) -> str:
        """What one sender sends belongs together here."""
        return "C" + sha256(self.sender.encode()).hexdigest()[:10].upper()

    @property
    def expiry(self) -> datetime:
        return self.at + self.kept_for

    def facts(self) -> Facts:
        expiry = to_us(self.expiry)
        mails = tuple(MailFacts(n, m.to, m.status, expiry, m.claim) for n, m in enumerate(self.mails))
        return Facts(
            id=self.number,
            at=to_us(self.at),
            size=self.size,
            sender=self.sender,
            from_email=self.sender,
            subject=self.subject,
            score=self.score,
            verdict=self.verdict,
            rules=tuple(self.rules),
            customer=self.customer,
            degraded=None,
            mails=mails,
            campaigns=(self.campaign,),
        )

    def row(self, of: list[Mail]) -> Row:
        held = [m for m in of if m.claim]
        statuses = [m.status for m in of]
        return Row(
            id=self.id,
            timestamp=self.at,
            status=max(sorted(set(statuses)), key=statuses.count),
            expiry=self.expiry,
            fromDomain=self.sender.partition("@")[2],
            fromEmail=self.sender,
            sender=self.sender,
            toEmail=of[0].to,
            matching=len(of),
            recipients=len(self.mails),
            subject=self.subject,
            score=self.score,
            verdict=self.verdict,
            size=self.size,
            rules=self.rules,
            campaign=self.campaign,
            customer=self.customer,
            queue="main",
            claim=RowClaim(
                who=held[0].claim or "", mails=len(held), session="s-" + (held[0].claim or ""), fence=held[0].fence
            )
            if held
            else None,
            version=max(m.version for m in self.mails),
        )


class Store:
    """Every change is one entry in `journal`. Its clock moves when a test moves it."""

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}
        self.journal: list[Entry] = []
        self.now = NOW
        self.health = Health(now=NOW, server="0.1.0", started=NOW - timedelta(hours=4))
        self.beside: dict[str, str] = {}  #: of a campaign, what stands beside it in its term
        self.outgoing = Outgoing(now=NOW, seq=0, mails=[], next_hops=[])
        self.wall = Wall(now=NOW)
        self.expiring = 0  #: mails that expire within a day and nobody has seen
        self.given: dict[tuple[str, str], Any] = {}  #: by message and part, what is answered instead
        self._cursors: dict[str, Any] = {}

    @property
    def seq(self) -> int:
        return len(self.journal)

    def hold(self, sender: str, to: Iterable[str], subject: str, *, at: datetime | None = None, **more: Any) -> Message:
        at = at or self.now
        message = Message(new_message_id(to_us(at), self.seq + 1), at, sender, subject, [Mail(t) for t in to], **more)
        self.messages[message.id] = message
        self.change("mail.hold", "system", message, range(len(message.mails)))
        return message

    def tell(self, kind: str) -> None:
        """An entry that is about no message."""
        self.journal.append(Entry(seq=self.seq + 1, at=self.now, kind=kind, actor="system"))

    def change(self, kind: str, actor: str, message: Message, which: Iterable[int], **to: Any) -> Entry:
        """Sets the attributes `to` on those mails and writes the entry. A status changes the version."""
        seq = self.seq + 1
        mails = []
        for n in which:
            mail = message.mails[n]
            for name, value in to.items():
                setattr(mail, name, value)
            if "status" in to or kind == "mail.hold":
                mail.version = seq
            mails.append(MailChange(id=encode_mail(message.number, n), status=mail.status, version=mail.version))
        entry = Entry(
            seq=seq,
            at=self.now,
            kind=kind,
            message=message.id,
            mails=mails,
            row=message.row(message.mails),
            actor=actor,
        )
        self.journal.append(entry)
        return entry

    def matching(self, query: Query, message: Message) -> list[Mail]:
        return [message.mails[m.n] for m in matching(query, message.facts(), to_us(self.now))]

    def select(self, text: str, sort: str, me: str = "") -> list[Row]:
        """All rows that match, in order."""
        query = parse(text, me=me)
        rows = [m.row(of) for m in self.messages.values() if (of := self.matching(query, m))]
        key, downwards = sort_key(sort)
        return sorted(rows, key=key, reverse=downwards)

    def page(self, text: str, sort: str, limit: int, me: str = "", **where: Any) -> Page:
        rows = self.select(text, sort, me)
        key, downwards = sort_key(sort)

        def count(up_to: Any, *, including: bool) -> int:
            """How many rows come before (or are at) this key."""
            keys = [key(row) for row in rows]
            return sum((k > up_to if downwards else k < up_to) or (including and k == up_to) for k in keys)

        first = 0
        if (cursor := where.get("after")) is not None:
            first = count(self._cursors[cursor], including=True)
        elif (cursor := where.get("before")) is not None:
            end = count(self._cursors[cursor], including=False)
            first, limit = max(0, end - limit), min(limit, end)
        elif (message := where.get("at")) is not None:
            first = count(key(self.messages[message].row(self.messages[message].mails)), including=False)
        elif (time := where.get("time")) is not None:
            when = datetime.fromisoformat(time)
            first = sum((r.timestamp > when) if downwards else (r.timestamp < when) for r in rows)
        elif where.get("end"):
            first = max(0, len(rows) - limit)
        shown = rows[first : first + limit]
        return Page(
            seq=self.seq,
            rows=shown,
            next=self._cursor(key(shown[-1])) if shown and first + limit < len(rows) else None,
            previous=self._cursor(key(shown[0])) if shown and first > 0 else None,
        )

    def rows(self, ids: Iterable[str], text: str, me: str = "") -> Page:
        query = parse(text, me=me)
        asked = [self.messages[i] for i in ids if i in self.messages]
        return Page(seq=self.seq, rows=[m.row(of) for m in asked if (of := self.matching(query, m))])

    def _cursor(self, key: Any) -> str:
        self._cursors[repr(key)] = key
        return repr(key)


def _reach(to: list[str]) -> Reach:
    """Whom mails go to; acme's domains are ours."""
    domains = (one.rpartition("@")[2] for one in to)
    outside = Counter(domain for domain in domains if not domain.endswith("acme.example"))
    return Reach(recipients=len(set(to)), outside=outside.total(), domains=dict(outside))


class FakeApi:
    """The calls of one person's session, on a `Store`. `refuse` makes the next call of that name fail."""

    def __init__(self, store: Store, name: str, roles: list[RoleGrant]) -> None:
        self.store, self.name, self.roles = store, name, roles
        self.token = "token"
        self.locks: list[str] = []
        self.saved: dict[str, SavedFilter] = {}
        self.down = False
        self.calls: list[tuple[Any, ...]] = []
        self.acts_made: dict[str, tuple[ActRequest, ActProgress, list[tuple[Message, int]]]] = {}
        self.left: dict[str, list[MailResult]] = {}  #: of acts made by hand: what they were not done to
        self.step: int | None = None  #: mails of an act done between two looks at it; None: all

    def _call(self, *what: Any) -> None:
        if self.down:
            raise Unreachable("http://mail.example", "connection refused")
        self.calls.append(what)

    async def login(self, name: str, password: str, kind: str, label: str = "") -> Login:
        self._call("login", name, kind)
        if password != "secret":
            raise ApiProblem("unauthorized", 401, "Not signed in", "name or password is wrong")
        return Login(token="token", ends=NOW + timedelta(hours=12), whoami=await self.whoami())

    async def logout(self) -> None:
        self._call("logout")

    async def close(self) -> None:
        pass

    async def whoami(self) -> Whoami:
        self._call("whoami")
        rights = {right for role in self.roles for right in ROLES[role.role].rights}
        return Whoami(
            name=self.name,
            session=f"s-{self.name}",
            roles=self.roles,
            locks=self.locks,
            rights=sorted(rights),
            classes=[],
            customers=["all"],
            api=1,
            server="test",
            journal="J",
        )

    async def page(self, query: str = "", sort: str = "-time", *, limit: int = 100, **where: Any) -> Page:
        self._call("page", query, sort, where)
        return self.store.page(query, sort, limit, self.name, **where)

    async def rows(self, ids: Iterable[str], query: str = "") -> Page:
        self._call("rows", tuple(ids), query)
        return self.store.rows(ids, query, self.name)

    async def health(self) -> Health:
        self._call("health")
        return self.store.health.model_copy(update={"now": self.store.now})

    async def wall(self) -> Wall:
        self._call("wall")
        return self.store.wall

    async def outgoing(self, next_hop: str | None = None, limit: int = 200, after: str | None = None) -> Outgoing:
        self._call("outgoing", after)
        of, start = self.store.outgoing, int(after or 0)
        mails = of.mails[start : start + limit]
        left = len(of.mails) - start - len(mails)
        page = {"mails": mails, "more": 0 if after else of.more + left, "next": str(start + limit) if left else None}
        return of.model_copy(update=page)

    async def set_hop(self, verb: str, hop: str, reason: str, rate: int | None = None) -> None:
        self._call("set_hop", verb, hop, reason, rate)

    async def history(
        self, before: int | None = None, limit: int = 100, of: str | None = None, verb: str | None = None
    ) -> AuditPage:
        self._call("history", before, verb)
        mine = [e for e in reversed(self.store.journal) if e.actor == self.name and verb in (None, e.kind[5:])]
        rows = [e.model_copy(update={"row": self._row_now(e)}) for e in mine]
        return AuditPage(entries=rows[:limit])

    def _row_now(self, entry: Entry) -> Row | None:
        message = self.store.messages.get(entry.message or "")
        return message.row(message.mails) if message is not None else None

    async def counts(self, query: str | None = None) -> QueryCounts:
        self._call("counts", query)
        status: dict[str, int] = {}
        for message in self.store.messages.values():
            for mail in message.mails:
                status[mail.status] = status.get(mail.status, 0) + 1
        if query is None:
            return QueryCounts(seq=self.store.seq, status=status)
        if query == EXPIRING:
            return QueryCounts(seq=self.store.seq, status=status, matching=self.store.expiring)
        asked = parse(query, me=self.name)
        others: dict[str, int] = {}
        for message in self.store.messages.values():
            for mail in self.store.matching(asked.with_statuses(frozenset(Status)), message):
                if mail.status not in asked.statuses:
                    others[mail.status] = others.get(mail.status, 0) + 1
        found = sum(len(self.store.matching(asked, m)) for m in self.store.messages.values())
        return QueryCounts(seq=self.store.seq, status=status, matching=found, others=others)

    async def filters(self) -> list[SavedFilter]:
        self._call("filters")
        return list(self.saved.values())

    async def save_filter(self, name: str, query: str, sort: str = "-time", customer: str | None = None) -> None:
        self._call("save_filter", name, query, sort, customer)
        self.saved[name] = SavedFilter(name=name, query=query, sort=sort, customer=customer, by=self.name, at=NOW)

    async def delete_filter(self, name: str, customer: str | None = None) -> None:
        self._call("delete_filter", name, customer)
        del self.saved[name]

    async def facets(self, query: str = "", **_: Any) -> Facets:
        self._call("facets", query)
        rows = self.store.select(query, "-time", self.name)
        kinds: dict[str, Callable[[Row], list[tuple[str, str]]]] = {
            "sender": lambda row: [(row.fromEmail or "", f"from:{row.fromEmail}")],
            "domain": lambda row: [(row.fromDomain or "", f"from:{row.fromDomain}")],
            "rule": lambda row: [(name, f"rule:{name}") for name in row.rules or ()],
            "verdict": lambda row: [(row.verdict, f"verdict:{row.verdict.lower()}")],
        }
        found = []
        for by, values_of in kinds.items():
            counts: dict[tuple[str, str], int] = {}
            for row in rows:
                for value in values_of(row):
                    counts[value] = counts.get(value, 0) + row.matching
            most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:12]
            values = [FacetValue(value=value, mails=n, term=term) for (value, term), n in most]
            found.append(Facet(by=by, values=values, capped=by == "rule"))
        return Facets(seq=self.store.seq, facets=found)

    async def campaigns(self, query: str = "", *, after: str | None = None, limit: int = 50) -> Campaigns:
        self._call("campaigns", query, after)
        found: dict[str, Campaign] = {}
        asked = parse(query, me=self.name)
        for id in sorted(self.store.messages, reverse=True):
            message = self.store.messages[id]
            of = self.store.matching(asked, message)
            if message.campaign in found:
                found[message.campaign].mails += len(of)
            elif of:
                found[message.campaign] = self._campaign(message, len(of))
        names = list(found)
        first = names.index(after) + 1 if after is not None else 0
        shown = names[first : first + limit]
        more = shown[-1] if first + limit < len(names) else None
        return Campaigns(seq=self.store.seq, campaigns=[found[name] for name in shown], next=more)

    def _campaign(self, message: Message, mails: int) -> Campaign:
        its = [m for _, m in sorted(self.store.messages.items(), reverse=True) if m.campaign == message.campaign]
        all_of_it = [mail for m in its for mail in m.mails]
        claims = Counter(mail.claim for mail in all_of_it if mail.claim)
        return Campaign(
            id=message.campaign,
            term=f"campaign:{message.campaign}{self.store.beside.get(message.campaign, '')}",
            mails=mails,
            first=its[-1].at,
            last=its[0].at,
            status=Counter(mail.status for mail in all_of_it),
            verdict=message.verdict,
            subjects=list(dict.fromkeys(m.subject for m in its))[:3],
            fromDomains=[message.sender.partition("@")[2]],
            toEmails=list(dict.fromkeys(mail.to for mail in all_of_it))[:3],
            claims=[CampaignClaim(who=who, mails=n) for who, n in claims.most_common()],
        )

    async def summary(self, id: str, query: str | None = None) -> Summary:
        self._call("summary", id)
        m = self.store.messages[id]
        fields = [
            ("From", m.sender),
            ("To", m.mails[0].to),
            ("Subject", m.subject),
            ("Date", "Sat, 14 Mar 2026 03:00:00 +0000"),
        ]
        auth = [
            AuthResult(method=method, result=result, by="mx.acme.example", said=False)
            for method, result in (("spf", "fail"), ("dkim", "none"), ("dmarc", "fail"))
        ]
        headers = Headers(id=id, fields=[HeaderField(name=n, value=v) for n, v in fields], withheld=2, auth=auth)
        points = [RuleHit(name=n, points=3.5 - i, description="Bayes says spam") for i, n in enumerate(m.rules)]
        return Summary(
            row=m.row(m.mails),
            headers=self.store.given.get((id, "headers"), headers),
            verdict=VerdictDetail(
                id=id,
                verdict=m.verdict,
                score=m.score,
                required=5.0,
                reason="spamassassin: 8.1 of 5",
                rules=points,
                scans=[
                    ScanResult(
                        scanner="spamassassin", kind="SPAM", score=m.score, required=5.0, rules=points, seconds=0.42
                    ),
                    ScanResult(scanner="clamav", error="no answer within 5 s", seconds=5.0),
                    ScanResult(scanner="sophos", skipped="14000 bytes, over size_limit, 10000"),
                ],
            ),
        )

    async def part(self, id: str, part: str) -> Any:
        self._call("part", id, str(part))
        m = self.store.messages[id]
        if (given := self.store.given.get((id, str(part)))) is not None:
            return given
        match Part(part):
            case Part.RECEIPT:
                received = Receipt(
                    at=m.at,
                    client="203.0.113.7",
                    port=40112,
                    name="mail.acrne.example",
                    helo="mail.acrne.example",
                    protocol="ESMTPS",
                    ident="4F2Z1x0PQz",
                    forwarded_by="192.0.2.1",
                    dsn=Dsn(mail="RET=HDRS ENVID=QQ314159"),
                    tls="TLSv1.3",
                    sender=m.sender,
                    recipients=[mail.to for mail in m.mails],
                    size=m.size,
                    authentication=["mx.acme.example; spf=fail smtp.mailfrom=acrne.example; dkim=none; dmarc=fail"],
                )
                return ReceiptDetail(id=id, receipt=received, origin="milter")
            case Part.HISTORY:
                return History(id=id, entries=[e for e in self.store.journal if e.message == id])
            case Part.TIMELINE:
                return Timeline(id=id, steps=self._way(m))
            case Part.ATTACHMENTS:
                return Attachments(id=id, attachments=[])
            case Part.TEXT:
                return Text(id=id, text="Dear customer,\n\nyour password expires today.")
            case Part.ENVELOPE:
                lines = []
                for n, x in enumerate(m.mails):
                    claim = RowClaim(who=x.claim, mails=1, session=f"s-{x.claim}", fence=x.fence) if x.claim else None
                    mail = MailLine(id=encode_mail(m.number, n), toEmail=x.to, status=x.status, version=x.version)
                    lines.append(mail.model_copy(update={"expiry": m.expiry, "claim": claim}))
                return Envelope(id=id, sender=m.sender, mails=lines)
        raise AssertionError(part)

    async def hex(self, id: str, at: int) -> Hex:
        self._call("hex", id, at)
        raw = self.store.given[id, "hex"]
        return Hex(id=id, at=at, size=len(raw), data=raw[at : at + HEX_PAGE].hex())

    def _way(self, m: Message) -> list[Step]:
        client = "mail.acrne.example, helo mail.acrne.example, ESMTPS, TLSv1.3, through 192.0.2.1 as 4F2Z1x0PQz, milter"
        hop = "from [10.0.0.7] with ESMTPSA id 77AE for <sales@acme.example>"
        said = [("spamassassin", "SPAM, 8.1 of 5, 0.42 s"), ("clamav", "away: no answer within 5 s, 5.00 s")]
        data = f"from <{m.sender}> to {len(m.mails)} recipients, {m.size} bytes"
        steps = [
            Step(at=m.at - timedelta(days=1), what="hop", who="mail.acrne.example", detail=hop, hearsay=True),
            Step(at=m.at - timedelta(seconds=2), what="connect", who="203.0.113.7", detail=client),
            Step(at=m.at - timedelta(seconds=1), what="data", detail=data),
            *(Step(what="scan", who=scanner, detail=what) for scanner, what in said),
            Step(at=m.at, what="decision", who="policy", detail="PHISH: spamassassin: 8.1 of 5"),
        ]
        for entry in (e for e in self.store.journal if e.message == m.id):
            of = f"all {len(m.mails)} mails" if len(entry.mails) == len(m.mails) > 1 else ""
            detail = "; ".join(filter(None, (of, entry.note)))
            steps.append(Step(at=entry.at, what=entry.kind, who=entry.actor, detail=detail, seq=entry.seq))
        return steps

    async def act(self, id: str, verb: str, body: ActBody | None = None, *, key: str | None = None) -> ActAnswer:
        body = body or ActBody()
        self._call("act", id, verb, body)
        message = self.store.messages[id[:13]]
        which = [n for n in range(len(message.mails)) if len(id) == 13 or encode_mail(message.number, n) == id]
        held = [m.claim for n, m in enumerate(message.mails) if n in which and m.claim not in (None, self.name)]
        if held and verb != "takeover":
            raise ApiProblem("claimed", 409, "Claimed", f"{held[0]} holds it", {"by": held[0]})
        if body.as_of is not None and any(message.mails[n].version > body.as_of for n in which):
            raise ApiProblem("changed", 409, "Changed", "it changed")
        entry = self._do(verb, message, which, body.note)
        until = self.store.now + timedelta(seconds=10) if verb == "release" else None
        results = [MailResult(id=encode_mail(message.number, n), result="done") for n in which]
        return ActAnswer(seq=entry.seq, fence=entry.seq, done=len(which), results=results, recall_until=until)

    def _do(self, verb: str, message: Message, which: list[int], note: str = "") -> Entry:
        to: dict[str, Any] = {
            "claim": {"claim": self.name},
            "takeover": {"claim": self.name},
            "unclaim": {"claim": None},
            "release": {"status": Status.RELEASING, "claim": None},
            "recall": {"status": Status.ONHOLD},
            "delete": {"status": Status.DELETED, "claim": None},
            "restore": {"status": Status.ONHOLD},
        }.get(verb, {})
        return self.store.change(f"mail.{verb}", self.name, message, which, **to)

    async def store_act(self, request: ActRequest, *, key: str | None = None) -> ActProgress:
        self._call("store_act", request)
        if request.ids is not None:
            chosen = [
                (self.store.messages[i], n) for i in request.ids for n in range(len(self.store.messages[i].mails))
            ]
        else:
            asked = parse(request.query or "", me=self.name)
            chosen = [
                (m, m.mails.index(mail)) for m in self.store.messages.values() for mail in self.store.matching(asked, m)
            ]
        act = ActProgress(
            id=f"A{len(self.acts_made)}",
            verb=request.verb,
            state="stored",
            as_of=self.store.seq,
            count=len(chosen),
            who=self.name,
            created=NOW,
            sample=[f"{m.sender}  {m.mails[n].to}  {m.subject}" for m, n in chosen[:5]],
            reach=_reach([m.mails[n].to for m, n in chosen]),
        )
        self.acts_made[act.id] = (request, act, chosen)
        return act.model_copy()

    async def confirm_act(self, id: str, expect: int, *, key: str | None = None) -> ActProgress:
        self._call("confirm_act", id, expect)
        self.acts_made[id][1].state = "running"
        return await self.act_progress(id)

    async def act_progress(self, id: str) -> ActProgress:
        request, act, chosen = self.acts_made[id]
        for message, n in chosen[act.tried : None if self.step is None else act.tried + self.step]:
            if act.state != "running":
                break
            act.tried += 1
            result = "done" if message.mails[n].claim in (None, self.name) else "claimed"
            act.results[result] = act.results.get(result, 0) + 1
            if result == "done":
                act.done += 1
                self._do(request.verb, message, [n])
        if act.state == "running" and act.tried == act.count:
            act.state = "done"
        return act.model_copy(deep=True)

    async def stop_act(self, id: str) -> ActProgress:
        self._call("stop_act", id)
        self.acts_made[id][1].state = "stopped"
        return self.acts_made[id][1].model_copy()

    async def undo_act(self, id: str, *, key: str | None = None) -> ActProgress:
        self._call("undo_act", id)
        request, _, chosen = self.acts_made[id]
        verb = {"release": "recall", "delete": "restore"}[request.verb]
        undo = ActRequest(verb=verb, ids=[message.id for message, _ in chosen])
        stored = await self.store_act(undo)
        mine = self.acts_made[stored.id]
        mine[2][:] = [(message, n) for message, n in chosen if message.mails[n].claim in (None, self.name)]
        mine[1].count, mine[1].undoes = len(mine[2]), id
        return await self.confirm_act(stored.id, mine[1].count)

    async def act_results(
        self, id: str, after: str | int | None = None, limit: int = 500, *, left: bool = False
    ) -> ActResults:
        self._call("act_results", id)
        _, act, chosen = self.acts_made[id]
        results = list(self.left.get(id, ())) if after is None else []
        for message, n in chosen[: act.tried] if after is None else ():
            by = message.mails[n].claim
            if by not in (None, self.name):
                mail = f"{message.sender}  {message.mails[n].to}  {message.subject}"
                detail = f"{by} holds it"
                id = encode_mail(message.number, n)
                one = MailResult(id=id, result="claimed", status=Status.ONHOLD, by=by, detail=detail, mail=mail)
                results.append(one)
        return ActResults(results=results)

    async def acts(self) -> list[ActProgress]:
        return [act for _, act, _ in self.acts_made.values()]

    async def audit(self, since: int | None = None, limit: int = 500, **_: Any) -> AuditPage:
        return AuditPage(entries=self.store.journal[since or 0 :][:limit])

    async def people(self) -> list[Person]:
        self._call("people")
        return [
            Person(name="anna", roles=[RoleGrant(role="admin", customer="all")], sessions=1),
            Person(name="bob", roles=[RoleGrant(role="operator", customer="acme")], sessions=2),
            Person(name="carol", roles=[RoleGrant(role="blind", customer="all")], locks=["bodies"]),
        ]

    async def change_person(self, name: str, verb: str, arguments: dict[str, str] | None = None) -> None:
        self._call("change_person", name, verb, arguments)

    async def set_password(self, name: str, password: str) -> None:
        self._call("set_password", name, password)

    async def create_person(self, name: str, password: str, roles: list[RoleGrant]) -> None:
        self._call("create_person", name, password, roles)


class FakeFeed:
    """The journal of a `Store` as it grows; `events_now` puts any other event in between."""

    def __init__(self, store: Store, since: int | None) -> None:
        self.store = store
        self.seq = store.seq if since is None else since
        self.presence: list[tuple[str | None, str]] = []
        self.events_now: asyncio.Queue[Event] = asyncio.Queue()
        self.held_up = False

    async def events(self) -> AsyncIterator[Event]:
        yield Connected(Hello(api=1, server="test", journal="J"))
        while True:
            while not self.events_now.empty():
                yield self.events_now.get_nowait()
            if not self.held_up and self.store.seq > self.seq:
                entries = self.store.journal[self.seq :]
                first, self.seq = self.seq + 1, self.store.seq
                yield Entries(first, self.seq, entries)
            await asyncio.sleep(0.005)

    async def send_presence(self, message: str | None, pane: str = "") -> None:
        self.presence.append((message, pane))

    async def close(self) -> None:
        pass


class FakeNetwork(Network):
    """What a terminal in a test talks to. `api_of` and `feed_of` are the ones that it made."""

    def __init__(self, store: Store, name: str = "anna", role: str = "admin") -> None:
        self.store = store
        self.made = FakeApi(store, name, [RoleGrant(role=role, customer="all")])
        self.feeds: list[FakeFeed] = []
        self.idle: Callable[[], float] = lambda: 0.0

    async def load(self) -> None:
        pass

    def api(self, start: Start) -> Any:
        return self.made

    def feed(
        self, start: Start, token: str | None, since: int | None, journal: str | None, idle: Callable[[], float]
    ) -> Any:
        self.idle = idle
        self.feeds.append(FakeFeed(self.store, since))
        return self.feeds[-1]
