"""Random stores: facts of messages in plain Python, and the same written to a database as intake and marshal would."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from contextlib import contextmanager
from functools import cache

from sqlalchemy import Connection, create_engine, event, insert
from sqlalchemy.pool import StaticPool

from rcqueue.model.access import Access, Grant
from rcqueue.model.facts import Facts, MailFacts
from rcqueue.model.fields import STATUSES, VERDICTS
from rcqueue.model.folding import domain_of
from rcqueue.model.ids import new_message_id
from rcqueue.server.store import tables as t
from rcqueue.server.store.query_sql import terms_of, words_of

NOW = 1_790_000_000_000_000
HOUR = 3_600_000_000
PEOPLE = {"anna": 1, "bert": 2, "cora": 3}
CUSTOMERS = ("all", "acme", "acme/sales", "acme/sales/eu", "acme-old", "zeta", "Acme")
DOMAINS = (
    "gmail.com",
    "mail.gmail.com",
    "notgmail.com",
    "example.org",
    "ex_mple.org",
    "Example.ORG",
    "b%c.de",
    "MÜNCHEN.example",
)
LOCALS = ("anna", "Anna", "sales", "a_b", "a%b", "münchen", "x/y")
SUBJECTS = (
    "Invoice 7",
    "invoice 70",
    "INVOICE 7",
    "Straße 100%",
    "STRASSE",
    "İstanbul",
    "cafe\u0301",
    "café",
    "a_b",
    "axb",
    'say "hi"',
    "back\\slash",
    "status:onhold",
    "-minus",
    "",
    "x" * 70 + "tail",
    "x" * 70 + "Tale",
    "日本語の件名",
    "a\u2028b \U0001f4e8 it''s",
    'NEAR("a" OR b*) AND ^c',
)
CAMPAIGNS = tuple(f"{kind}{name:A>10}" for kind in "CE" for name in ("1", "2", "3"))
RULES = ("URIBL_BLACK", "URIBL_BLACKER", "BAYES_99", "bayes_99", "uribl-black", 'a"BAYES_99"b', "ſPAM")
EVERYWHERE = Access(1, "anna", 1, (Grant("admin", "all"),))


def address(rnd: random.Random) -> str:
    return f"{rnd.choice(LOCALS)}@{rnd.choice(DOMAINS)}"


def message(rnd: random.Random, seq: int) -> Facts:
    at = NOW - rnd.choice((0, 1000, rnd.randrange(3 * HOUR), rnd.randrange(400 * HOUR)))
    many = rnd.choice((1, 1, 1, 2, 3))
    statuses = [rnd.choice(STATUSES)] * many if rnd.random() < 0.5 else rnd.choices(STATUSES, k=many)
    if rnd.random() < 0.5:
        statuses = ["ONHOLD"] * many
    rcpts: dict[str, None] = {}
    while len(rcpts) < many:
        rcpts[address(rnd)] = None
    mails = tuple(
        MailFacts(
            n,
            rcpt,
            status,
            NOW + rnd.choice((-HOUR, HOUR, 23 * HOUR, 24 * HOUR, 300 * HOUR)),
            rnd.choice((*PEOPLE, None, None)) if status == "ONHOLD" else None,
            NOW - rnd.choice((0, HOUR, 30 * HOUR)) if status == "ONHOLD" and rnd.random() < 0.3 else None,
        )
        for n, (rcpt, status) in enumerate(zip(rcpts, statuses, strict=True))
    )
    sender = rnd.choice(("", address(rnd), address(rnd)))
    return Facts(
        id=new_message_id(at, seq),
        at=at,
        size=rnd.choice((100, 1024, 1024**2, 5 * 1024**2)),
        sender=sender,
        from_email=rnd.choice((sender, address(rnd), address(rnd))),
        subject=rnd.choice(SUBJECTS),
        score=rnd.choice((None, -2.5, 0.0, 5.0, 8.0, 8.5, 20.0)),
        verdict=rnd.choice(VERDICTS),
        rules=tuple(rnd.sample(RULES, rnd.randrange(4))),
        customer=rnd.choice(CUSTOMERS),
        degraded=rnd.choice((None, None, "no end of a part")),
        campaigns=(rnd.choice(CAMPAIGNS[:3]), rnd.choice(CAMPAIGNS[3:])),
        mails=mails,
        seen=frozenset(rnd.sample(list(PEOPLE), rnd.choice((0, 0, 1, 2)))),
    )


def row_of(facts: Facts) -> dict[str, object]:
    held = [m.expiry for m in facts.mails if m.status == "ONHOLD"]
    rcpts = [m.rcpt for m in facts.mails]
    row: dict[str, object] = {
        "id": facts.id,
        "queue": "main",
        "customer": facts.customer,
        "sha256": b"",
        "at": facts.at,
        "size": facts.size,
        "sender": facts.sender,
        "from_email": facts.from_email,
        "from_domain": domain_of(facts.from_email),
        "subject": facts.subject,
        "first_rcpt": rcpts[0],
        "score": facts.score,
        "verdict": facts.verdict,
        "rules": json.dumps(facts.rules, ensure_ascii=False),
        "degraded": facts.degraded,
        "recipients": len(rcpts),
        **{s.lower(): sum(m.status == s for m in facts.mails) for s in STATUSES},
        "requested": sum(m.requested is not None for m in facts.mails),
        "next_expiry": min(held, default=None),
        "version": 1,
        "purged": None,
        "campaign": facts.campaigns[0],
        "campaign_open": facts.campaigns[1],
    }
    row["words"] = words_of(row, rcpts)
    return row


def write(connection: Connection, messages: Iterable[Facts]) -> None:
    """Writes messages, their mails, claims, postings, and what they add to the kept counters."""
    names = ("message", "mail", "claim", "posting", "seen", "tally", "campaign_mails")
    rows: dict[str, list[dict[str, object]]] = {name: [] for name in names}
    of_campaigns: dict[tuple[str, str], dict[str, int]] = {}
    tally: dict[tuple[str, str, str], int] = {}
    for facts in messages:
        row = row_of(facts)
        rows["message"].append(row)
        terms = terms_of(row, [m.rcpt for m in facts.mails])
        rows["posting"] += [{"term": term, "message": facts.id} for term in terms]
        rows["seen"] += [{"message": facts.id, "account": PEOPLE[who], "at": NOW, "how": 0} for who in facts.seen]
        for campaign in facts.campaigns:
            counted = of_campaigns.setdefault(
                (campaign, facts.customer), {"first": facts.id, "last": facts.id, **dict.fromkeys(t.STATUSES, 0)}
            )
            counted["first"], counted["last"] = min(counted["first"], facts.id), max(counted["last"], facts.id)
            for m in facts.mails:
                counted[m.status.lower()] += 1
        for m in facts.mails:
            key = (facts.customer, m.status, facts.verdict)
            tally[key] = tally.get(key, 0) + 1
            base = {"message": facts.id, "n": m.n}
            rows["mail"].append(
                base
                | {"rcpt": m.rcpt, "rcpt_domain": domain_of(m.rcpt), "status": m.status, "expiry": m.expiry}
                | {"version": 1, "tries": 0, "reply": "", "requested": m.requested}
            )
            if m.claim is not None:
                who = PEOPLE[m.claim]
                rows["claim"].append(base | {"session": 10 + who, "account": who, "fence": 5 + m.n, "at": NOW})
    rows["tally"] = [{"customer": c, "status": s, "verdict": v, "n": n} for (c, s, v), n in tally.items()]
    rows["campaign_mails"] = [{"campaign": c, "customer": at} | n for (c, at), n in of_campaigns.items()]
    for name, some in rows.items():
        if some:
            connection.execute(insert(t.metadata.tables[name]), some)


def empty_engine():
    engine = create_engine("sqlite://", poolclass=StaticPool)

    @event.listens_for(engine, "connect")
    def _connect(connection, _record) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection) -> None:
        connection.exec_driver_sql("BEGIN")

    t.metadata.create_all(engine)
    return engine


_in_memory = cache(empty_engine)


@contextmanager
def store(messages: Iterable[Facts]):
    """A connection, in a transaction that is not kept, to a database in memory that holds these messages."""
    with _in_memory().connect() as connection, connection.begin() as transaction:
        people = [{"id": i, "name": name, "enabled": True, "created": 0} for name, i in PEOPLE.items()]
        connection.execute(insert(t.account), people)
        write(connection, messages)
        yield connection
        transaction.rollback()


def messages(rnd: random.Random, count: int) -> list[Facts]:
    return [message(rnd, seq) for seq in range(1, count + 1)]


def term(rnd: random.Random) -> str:
    """A random term, of any field, that is likely to hold for some messages and not for others."""
    op = rnd.choice(("<", "<=", ">", ">="))
    cut = rnd.choice(SUBJECTS)
    part = cut[: rnd.randrange(1, 9)] or "x"
    quoted = '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
    domain = rnd.choice((*DOMAINS, "münchen.example", "com", "org", "rg", "mail.com"))
    choices = (
        "status:" + ",".join(rnd.sample([s.lower() for s in STATUSES], rnd.randrange(1, 4))),
        "status:any",
        f"from:{domain}",
        f"from:{address(rnd)}",
        "from:<>",
        f"to:{domain}",
        f"to:{address(rnd)}",
        f"subject:{quoted}" if part.strip() else "subject:invoice",
        f"score:{op}{rnd.choice((-2.5, 0, 8, 8.5))}",
        "score:8",
        f"size:{op}{rnd.choice(('1K', '1M', '100', '5M'))}",
        "size:1K",
        "verdict:" + ",".join(rnd.sample([v.lower() for v in VERDICTS], rnd.randrange(1, 4))),
        f"rule:{rnd.choice(RULES[:5])}",
        f"customer:{rnd.choice(CUSTOMERS)}",
        "campaign:" + ",".join(rnd.sample(CAMPAIGNS, rnd.choice((1, 1, 2)))),
        f"age:{op}{rnd.choice(('1h', '2d', '1s', '0s'))}",
        f"at:{op}2026-09-21T12:00Z",
        f"expires:{op}{rnd.choice(('1h', '1d', '2w', '0s'))}",
        f"claim:{rnd.choice((*PEOPLE, 'me', 'none', 'any', 'nobody'))}",
        f"seen:{rnd.choice((*PEOPLE, 'me', 'none', 'any', 'nobody'))}",
        f"requested:{rnd.choice(('yes', 'no', op + '1h', op + '1d'))}",
        f"degraded:{rnd.choice(('yes', 'no'))}",
        quoted if part.strip() else "invoice",
        rnd.choice(("gmail", "anna@", "@ex_mple", "münchen", "7", "%")),
    )
    return rnd.choice(("", "", "-")) + rnd.choice(choices)


def query_text(rnd: random.Random, most: int = 3) -> str:
    return " ".join(term(rnd) for _ in range(rnd.randrange(most + 1)))
