"""`make fuzz`: what reads text of strangers, under mutated input, for FUZZ_SECONDS each (default 60).

The header scan and the whole reading never fail; the filter language raises nothing but its own errors; safe_text
holds its properties. Prints the seed; a failure writes its input to build/fuzz/ and ends with status 1.
"""

from __future__ import annotations

import os
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rcqueue.model.query import QueryError, parse
from rcqueue.safe_text import forbidden, safe_text
from rcqueue.server.reading.authors import marked, results
from rcqueue.server.reading.deep import read_deep
from rcqueue.server.reading.lookalike import Own
from rcqueue.server.reading.scan import scan
from tests.hostile_mail import hostile_messages
from tests.payloads import PAYLOADS

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
SLOW = 2.0

OURS = Own(["acme.example", "bank.example"])
OPENS = re.compile(r"(?i)\b(?:https?|ftp)://\w")
PAGES = [
    '<p style="display:none;color:#fff">x<a href="http://acme.example@xn--80ak6aa92e.example/?u=https://b">acme.example</a>',
    '<font color=white>y</font><form action="http://a.example"><input type=password><img src="https://c.example/d">',
    "http://a.example/b www.c.example ftp://d.example mailto:e@f.example <table bgcolor=#000><td hidden>z</td></table>",
]
QUERIES = ["status:any from:a.example", 'subject:"a \\" b" -score:>8', "age:<2h claim:none", "id:38GBWEAP4001F to:x@y"]


def mutate(rng: random.Random, data: bytes, pool: list[bytes]) -> bytes:
    """A few cuts, repeats, flips and splices."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(5):
            case 0 if out:
                out[at % len(out)] = rng.randrange(256)
            case 1:
                del out[at : at + rng.randint(1, 200)]
            case 2:
                piece = out[at : at + rng.randint(1, 100)]
                out[at:at] = piece * rng.randint(1, 50)
            case 3:
                other = rng.choice(pool)
                start = rng.randrange(len(other) + 1)
                out[at:at] = other[start : start + rng.randint(1, 400)]
            case _:
                out[at:at] = rng.choice(
                    (b"\r\n", b"\n", b"=?utf-8?B?", b"?=", b"\x00", b"\x1b[", b"--", b"(", b'"', b"<")
                )
    return bytes(out[: 1 << 20])


def check_scan(data: bytes) -> None:
    found = scan(data)
    assert not (found.degraded or "").startswith("the scan failed"), found.degraded
    marked(found.authors, "a@b.example", OURS)
    results(found.authentication, ["mx.acme.example"])


def check_html(data: bytes) -> None:
    """No link of what is shown opens anywhere."""
    deep = read_deep(b"Content-Type: text/html\r\n\r\n" + data)
    assert not OPENS.search(deep.text), OPENS.search(deep.text)
    assert not any(OPENS.search(link.to) for link in deep.links)


def check_deep(data: bytes) -> None:
    read_deep(data)


def check_query(data: bytes) -> None:
    try:
        query = parse(data.decode("utf-8", "surrogateescape")[:500], me="anna")
    except QueryError:
        return
    assert parse(query.text, me="anna").given == query.given or not query.given


def check_safe_text(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")[:5000]
    shown = safe_text(text)
    assert not any(map(forbidden, shown)) and safe_text(shown) == shown and len(shown) <= 8 * len(text) + 8


TARGETS: dict[str, Callable[[bytes], None]] = {
    "scan": check_scan,
    "deep": check_deep,
    "html": check_html,
    "query": check_query,
    "safe_text": check_safe_text,
}


def main() -> int:
    seed = int(os.environ.get("FUZZ_SEED", str(random.SystemRandom().getrandbits(32))))
    rng = random.Random(seed)
    mails = [raw for _, raw in hostile_messages(120, seed & 0xFFFF) if len(raw) < 200_000]
    texts = [text.encode("utf-8", "surrogatepass") for _, text in PAYLOADS]
    pools = {
        "scan": mails,
        "deep": mails,
        "html": [page.encode() for page in PAGES],
        "query": [q.encode() for q in QUERIES] + texts,
        "safe_text": texts + mails,
    }
    status = 0
    for name, check in TARGETS.items():
        pool, ends, runs, slowest = pools[name], time.monotonic() + SECONDS, 0, 0.0
        while time.monotonic() < ends:
            data = mutate(rng, rng.choice(pool), pool)
            began = time.process_time()
            try:
                check(data)
                took = time.process_time() - began
                assert took < SLOW, f"{took:.1f} s"
            except Exception as error:
                file = Path("build/fuzz") / f"{name}-{seed}-{runs}.bin"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
                print(f"{name}: {type(error).__name__}: {error}; input in {file}", file=sys.stderr)
                status = 1
                break
            slowest = max(slowest, took)
            runs += 1
        print(f"{name}: {runs:,} runs, slowest {slowest:.3f} s (seed {seed})", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
