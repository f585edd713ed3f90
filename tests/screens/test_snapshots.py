"""Each screen as it looks, at 80x24 and 140x40: fixed mail, a clock that stands still, UTC."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from textual.pilot import Pilot

from rcqueue.app import DemoAccount, DemoInfo, RcqueueApp, Start
from rcqueue.client.feed import Lost, PresenceChanged
from rcqueue.model.act import ActProgress, ActRequest, MailResult, Verb
from rcqueue.model.health import Alert, Flow, Health, NextHopState, ScannerState, Wall, WayIn
from rcqueue.model.ids import encode_mail
from rcqueue.model.journal import Presence
from rcqueue.model.mail import Attachment, Attachments, Author, AuthResult, HeaderField, Headers, Link, Status, Text
from rcqueue.model.outgoing import Outgoing, OutgoingMail
from rcqueue.model.rules import Outcome, RuleFile
from tests.fakes import NOW, FakeNetwork, Store
from tests.screens.terminal import Terminal, queue

Compare = Callable[..., bool]
Steps = Callable[[Terminal], Awaitable[None]]

SIZES = pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def busy() -> Store:
    """A queue with colleagues at work: anna's, bob's and some of carol's, one uncertain, one that expires soon."""
    store = queue()
    newest = [store.messages[i] for i in sorted(store.messages, reverse=True)]
    store.change("mail.claim", "anna", newest[1], range(43), claim="anna", fence=61)
    store.change("mail.claim", "bob", newest[2], [0], claim="bob", fence=62)
    store.change("mail.claim", "carol", newest[4], range(3), claim="carol", fence=63)
    newest[7].kept_for = timedelta(hours=5)
    return store


def look(
    snap_compare: Compare,
    size: tuple[int, int],
    steps: Steps,
    store: Store | None = None,
    role: str = "admin",
    **start: Any,
) -> None:
    begin = Start(server="http://mail.example", user="anna", password="secret")
    for name, value in start.items():
        setattr(begin, name, value)
    network = FakeNetwork(store or busy(), role=role)
    app = RcqueueApp(begin, network, clock=lambda: network.store.now)

    async def run(pilot: Pilot[Any]) -> None:
        terminal = Terminal(app, network, pilot)
        if role == "wall":
            await terminal.until(lambda: terminal.shown[0].endswith("live"))
        elif begin.password:
            await terminal.until(lambda: terminal.shown[0].endswith("live") and "held" in terminal.shown[0])
            if network.store.messages:
                await terminal.until(lambda: "Client" in terminal.text, "the panes")
        await steps(terminal)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=run)


def keys(*pressed: str, shows: str = "") -> Steps:
    async def steps(t: Terminal) -> None:
        await t.press(*pressed)
        if shows:
            await t.shows(shows)

    return steps


@SIZES
@pytest.mark.parametrize("theme", ["dark", "light", "high-contrast", "16-colours", "mono"])
def test_queue(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    async def steps(t: Terminal) -> None:
        message = sorted(t.store.messages, reverse=True)[2]
        others = [Presence(who="bob", message=message, pane="headers"), Presence(who="carol", pane="people")]
        await t.network.feeds[0].events_now.put(PresenceChanged(others))
        t.store.change(
            "mail.release", "bob", t.store.messages[sorted(t.store.messages)[-7]], [0], status=Status.RELEASING
        )
        await t.shows("bob released it")
        await t.shows("3,311 held")
        await t.press("j", "v", "v", "k")
        await t.shows("bob reads scan@copier.example")
        t.app.desk.rates = type("Rates", (), {"per_minute": lambda *_: (41, 38), "count": lambda *_: None})()
        t.app.queue.paint()
        await t.until(lambda: "Client" in t.text)

    look(snap_compare, size, steps, theme=theme)


@SIZES
def test_queue_with_new_mail(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        t.app.desk.rates.count = lambda *_: None
        for n in range(3):
            t.store.hold(f"new{n}@x.example", ["a@acme.example"], "new")
        await t.shows("^ 3 new above (g)")
        await t.shows("3,315 held")

    look(snap_compare, size, steps)


@SIZES
def test_queue_facets(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        await t.press("f")
        await t.shows("SENDERS")
        await t.press("j", "enter")
        await t.shows("258 of 3,312")
        await t.until(lambda: "Client" in t.text or size[0] < 110, "the panes")
        await t.until(lambda: len(t.app.queue.facets.items) == 12)
        await t.press("g", "j", "j")

    look(snap_compare, size, steps)


@SIZES
def test_queue_columns(snap_compare: Compare, size: tuple[int, int]) -> None:
    look(snap_compare, size, keys("O", "j", "j", "s", shows="most points first"))


@SIZES
def test_queue_stale(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        await t.network.feeds[0].events_now.put(Lost("connection refused", NOW - timedelta(seconds=14), 1))
        await t.shows("14s old")

    look(snap_compare, size, steps)


@SIZES
def test_queue_empty(snap_compare: Compare, size: tuple[int, int]) -> None:
    store = Store()
    for n in range(4):
        message = store.hold("a@b.example", ["c@acme.example"], "hello")
        status = Status.DELETED if n == 3 else Status.RELEASED
        store.change("mail.x", "bob", message, [0], status=status)
    network_filter = "from:b.example"

    async def steps(t: Terminal) -> None:
        await t.press("slash")
        await t.type(network_filter)
        await t.press("enter")
        await t.shows("3 released and 1 deleted do: S shows them.")

    store.messages, kept = {}, store.messages

    async def filled(t: Terminal) -> None:
        t.store.messages = kept
        await steps(t)

    look(snap_compare, size, filled, store)


@SIZES
def test_queue_refusal(snap_compare: Compare, size: tuple[int, int]) -> None:
    look(snap_compare, size, keys("j", "j", "r", shows="bob holds this: t takes over (says why to bob)"))


@SIZES
def test_queue_progress(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        act = ActProgress(
            id="A", verb="release", state="running", as_of=1, count=14_000, done=8540, tried=8555, created=NOW
        )
        act.results = {"done": 8540, "changed": 12, "claimed": 3}
        t.app.queue.acting.running, t.app.queue.acting.rate = act, 412.0
        t.app.queue.paint()
        await t.shows("Releasing 14,000")

    look(snap_compare, size, steps)


@SIZES
@pytest.mark.parametrize("tab", ["verdict", "receipt", "body", "timeline"])
def test_queue_panes(snap_compare: Compare, size: tuple[int, int], tab: str) -> None:
    presses = {"verdict": 1, "receipt": 2, "body": 3, "timeline": 4}[tab]
    shows = {"verdict": "BAYES_99", "receipt": "ESMTPS", "body": "The body is closed", "timeline": "claim"}[tab]
    look(snap_compare, size, keys("j", *["tab"] * presses, shows=shows))


@SIZES
def test_queue_body_locked(snap_compare: Compare, size: tuple[int, int]) -> None:
    look(snap_compare, size, keys("b", shows="You may not read bodies"), role="blind")


@SIZES
def test_message(snap_compare: Compare, size: tuple[int, int]) -> None:
    look(snap_compare, size, keys("j", "enter", shows="fields not shown"))


@SIZES
@pytest.mark.parametrize(("tab", "shows"), [("verdict", "no answer within"), ("receipt", "DSN"), ("timeline", "said:")])
def test_message_parts(snap_compare: Compare, size: tuple[int, int], tab: str, shows: str) -> None:
    presses = {"verdict": 1, "receipt": 2, "timeline": 5}[tab]
    look(snap_compare, size, keys("j", "enter", *["tab"] * presses, shows=shows))


def phish() -> Store:
    """The second mail of the queue, with what there is against it."""
    store = busy()
    id = sorted(store.messages, reverse=True)[1]
    authors = [
        ("From", "it-desk@acrne.example", "it-desk@acme.example", 1, ["looks like acme.example"]),
        ("From", "second@evil.example", "", 2, ["a second From field"]),
        ("Reply-To", "x@xn--cme-5cd.example", "", 1, ["reads аcme.example", "looks like acme.example"]),
        ("Envelope", "it-desk@acrne.example", "", 1, ["another domain than From"]),
    ]
    results = [
        ("spf", "fail", "acrne.example", False),
        ("dmarc", "fail", "", False),
        ("dkim", "pass", "a.example", True),
    ]
    fields = [
        ("From", "no"),
        ("To", "sales@acme.example"),
        ("Subject", "Password expires today"),
        ("Date", "Sat, 14 Mar"),
    ]
    store.given[id, "headers"] = Headers(
        id=id,
        fields=[HeaderField(name=name, value=value) for name, value in fields],
        withheld=2,
        authors=[Author(field=f, address=a, name=name, nth=n, marks=marks) for f, a, name, n, marks in authors],
        auth=[AuthResult(method=m, result=r, of=of, by="mx", said=said) for m, r, of, said in results],
    )
    links = [
        Link(to="hxxp://acrne[.]example/login?next=/a", host="acrne[.]example", marks=["says acme[.]example"]),
        Link(to="hxxps://ok[.]example/", host="ok[.]example"),
    ]
    store.given[id, "text"] = Text(
        id=id,
        text="Dear customer,\n\nyour password expires today. Keep it: acme.example [! goes to acrne[.]example]",
        source="text/html",
        charset="iso-8859-1",
        encoding="quoted-printable",
        language="en",
        links=links,
        marks=["hidden text: 2 pieces", "a form that sends to acrne[.]example"],
    )
    store.given[id, "html"] = Text(id=id, text='<p>Dear customer,\n<p style="display:none">x', source="text/html")
    store.given[id, "hex"] = b"From: it-desk@acrne.example\r\nSubject: \x1b[2J\xff\r\n\r\n" + bytes(range(256)) * 100
    against = ["named .pdf, but its bytes are of another kind"]
    files = [("invoice.pdf", "application/pdf", "Windows program", against), ("note.txt", "text/plain", "", [])]
    store.given[id, "attachments"] = Attachments(
        id=id,
        attachments=[
            Attachment(name=n, type=t, size=14_000, sha256="5f" * 32, content=c, marks=m) for n, t, c, m in files
        ],
    )
    return store


@SIZES
@pytest.mark.parametrize(
    ("pressed", "shows"),
    [
        ((), "said: dkim pass"),
        (("b",), "hidden text: 2 pieces"),
        (("b", "i"), "display:none"),
        (("b", "i", "i"), "raw   bytes 0"),
        (("b", "i", "i", "i"), "46 72 6f 6d"),
        (("tab", "tab", "tab", "tab"), "Windows program"),
    ],
    ids=["authors", "text", "html", "raw", "hex", "attachments"],
)
def test_reading(snap_compare: Compare, size: tuple[int, int], pressed: tuple[str, ...], shows: str) -> None:
    async def steps(t: Terminal) -> None:
        await t.press("j", "enter")
        await t.shows("said: dkim pass")
        for key in pressed:
            await t.press(key)
            if key == "b":
                await t.shows("hidden text")
        await t.shows(shows)

    look(snap_compare, size, steps, phish())


@SIZES
@pytest.mark.parametrize("key", ["ctrl+r", "ctrl+d"])
def test_options(snap_compare: Compare, size: tuple[int, int], key: str) -> None:
    look(snap_compare, size, keys("j", key, "right", "right", "tab", shows="esc leaves"))


@SIZES
def test_message_recipients(snap_compare: Compare, size: tuple[int, int]) -> None:
    look(snap_compare, size, keys("j", "e", shows="r9@acme.example"))


@SIZES
def test_dialog(snap_compare: Compare, size: tuple[int, int]) -> None:
    look(snap_compare, size, keys("v", "v", "r", "4", shows="Type 44 to confirm"))


@SIZES
def test_hand_over(snap_compare: Compare, size: tuple[int, int]) -> None:
    look(snap_compare, size, keys("j", "a", shows="over to whom?"))


@SIZES
def test_rescan(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        real = t.api.store_act

        async def store_act(request: ActRequest) -> ActProgress:
            return (await real(request)).model_copy(update={"would": {"pass": 40, "hold": 4}})

        t.api.store_act = store_act
        await t.press("v", "v", "E")
        await t.shows("40 of 44 mails")

    look(snap_compare, size, steps)


@SIZES
def test_palette(snap_compare: Compare, size: tuple[int, int]) -> None:
    look(snap_compare, size, keys("ctrl+p", "d", "e", "l", shows="delete it"))


@SIZES
def test_help(snap_compare: Compare, size: tuple[int, int]) -> None:
    look(snap_compare, size, keys("question_mark", shows="claim it: nobody else"))


@SIZES
def test_people(snap_compare: Compare, size: tuple[int, int]) -> None:
    look(snap_compare, size, keys("P", "j", shows="operator at acme"))


@SIZES
def test_saved_filters(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        await t.api.save_filter("night watch", "score:>8 -from:news.example", "-score")
        await t.api.save_filter("viruses", "verdict:virus", customer="acme")
        await t.press("F")
        await t.shows("night watch")
        await t.press("j")

    look(snap_compare, size, steps)


@SIZES
def test_queue_paused(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        await t.press("z")
        t.store.hold("new@x.example", ["a@acme.example"], "new")
        await t.shows("paused 0s, 1 waiting")
        t.app.desk.rates = type("Rates", (), {"per_minute": lambda *_: (1, 0), "count": lambda *_: None})()
        t.app.queue.paint()
        await t.until(lambda: "3,313 held" in t.text)

    look(snap_compare, size, steps)


@SIZES
def test_request_to_copy(snap_compare: Compare, size: tuple[int, int]) -> None:
    look(snap_compare, size, keys("j", "j", "j", "n", *"hi", "enter", "y", shows="mail.note"))


@SIZES
def test_queue_letters(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        await t.press("apostrophe")
        await t.until(lambda: t.shown[3].startswith("a"))

    look(snap_compare, size, steps)


@SIZES
def test_acts(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        for verb, state, done in (("release", "running", 8540), ("delete", "done", 400), ("claim", "stopped", 12)):
            act = ActProgress(
                id=verb, verb=verb, state=state, as_of=1, count=14_000 if state == "running" else 412, created=NOW
            )
            act.done, act.tried, act.who, act.results = done, done + 12, "anna", {"done": done, "claimed": 12}
            t.api.acts_made[verb] = (None, act, [])
        await t.press("A")
        await t.shows("12 of 412")

    look(snap_compare, size, steps)


@SIZES
def test_act(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        newest = sorted(t.store.messages, reverse=True)
        request = ActRequest(verb=Verb.RELEASE, query="subject:invoice")
        act = ActProgress(id="A1", verb=Verb.RELEASE, state="running", as_of=1, count=14_000, created=NOW, who="anna")
        act.done, act.tried, act.results = 8540, 8555, {"done": 8540, "changed": 12, "claimed": 3}
        t.api.acts_made["A1"] = (request, act, [])
        t.api.left["A1"] = [
            MailResult(
                id=encode_mail(t.store.messages[newest[n % len(newest)]].number, 0),
                result="claimed" if n % 5 == 4 else "changed",
                status="ONHOLD" if n % 5 == 4 else "DELETED",
                detail="bob holds it" if n % 5 == 4 else "it changed meanwhile: it is DELETED now",
                mail=f"news{n}@lists.example  sales@acme.example  Your invoice {n}",
            )
            for n in range(15)
        ]
        t.api.act_progress = lambda id: _said(act)
        await t.press("A")
        await t.shows("8,540 of 14,000")
        await t.press("enter")
        await t.shows("bob holds it")

    look(snap_compare, size, steps)


async def _said(act: ActProgress) -> ActProgress:
    return act


@SIZES
def test_audit(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        t.app.open("audit.list")
        await t.shows("mail.claim")

    look(snap_compare, size, steps)


#: Mails as they come and go: more by day, and all at once a moment ago.
FLOW = Flow(
    came=[30 + 7 * (n % 5) + (90 if 40 < n < 46 else 0) for n in range(60)],
    went=[28 + 5 * (n % 7) for n in range(60)],
    came_day=[200 + 60 * min(n % 48, 48 - n % 48) for n in range(48)],
    went_day=[0 if n < 6 else 180 + 55 * min(n, 48 - n) for n in range(48)],
)


def troubled() -> Health:
    """A server with something amiss of each kind."""
    ago = lambda **past: NOW - timedelta(**past)  # noqa: E731
    up: dict[str, Any] = {"up": True, "since": ago(hours=4)}
    return Health(
        now=NOW,
        server="0.1.0",
        started=ago(hours=4),
        lag=0.004,
        disk_used=0.614,
        disk_free=84 * 10**9,
        status={"ONHOLD": 12408, "RELEASING": 41, "UNCERTAIN": 2, "RELEASED": 90_000},
        oldest=ago(days=6, hours=4),
        flow=FLOW,
        node="mail1",
        scanners=[
            ScannerState(name="spamd1", version="4.0.1", signatures_at=ago(hours=26), age=93_600, **up),
            ScannerState(
                name="clamav", version="1.4.6/27811", signatures_at=ago(hours=75), age=270_000, old=True, **up
            ),
            ScannerState(name="sophos", up=False, since=ago(minutes=3), error="no answer within 30 s"),
        ],
        next_hops=[
            NextHopState(at="mx1.acme.example:25", up=True, code=250, last=ago(seconds=2), waiting=39),
            NextHopState(
                at="mx2.acme.example:25",
                up=False,
                code=451,
                last=ago(seconds=20),
                next=NOW + timedelta(seconds=40),
                waiting=2,
            ),
        ],
        ways_in=[
            WayIn(name="smtp", at="127.0.0.1:10025", up=True),
            WayIn(name="milter", at="127.0.0.1:10028", up=True),
            WayIn(name="postfix", at="/run/rcqueue-postfix.sock", up=False, reason="the helper is not there"),
        ],
        rules=RuleFile(
            seq=9,
            kind="push",
            scanner="spamd1",
            name="november.cf",
            sha256="00",
            size=400,
            by="anna",
            at=ago(hours=3),
            outcome=Outcome.ROLLED_BACK,
        ),
        alerts=[
            Alert(
                name="signatures.clamav",
                since=ago(hours=27),
                text="the signatures or rules of clamav are older than 48 h: made 2026-03-11 00:00 UTC",
            ),
            Alert(name="scanner.sophos", since=ago(minutes=2), text="sophos is down: no answer within 30 s"),
        ],
    )


@SIZES
def test_health(snap_compare: Compare, size: tuple[int, int]) -> None:
    store = busy()
    store.health = troubled()
    look(snap_compare, size, keys("H", shows="not there"), store)


def on_its_way() -> Outgoing:
    """Two next hops, one of them paused, and mails that meet what mails meet."""
    ago = lambda **past: NOW - timedelta(**past)  # noqa: E731
    hops = troubled().next_hops
    hops[0] = hops[0].model_copy(update={"rate": 600})
    hops.append(NextHopState(at="mx3.partner.example:25", up=True, code=250, last=ago(hours=1), paused=ago(minutes=50)))
    refused = "451 4.7.1 Greylisted, please try again in 5 minutes"
    said = (
        ("mx1.acme.example:25", "ops@acme.example", Status.UNCERTAIN, 2, None, "the answer was lost after the dot"),
        ("mx1.acme.example:25", "sales@acme.example", Status.RELEASING, 1, None, ""),
        ("mx1.acme.example:25", "a.very.long.name.indeed@acme.example", Status.RELEASING, 0, 8, ""),
        ("mx2.acme.example:25", "kim@bank.example", Status.RELEASING, 4, 580, refused),
        ("mx2.acme.example:25", "jo@bank.example", Status.RELEASING, 3, 40, refused),
        ("mx3.partner.example:25", "hr@partner.example", Status.RELEASING, 0, 3, ""),
    )
    mails = [
        OutgoingMail(
            id=f"0000000000{n:06}",
            status=status,
            customer="acme",
            next_hop=hop,
            toEmail=to,
            attempts=tries,
            next=None if left is None else NOW + timedelta(seconds=left),
            reply=reply,
            version=1,
        )
        for n, (hop, to, status, tries, left, reply) in enumerate(said)
    ]
    return Outgoing(now=NOW, seq=60, mails=mails, next_hops=hops)


@SIZES
def test_outgoing(snap_compare: Compare, size: tuple[int, int]) -> None:
    store = busy()
    store.outgoing = on_its_way()
    steps = keys(*["j"] * 5, shows="try again in 5 minutes")

    async def opened(t: Terminal) -> None:
        await t.press("ctrl+o")
        await t.shows("Greylisted")
        await steps(t)

    look(snap_compare, size, opened, store)


@SIZES
def test_history(snap_compare: Compare, size: tuple[int, int]) -> None:
    store = busy()
    newest = [store.messages[i] for i in sorted(store.messages, reverse=True)]
    acts = (("delete", Status.DELETED, 9), ("release", Status.RELEASED, 3), ("release", Status.RELEASING, 1))
    for verb, status, n in acts:
        store.change(f"mail.{verb}", "anna", newest[n], range(len(newest[n].mails)), status=status)
    look(snap_compare, size, keys("h", shows="release"), store)


@SIZES
def test_campaigns(snap_compare: Compare, size: tuple[int, int]) -> None:
    store = busy()
    newest = [store.messages[i] for i in sorted(store.messages, reverse=True)]
    store.change("mail.release", "anna", newest[13], [0], status=Status.RELEASED)
    store.change("mail.delete", "bob", newest[15], [0], status=Status.DELETED)
    newest[23].subject = "Everything must go"
    look(snap_compare, size, keys("m", "j", "v", shows="1 marked"), store)


@SIZES
def test_expiring(snap_compare: Compare, size: tuple[int, int]) -> None:
    store = busy()
    store.expiring = 41
    look(snap_compare, size, keys("X", shows="expiring unread   3,312 held"), store)


@SIZES
def test_wall(snap_compare: Compare, size: tuple[int, int]) -> None:
    store, health = busy(), troubled()
    store.wall = Wall(
        now=NOW,
        status=health.status,
        verdict={"SPAM": 11_020, "PHISH": 902, "ATTACHMENT": 377, "VIRUS": 109},
        customers={"acme/sales": 7800, "acme": 3100, "bank": 1400, "partner": 108},
        oldest=health.oldest,
        flow=FLOW,
        alerts=health.alerts,
    )
    look(snap_compare, size, keys(), store, role="wall")


@SIZES
def test_queue_alerts(snap_compare: Compare, size: tuple[int, int]) -> None:
    store = busy()
    store.health = troubled()
    look(snap_compare, size, keys("j", shows="2 alerts"), store)


@SIZES
def test_demo(snap_compare: Compare, size: tuple[int, int]) -> None:
    accounts = tuple(
        DemoAccount(n, r, "correct horse") for n, r in (("anna", "admin"), ("bea", "operator"), ("cy", "blind"))
    )
    info = DemoInfo("http://127.0.0.1:18025", "127.0.0.1:18026", "/tmp/rcqueue-demo-x/next-hop", accounts)

    async def steps(t: Terminal) -> None:
        t.app.open("view.demo")
        await t.shows("Another terminal")

    look(snap_compare, size, steps, demo=info)


@SIZES
def test_login(snap_compare: Compare, size: tuple[int, int]) -> None:
    async def steps(t: Terminal) -> None:
        await t.shows("enter signs in")
        await t.type("wrong")
        await t.press("enter")
        await t.shows("name or password is wrong")

    look(snap_compare, size, steps, password="")
