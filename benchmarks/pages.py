"""Pages of a queue with 10,000 and with 100,000 messages on hold: a page must not cost more because there is more.

For each sort, and each indexed term at several densities, the medians of both and their ratio; both stores are asked in
turn, so that load on the machine falls on both. What no index serves must answer within its time, `partial`.

    python -m benchmarks.pages
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert

from benchmarks.figures import Figure
from rcqueue.model.access import Access, DataClass, Grant
from rcqueue.model.fields import STATUSES
from rcqueue.model.folding import domain_of
from rcqueue.model.ids import new_message_id
from rcqueue.model.query import SORTS, parse
from rcqueue.server.store import tables as t
from rcqueue.server.store.database import Database
from rcqueue.server.store.pages import build_row, counts, page
from rcqueue.server.store.query_sql import terms_of, words_of

SMALL, LARGE = 10_000, 100_000
NOW = 1_790_000_000_000_000
SPAN = 14 * 86_400_000_000  #: the messages came within 14 days, however many
RATIO_GOAL, TIME_GOAL = 1.5, 50.0
ROUNDS = 15
#: Shares of the messages. (A hundredth and a bit: the smaller store has a full page of it on hold, too.)
DENSITIES = {"half": 1 / 2, "cent": 0.0125, "myriad": 1 / 10_000}
CAMPAIGNS = {"half": "CHHHHHHHHHH", "cent": "CCCCCCCCCCC", "myriad": "CMMMMMMMMMM", "other": ""}
PEOPLE = {"half": 1, "cent": 2, "myriad": 3, "nobody": 4}
EVERYWHERE = Access(1, "half", 1, (Grant("admin", "all"),))
AT_CUSTOMER = Access(2, "cent", 2, (Grant("operator", "cent"),))
CLASSES = frozenset(DataClass)


# -- the stores -----------------------------------------------------------------------------------------------------


def messages(
    held: int, now: int = NOW, keep: int = 0
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]]:
    """Rows of `message`, `mail` and `claim`: so many on hold, a quarter more off hold. Each property on its own falls
    on a half, a hundredth or a ten-thousandth of them. They came until `now`; none expires before `now + keep`."""
    rnd = random.Random(held)
    total = held + held // 4
    names = ("from", "to", "customer", "verdict", "score", "size", "expires", "claim", "rule", "word", "campaign")
    rank = {name: rnd.sample(range(total), total) for name in names}
    off = set(rnd.sample(range(total), total - held))

    def kind(name: str, i: int) -> str:
        share = rank[name][i] / total
        for density, size in DENSITIES.items():
            if share < size:
                return density
            share -= size
        return "other"

    for i in range(total):
        at = now - SPAN + SPAN * i // total
        status = rnd.choice(STATUSES[1:]) if i in off else "ONHOLD"
        number = new_message_id(at, i + 1)
        rcpts = [f"user{i % 977}@{kind('to', i)}.example"] + [f"cc{k}@cc.example" for k in range(2 * (i % 20 == 0))]
        expiry = now + keep + SPAN * rank["expires"][i] // total
        sender = f"news{i % 1009}@mail.{kind('from', i)}.example"
        row = {
            "id": number,
            "queue": "main",
            "customer": {"other": "all"}.get(kind("customer", i), kind("customer", i)),
            "sha256": number.to_bytes(8, "big"),
            "at": at,
            "size": 1000 + 1000 * rank["size"][i] * 100_000 // total,
            "sender": sender,
            "from_email": sender,
            "from_domain": domain_of(sender),
            "subject": f"Message {i:07} about the {kind('word', i)} thing that you asked for, please read",
            "first_rcpt": rcpts[0],
            "score": 10 * rank["score"][i] / total,
            "campaign": CAMPAIGNS[kind("campaign", i)],
            "campaign_open": CAMPAIGNS[kind("campaign", i)].replace("C", "E", 1),
            "verdict": {"half": "SPAM", "cent": "VIRUS", "myriad": "PHISH", "other": "POLICY"}[kind("verdict", i)],
            "rules": f'["BAYES_99", "HTML_MESSAGE", "RULE_{kind("rule", i).upper()}", "URIBL_BLACK"]',
            "degraded": "a part without an end" if i % 100 == 0 else None,
            "recipients": len(rcpts),
            **{s.lower(): len(rcpts) * (s == status) for s in STATUSES},
            "next_expiry": expiry if status == "ONHOLD" else None,
            "version": i + 1,
            "purged": None,
        }
        row["words"] = words_of(row, rcpts)
        mails = [
            {"message": number, "n": n, "rcpt": rcpt, "rcpt_domain": domain_of(rcpt), "status": status}
            | {"expiry": expiry, "version": i + 1, "tries": 0, "reply": ""}
            | {
                "release": f"{number}-{n}" if status == "RELEASING" else None,
                "due": now + 100 * SPAN if status == "RELEASING" else None,
            }
            for n, rcpt in enumerate(rcpts)
        ]
        holder = PEOPLE.get(kind("claim", i)) if status == "ONHOLD" else None
        claims = [{"message": number, "n": 0, "session": 9, "account": holder, "fence": i, "at": now}] if holder else []
        yield row, mails, claims


@contextmanager
def store(held: int) -> Iterator[Connection]:
    """A snapshot of a store in a folder of its own, as the server opens it."""
    with tempfile.TemporaryDirectory(prefix="rcqueue-bench-") as folder:
        database = Database(Path(folder), synchronous="OFF")
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("message", "mail", "claim", "posting")}
        for row, mails, claims in messages(held):
            rows["message"].append(row)
            rows["mail"] += mails
            rows["claim"] += claims
            terms = terms_of(row, [mail["rcpt"] for mail in mails])
            rows["posting"] += [{"term": term, "message": row["id"]} for term in terms]
        rows["posting"].sort(key=lambda p: (p["term"], p["message"]))
        with database.write_engine.begin() as connection:
            t.metadata.create_all(connection)
            people = [{"id": i, "name": name, "enabled": True, "created": 0} for name, i in PEOPLE.items()]
            connection.execute(insert(t.account), people)
            for name, some in rows.items():
                connection.execute(insert(t.metadata.tables[name]), some)
        rows.clear()
        try:
            with database.snapshot() as connection:
                yield connection
        finally:
            database.close()


# -- the cases ------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    query: str
    sort: str = "-time"
    deep: bool = False  #: a page from the middle of the list, else the first
    access: Access = EVERYWHERE

    def __str__(self) -> str:
        at = "" if self.access is EVERYWHERE else ", seen by one customer's operator"
        return f"{self.query or 'no filter'}, by {self.sort}{', deep' if self.deep else ''}{at}"


def indexed() -> list[Case]:
    """Each sort, and each indexed term: alone at each density, and with statuses."""
    ratios = (*DENSITIES.values(), 0)
    terms = [
        f"{field}:{name}{'' if field in ('customer', 'claim') else '.example'}"
        for field in ("from", "to", "customer", "claim")
        for name in (*DENSITIES, "nobody")
    ]
    terms += ["from:news7@mail.cent.example", "to:user7@half.example", "to:cc.example", "claim:me", "claim:none"]
    terms += [f"verdict:{v}" for v in ("spam", "virus", "phish", "manual", "virus,phish")] + ["-verdict:spam"]
    terms += [f"score:>={10 - 10 * share:g}" for share in ratios]
    terms += [f"size:>{round(1000 + 1e8 * (1 - share))}" for share in ratios]
    terms += [f"age:<{round(SPAN * share / 1e6)}s" for share in ratios]
    terms += [f"age:>{round(SPAN * (1 - share) / 1e6)}s" for share in ratios[:3]]
    terms += [f"expires:<{round(SPAN * share / 1e6)}s" for share in ratios]
    terms += [f"expires:>{round(SPAN * (1 - share) / 1e6)}s" for share in ratios[:3]]
    terms += ["degraded:yes", "degraded:no"]
    terms += [f"status:{s}" for s in ("any", "released", "uncertain", "deleted,expired", "onhold,released")]
    mixed = [
        "from:cent.example status:any",
        "from:half.example verdict:spam",
        "from:half.example verdict:virus",
        "from:half.example score:>=9.9",
        "to:half.example status:released",
        "to:cent.example status:onhold,released",
        "verdict:virus status:deleted",
        "customer:half claim:none",
        "score:>=9.9 status:any",
    ]
    sorts = [sign + name for name in SORTS for sign in ("-", "")]
    return [
        *(Case("", sort, deep) for sort in sorts for deep in (False, True)),
        *(Case(term) for term in terms),
        *(Case(query) for query in mixed),
        Case("", access=AT_CUSTOMER),
    ]


def others() -> list[Case]:
    """What no one index serves."""
    words = [*DENSITIES, "nowhere"]
    unserved = [
        *words,
        *(f'subject:"the {word} thing"' for word in words),
        *(f"rule:RULE_{word.upper()}" for word in words),
        "-from:half.example -from:cent.example -from:other.example",
        "score:>=5 score:<=5.0001",
        "from:half.example nowhere",
    ]
    crossed = [
        Case(term, sort)
        for sort in ("-score", "expiry", "subject")
        for term in ("from:half.example", "from:cent.example", "to:cent.example", "score:>=9.9", "age:<12096s")
    ]
    more = [Case("status:any", "-subject"), Case("status:released", "-score"), Case("status:uncertain nowhere", "size")]
    return [*map(Case, unserved), *crossed, *more]


def ask(connection: Connection, case: Case) -> tuple[float, int, bool]:
    """(milliseconds, rows, partial) of one page, to the dictionaries that become its JSON."""
    query = parse(case.query, me="half")
    options: dict[str, Any] = {}
    if case.deep:
        total = connection.exec_driver_sql("SELECT count(*) FROM message").scalar_one()
        where = "SELECT id FROM message WHERE onhold > 0 AND id > ? LIMIT 1"
        middle = new_message_id(NOW - SPAN // 2, total % 7)
        options["at"] = connection.exec_driver_sql(where, (middle,)).scalar_one()
    began = time.perf_counter()
    result = page(connection, case.access, query, case.sort, now_us=NOW, **options)
    rows = [build_row(data, CLASSES) for data in result.rows]
    return (time.perf_counter() - began) * 1000, len(rows), result.partial


def run(*, quick: bool = False, rounds: int = ROUNDS, progress: Any = None) -> list[Figure]:
    """Builds both stores (some 20 s) and asks them. `quick`: small ones, a few times."""
    figures = []
    sizes, rounds = ((500, 2000), 3) if quick else ((SMALL, LARGE), rounds)
    with ExitStack() as stack:
        stores = [stack.enter_context(store(held)) for held in sizes]
        for case, served in [*((c, True) for c in indexed()), *((c, False) for c in others())]:
            for connection in stores:
                ask(connection, case)
            asked = [[ask(connection, case) for connection in stores] for _ in range(rounds if served else rounds // 3)]
            small, large = ([answers[i] for answers in asked] for i in (0, 1))
            ms = [median(a[0] for a in answers) for answers in (small, large)]
            shown = f"{large[0][1]} rows{', partial' if any(a[2] for a in large) else ''}"
            if served and small[0][1] == large[0][1]:
                detail = f"{ms[0]:.2f} -> {ms[1]:.2f} ms, {shown}"
                figure = Figure(str(case), ms[1] / ms[0], "x", RATIO_GOAL, detail)
            else:  # not the same page: there are more rows on it
                detail = f"{shown}; {ms[0]:.2f} ms and {small[0][1]} rows at {sizes[0]:,}"
                figure = Figure(str(case), ms[1], "ms", TIME_GOAL, detail)
            figures.append(figure)
            if progress is not None:
                progress(figure)
        for query in ("", "from:half.example", "nowhere", "score:>=9.9"):
            spent = []
            for _ in range(rounds // 3):
                began = time.perf_counter()
                counts(stores[1], EVERYWHERE, parse(query), now_us=NOW)
                spent.append((time.perf_counter() - began) * 1000)
            figures.append(Figure(f"counts of {query or 'no filter'}", median(spent), "ms", 2 * TIME_GOAL))
            if progress is not None:
                progress(figures[-1])
    return figures


def main() -> int:
    figures = run(progress=print)
    missed = [figure for figure in figures if not figure.reached]
    print(f"{len(figures)} figures, {len(missed)} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
