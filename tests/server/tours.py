"""A guest goes through everything that the product offers: every route, feed, command and acpi verb, over wires that
keep what was said to them. What a tour came past is kept too, so that a test can say what it missed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import websockets

from rcqueue.cli import main
from rcqueue.model.act import Verb
from rcqueue.model.fields import FIELDS
from rcqueue.model.mail import Part
from rcqueue.model.query import SORTS
from rcqueue.server.routes.acpi import COMMANDS, Request
from rcqueue.server.routes.acpi_mails import FIELDS as ACPI_FIELDS

from .canary import Wire
from .live import Live

PASSWORD = "correct horse battery 9"
#: A value for each field of the filter language; "" is the name of bare words.
TERMS = {
    "status": "any",
    "from": "sender.example",
    "to": "example.org",
    "subject": "plain",
    "score": ">1",
    "size": ">1",
    "verdict": "spam,policy",
    "rule": "BAYES_99",
    "customer": "all",
    "campaign": "E0123456789",
    "age": "<2h",
    "at": ">2020-01-01",
    "expires": ">1h",
    "claim": "none",
    "seen": "any",
    "requested": "no",
    "degraded": "no",
    "id": "{id}",
    "word": "plain",
}
BODIES: dict[Verb, dict[str, Any]] = {
    Verb.TAKEOVER: {"reason": "because"},
    Verb.ASSIGN: {"person": "ben", "note": "yours"},
    Verb.NOTE: {"note": "looked at"},
    Verb.SETTLE: {"settle": "hold"},
}
_PEOPLE: dict[str, dict[str, Any]] = {
    "lock": {"lock": "bodies"},
    "unlock": {"lock": "bodies"},
    "grant": {"role": "operator", "customer": "all"},
    "revoke": {"role": "operator", "customer": "all"},
    "enable": {},
    "disable": {},
    "password": {"password": PASSWORD},
}


#: Where a guest lets mail be released to.
SPY = "spy@elsewhere.example"
_WAY: dict[str, Any] = {"form": "attachment", "to": [SPY, "postmaster"], "learn": True}
_SENDER = {"sender": "ada@sender.example", "recipient": "x@example.org", "days": 7}


def terms(id: str) -> list[str]:
    """A filter with each field of the language. A field without a value here is a KeyError."""
    return [(f"{name}:" if name != "word" else "") + TERMS[name].format(id=id) for name in FIELDS]


@dataclass
class Guest:
    """`name`, signed in, with the messages that they look at (`ids`) and a wire for each channel."""

    live: Live
    name: str
    ids: Sequence[str]
    folder: Path
    links: Sequence[str] = ()  #: tokens of links in notices, which anybody may have got hold of
    wires: dict[str, Wire] = field(default_factory=dict)
    printed: bytearray = field(default_factory=bytearray)
    passed: set[Any] = field(default_factory=set)  #: routes, commands, acpi verbs and acpi keys that were tried
    statuses: dict[str, set[int]] = field(default_factory=dict)  #: of answers, by part or verb

    def heard(self) -> dict[str, bytes]:
        """Everything that reached them, by channel."""
        heard = {channel: wire.heard for channel, wire in self.wires.items()}
        if "cli" in heard:
            heard["cli"] += bytes(self.printed)
        return heard

    @contextlib.asynccontextmanager
    async def wire(self, channel: str) -> Any:
        async with Wire(self.live.config.http.listen.port) as wire:
            self.wires[channel] = wire
            yield wire

    # -- the API

    async def api(self, *, reads_only: bool = False) -> None:
        async with self.wire("api") as wire:
            headers = {"Authorization": f"Bearer {self.live.tokens[self.name]}"}
            async with httpx.AsyncClient(base_url=wire.url, headers=headers, timeout=30) as self._http:
                await self._reads()
                if not reads_only:
                    await self._lists()
                    await self._acts()
                    await self._looks_out()
                    await self._asks_scanners()
                    await self._saves_filters()
                    await self._sets_rules()
                    await self._asks_for_notices()
                    await self._administers()
                    await self._signs_in_again()

    async def _ask(self, route: str, *names: str, of: str = "", **more: Any) -> httpx.Response:
        """`names` fill the braces of `route`, a path below /api/v1; a POST has a key of its own."""
        method, path = route.split()
        path = path if path in ("/healthz", "/metrics", "/r/{token}") else "/api/v1" + path
        self.passed.add(f"{method} {path}")
        for name in names:
            path = re.sub(r"\{\w+\}", name, path, count=1)
        headers = {"Idempotency-Key": secrets.token_hex(8)} | more.pop("headers", {})
        answer = await self._http.request(method, path, headers=headers, **more)
        assert answer.status_code < 500, f"{method} {path} {more}: {answer.status_code} {answer.text}"
        self.statuses.setdefault(of or route, set()).add(answer.status_code)
        return answer

    async def _reads(self) -> None:
        for id in self.ids:
            await self._ask("GET /mails/{id}", id)
            for part in Part:
                await self._ask("GET /mails/{id}/{part}", id, part, of=part)
            await self._ask("GET /mails/{id}/{part}", id, Part.HEX, of=Part.HEX, params={"at": 1})

    async def _lists(self) -> None:
        for path in (
            "/openapi.json",
            "/healthz",
            "/metrics",
            "/whoami",
            "/people",
            "/audit",
            "/health",
            "/wall",
            "/rules",
        ):
            await self._ask(f"GET {path}")
        for params in ({}, {"verb": "release"}, {"of": "anna"}):
            await self._ask("GET /history", params=params)
        await self._ask("GET /audit", params={"message": self.ids[0], "account": self.name})
        for sort in (way + name for name in SORTS for way in ("", "-")):
            some = {"sort": sort, "limit": 2}
            page = (await self._ask("GET /mails", params=some)).json()
            for more in (
                {"after": page.get("next")},
                {"end": 1},
                {"at": self.ids[1]},
                {"time": "2020-01-01T00:00:00Z"},
            ):
                page = (await self._ask("GET /mails", params=some | more)).json()
            await self._ask("GET /mails", params=some | {"before": page.get("previous")})
        for query in (*terms(self.ids[0]), "", "nonsense:1", 'subject:"open'):
            await self._ask("GET /mails", params={"query": query})
            await self._ask("GET /mails/rows", params={"query": query, "ids": ",".join(self.ids)})
            await self._ask("GET /counts", params={"query": query})
            await self._ask("GET /facets", params={"query": query})
            await self._ask("GET /campaigns", params={"query": query})
            await self._ask("GET /mails/{id}", self.ids[0], params={"query": query})

    async def _acts(self) -> None:
        for id in self.ids[:2]:
            await self._ask("POST /mails/{id}/{verb}", id, Verb.RELEASE, of=Verb.RELEASE, json=_WAY)
        stood = (await self._ask("POST /claims", json={"query": "subject:plain"})).json()
        await self._ask("GET /claims", params={"query": "from:sender.example"})
        await self._ask("POST /claims/{id}/end", str(stood.get("id", 1)), json={})
        await self._ask("POST /mails/next", json={"count": 1, "query": f"id:{self.ids[3]}"})
        for verb in Verb:  # in an order in which each can be done
            for more in ({}, {"query": "status:any"}):
                body = BODIES.get(verb, {}) | more
                await self._ask("POST /mails/{id}/{verb}", self.ids[0], verb, of=verb, json=body)
        for query in terms(self.ids[1]):
            stored = (await self._ask("POST /acts", json={"verb": "extend", "query": query})).json()
        act = str(stored.get("id", "none"))
        await self._ask("GET /acts")
        await self._ask("GET /acts/{id}", act)
        await self._ask("POST /acts/{id}/confirm", act, json={"expect": stored.get("count", 0)})
        await self._ask("POST /acts/{id}/stop", act)
        await self._ask("GET /acts/{id}/results", act)
        await self._ask("POST /acts/{id}/undo", act)
        stored = (await self._ask("POST /acts", json={"verb": "delete", "query": "status:any"})).json()
        act = str(stored.get("id", "none"))  # much of it is not on hold: that is told, and what mail it is
        await self._ask("POST /acts/{id}/confirm", act, json={"expect": stored.get("count", 0)})
        await self._ask("POST /acts/{id}/undo", act)
        await self._ask("GET /acts/{id}/results", act, params={"left": True})

    async def _looks_out(self) -> None:
        hop = str(self.live.config.next_hop.default)
        for params in ({}, {"next_hop": hop}):
            await self._ask("GET /outgoing", params=params)
        for verb, rate in (("limit", 6000), ("pause", None), ("resume", None), ("limit", None)):
            wish = {"reason": "because", "rate": rate}
            await self._ask(f"POST /outgoing/{{id}}/{verb}", hop, json=wish)

    async def _asks_scanners(self) -> None:
        for route in ("POST /scan", "POST /policy/test"):
            for params in ({}, {"rcpt": ["x@example.org", "y@elsewhere.example"], "sender": "ada@sender.example"}):
                await self._ask(route, params=params, content=b"Subject: in\r\n\r\nx\r\n")

    async def _saves_filters(self) -> None:
        for whom in ({}, {"customer": "all"}):
            await self._ask("POST /filters", json={"name": "mine", "query": "subject:plain"} | whom)
        await self._ask("GET /filters")
        await self._ask("POST /filters/{name}/delete", "mine", json={})

    async def _sets_rules(self) -> None:
        await self._ask("GET /policy")
        setting = {"key": "score.spamassassin.hold", "value": 7, "reason": "because"}
        await self._ask("POST /policy/set", json=setting)
        said = {"sender": "ada@sender.example", "days": 7, "reason": "because"}
        rule = ""
        for whom in ({"recipient": "x@example.org"}, {"customer": "all"}):
            for kind in ("allow", "block"):
                rule = str((await self._ask(f"POST /senders/{kind}", json=said | whom)).json().get("id", 1))
        await self._ask("GET /senders", params={"all": 1})
        await self._ask("POST /senders/{id}/end", rule, json={})

    async def _asks_for_notices(self) -> None:
        await self._ask("GET /notices", params={"days": 2})
        for now in (False, True):
            await self._ask("POST /notices/send", json={"domain": "example.org", "now": now})
        await self._ask("POST /notices/start", json={"address": "x@example.org"})
        for link in (*self.links, "forged" * 4):
            for _ in range(2):
                await self._ask("GET /r/{token}", link)
                await self._ask("POST /r/{token}", link, content=b"ask=yes")

    async def _administers(self) -> None:
        await self._ask("POST /import", params={"rcpt": "x@example.org"}, content=b"Subject: in\r\n\r\nx\r\n")
        posted = {"X-Rspamd-From": "a@b.example", "X-Rspamd-Rcpt": '["x@example.org"]', "X-Rspamd-Action": "reject"}
        await self._ask("POST /rspamd", headers=posted, content=b"Subject: posted\r\n\r\nx\r\n")
        await self._ask("POST /people", json={"name": "eve", "password": PASSWORD, "roles": [_PEOPLE["grant"]]})
        pushed = {"name": "own.cf", "content": "score A 1\n", "reason": "because"}
        await self._ask("POST /rules", json=pushed)
        await self._ask("POST /rules/{name}/rollback", "own.cf", json={"reason": "because"})
        for verb, body in _PEOPLE.items():
            await self._ask(f"POST /people/{{name}}/{verb}", self.name, json=body)

    async def _signs_in_again(self) -> None:
        login = {"name": self.name, "password": PASSWORD, "kind": "cli", "label": "again"}
        again = (await self._ask("POST /login", json=login)).json()["token"]
        made = await self._ask("POST /tokens", json={"label": "a script", "scope": "view", "days": 1})
        for token in (again, made.json().get("token", "none")):  # who may only count makes none that may view
            theirs = {"Authorization": f"Bearer {token}"}
            for part in Part:
                await self._ask("GET /mails/{id}/{part}", self.ids[0], part, headers=theirs)
        await self._ask("POST /logout", headers={"Authorization": f"Bearer {again}"})

    # -- the feed

    @contextlib.asynccontextmanager
    async def feed(self) -> Any:
        """A feed from the beginning of the journal, open while the block runs; then the same by long poll."""
        async with self.wire("feed") as wire:
            headers = {"Authorization": f"Bearer {self.live.tokens[self.name]}"}
            url = wire.url.replace("http", "ws") + "/api/v1/feed"
            async with websockets.connect(url, additional_headers=headers) as socket:
                await socket.send(json.dumps({"subscribe": {"queue": "main", "journal": None, "since": 0}}))
                listening = asyncio.create_task(self._listen(socket))
                await socket.send(json.dumps({"presence": {"message": self.ids[0], "pane": "body"}}))
                yield
                async with asyncio.timeout(20):
                    while self._to < self.live.server.hub.head:
                        await asyncio.sleep(0.01)
                listening.cancel()
            self.passed |= {"WEBSOCKET /api/v1/feed", "GET /api/v1/entries"}
            async with httpx.AsyncClient(base_url=wire.url, headers=headers) as http:
                since = 0
                while since < self.live.server.hub.head:
                    since = (await http.get("/api/v1/entries", params={"since": since})).json()["to"]

    async def _listen(self, socket: Any) -> None:
        self._to = 0
        async for frame in socket:
            said = json.loads(frame)
            self._to = said.get("to", self._to)
            if "ping" in said:
                await socket.send(json.dumps({"pong": said["ping"], "idle": 0}))

    # -- acpi

    async def acpi(self) -> None:
        one, two = self.ids[2], self.ids[3]
        arguments: dict[str, dict[str, Any]] = {
            **{f"mail.{verb}": {"id": one, **_as_keys(BODIES.get(verb, {}))} for verb in Verb},
            **{f"people.{what}": {"name": self.name, **more} for what, more in _PEOPLE.items()},
            "people.create": {"name": "eve", "password": PASSWORD, "role": "operator", "customer": "all"},
            "claim.list": {"filter": "subject:plain"},
            "claim.stand": {"filter": "subject:plain"},
            "claim.end": {"id": 1},
            "mail.next": {"count": 1, "filter": f"id:{two}"},
            **{f"act.{verb}": {"id": "none"} for verb in ("show", "stop", "undo")},
            **{
                f"outgoing.{verb}": {"id": "localhost:25", "reason": "because"} for verb in ("pause", "resume", "limit")
            },
            "rules.push": {"name": "own.cf", "content": "score A 1\n", "reason": "because"},
            "rules.rollback": {"name": "own.cf", "reason": "because"},
            "notice.send": {"domain": "example.org", "now": True},
            "notice.start": {"address": "x@example.org"},
            "scan.file": {"raw": "Subject: in\r\n\r\nx\r\n"},
            "policy.set": {"key": "score.spamassassin.hold", "value": 7, "reason": "because"},
            "filter.save": {"name": "mine", "filter": "subject:plain", "customer": "all"},
            "filter.delete": {"name": "mine", "customer": "all"},
            **{f"sender.{kind}": _SENDER for kind in ("allow", "block")},
            "sender.list": {"all": True},
            "sender.end": {"id": 1},
            "policy.test": {"raw": "Subject: in\r\n\r\nx\r\n", "rcpt": ["x@example.org"]},
        }
        asked: list[dict[str, Any]] = [{"cmd": name, **arguments.get(name, {})} for name in COMMANDS]
        asked.append({"cmd": "mail.release", "id": one, **_WAY})
        asked += [{"cmd": name, "id": id} for id in self.ids for name in ("mail.show", "mail.body")]
        asked += [{"cmd": "mail.show", "id": id, "part": part} for id in self.ids for part in Part]
        keys: dict[str, Any] = {
            "startTime": 0,
            "endTime": 2147483647,
            "status": "ONHOLD",
            "fromDomain": "sender.example",
            "fromEmail": "ada@sender.example",
            "toEmail": "x@example.org",
            "filter": "from:sender.example",
            "subject": "plain",
            "id": list(self.ids),
            "resStart": 1,
            "resWindow": 100,
            "fields": list(ACPI_FIELDS),
        }
        asked += [{}, keys, *({key: value} for key, value in keys.items()), {"unknown": 1}]
        for status in ("DELETED", "ONHOLD", "RELEASED"):
            change = {"set": status, "id": two, "reason": "because", "expiry": 4000000000}
            asked += [change, change | {"confirmation": True, "expect": 1}, change | {"confirmation": True}]
            asked.append(change | {"confirmation": True, "expect": 1} | _WAY)
        self.passed |= {"acpi " + request["cmd"] for request in asked if "cmd" in request}
        self.passed |= {"acpi key " + key for request in asked if "cmd" not in request for key in request}
        assert "acpi key unknown" in self.passed and set(keys) < set(Request.model_fields)
        self.passed.add("POST /acpi")
        async with self.wire("acpi") as wire:
            headers = {"Authorization": f"Bearer {self.live.tokens[self.name]}"}
            async with httpx.AsyncClient(base_url=wire.url, headers=headers, timeout=30) as http:
                for request in asked:
                    answer = await http.post("/acpi", json=request)
                    assert answer.status_code < 500, (request, answer.text)
                    of = f"acpi {request.get('cmd', 'of mails')}"
                    self.statuses.setdefault(of, set()).add(answer.status_code)

    # -- the command line

    async def cli(self, *, processes: bool = True) -> None:
        """Every command that asks the server: in this process, and `processes`: some as processes of their own."""
        token = self.folder / "token"
        token.write_text(self.live.tokens[self.name])
        token.chmod(0o600)
        (self.folder / "in.eml").write_bytes(b"To: x@example.org\r\nSubject: in\r\n\r\nx\r\n")
        async with self.wire("cli") as wire:
            environment = {"RCQUEUE_SERVER": wire.url, "RCQUEUE_TOKEN_FILE": str(token)}
            watch = await self._process(environment, "watch", "--json") if processes else None
            for words in commands(self.ids, self.folder):
                await self._run(environment, *words)
            if watch is None:
                return
            for words, typed in _TYPED:
                await self._spawn(environment, *words, typed=typed)
            signed_in = {"RCQUEUE_SERVER": wire.url} | _home(self.folder)
            await self._spawn(signed_in, "login", "--user", self.name, typed=PASSWORD)
            await self._spawn(signed_in, "show", self.ids[0], "--part", "raw")
            await self._spawn(signed_in, "logout")
            watch.terminate()  # not SIGINT, which is ignored where the tests run in the background
            for stream in await watch.communicate():
                self.printed += stream

    async def _run(self, environment: dict[str, str], *words: str) -> None:
        self.passed.add(_named(words))
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))

        def run() -> None:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
                main(words)

        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:
            await asyncio.to_thread(run)
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        for stream in (out, err):
            stream.flush()
            self.printed += stream.buffer.getvalue()

    async def _process(self, environment: dict[str, str], *words: str) -> asyncio.subprocess.Process:
        self.passed.add(_named(words))
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rcqueue", *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | environment,
            start_new_session=True,  # no terminal to ask on
        )

    async def _spawn(self, environment: dict[str, str], *words: str, typed: str = "") -> None:
        process = await self._process(environment, *words)
        for stream in await process.communicate(typed.encode() + b"\n"):
            self.printed += stream


def _as_keys(body: dict[str, Any]) -> dict[str, Any]:
    return {"as" if name == "settle" else name: value for name, value in body.items()}


def _home(folder: Path) -> dict[str, str]:
    homes = {name: folder / name.lower() for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")}
    for home in homes.values():
        home.mkdir(mode=0o700, exist_ok=True)
    return {name: str(home) for name, home in homes.items()}


_GROUPS = ("people", "audit", "config", "policy", "rules", "senders", "notices", "filters")


def _named(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(words[:2]) if words[0] in _GROUPS else tuple(words[:1])


def commands(ids: Sequence[str], folder: Path) -> list[tuple[str, ...]]:
    """What is run in this process."""
    four, five = ids[4], ids[5]
    found: list[tuple[str, ...]] = [("whoami",), ("whoami", "--json"), ("status",), ("acts",), ("acts", "none")]
    found += [("wall", "--once"), ("wall", "--once", "--json"), ("outgoing",), ("outgoing", "--json")]
    found += [("outgoing", "localhost:25", what, "--reason", "because") for what in ("--pause", "--no-limit")]
    found += [("history",), ("history", "--json", "--verb", "release"), ("history", "--of", "anna")]
    found += [("claim", "--filter", "subject:plain", "--standing"), ("claims", "subject:plain"), ("claims", "--json")]
    found += [("claims", "--end", "1")]
    found += [("next", "1", f"id:{five}"), ("next", "1", f"id:{four}", "--json")]
    found += [("list", "status:any"), ("list", "--mails", "--json"), ("import", str(folder / "in.eml"))]
    found += [("list", "--json", "--sort", sort) for sort in SORTS]
    found += [("list", "--", term) for term in terms(four)]
    found += [("campaigns", "status:any"), ("campaigns", "--json", "size:>1")]
    found += [("facets", "status:any"), ("facets", "--by", "rule,sender", "--json")]
    scanned = str(folder / "in.eml")
    found += [("scan", scanned), ("policy", "test", scanned), ("policy", "test", scanned, "--rcpt", "x@y.example")]
    found += [("policy", "show"), ("policy", "set", "score.spamassassin.hold=7", "--reason", "because")]
    said = ("ada@sender.example", "--recipient", "x@example.org", "--for", "7d")
    found += [("senders", "allow", *said), ("senders", "block", *said), ("senders", "list", "--all", "--json")]
    found += [("senders", "list"), ("senders", "end", "1")]
    found += [("filters", "save", "mine", "subject:plain", "--customer", "all"), ("filters", "list", "--json")]
    found += [("filters", "list"), ("filters", "delete", "mine", "--customer", "all")]
    (folder / "own.cf").write_text("score A 1\n")
    found += [("rules", "list"), ("rules", "push", str(folder / "own.cf"), "--reason", "because")]
    found += [("rules", "rollback", "own.cf", "--reason", "because"), ("status", "--json"), ("status", "--check")]
    found += [("notices", "list"), ("notices", "list", "--json"), ("notices", "start", "x@example.org")]
    found += [("notices", "send", "--domain", "example.org", *now) for now in ((), ("--now",))]
    for id in ids:
        found += [("show", id, "--part", part) for part in Part]
    found += [("show", ids[0], "--part", part, "--json") for part in Part]
    found.append(("show", four, "--part", "text", "--output", str(folder / "text.out")))
    more = {
        "takeover": ("--reason", "because"),
        "assign": ("--to", "ben", "--note", "yours"),
        "extend": ("--until", "7d"),
        "note": ("--text", "looked at"),
        "settle": ("--as", "hold"),
    }
    found.append(("release", four, "--as", "stripped", "--to", SPY, "--learn"))
    for verb in Verb:
        found += [(verb, four, *more.get(verb, ())), (verb, five, "--json", *more.get(verb, ()))]
    found.append(("extend", "--filter", f"id:{five}", "--expect", "1", "--until", "7d"))
    found += [("delete", "--filter", f"id:{five} status:any", "--dry-run"), ("acts", "none", "--undo")]
    found += [
        ("acpi", '{"cmd": "mail.list", "status": "ONHOLD"}'),
        ("people", "list"),
        ("audit", "list"),
        ("audit", "list", "--json", "--message", four),
    ]
    found += [("people", what, "eve", *role) for what, role in _PEOPLE_WORDS.items()]
    return found


_PEOPLE_WORDS = {
    "lock": (),
    "unlock": (),
    "grant": ("operator",),
    "revoke": ("operator",),
    "enable": (),
    "disable": (),
}


#: Commands that ask for something, and what they are told.
_TYPED = (
    (("people", "create", "eve", "--role", "operator"), PASSWORD),
    (("people", "password", "eve"), PASSWORD),
    (("acpi", "-"), '{"subject": "plain"}'),
)

#: Commands that ask no server, or open one.
LOCAL = {("demo",), ("profiles",), ("serve",), ("config", "check"), ("migrate",), ("people", "first-admin")}
LOCAL |= {("completion",), ("man",)}  # made of the parser alone
