"""The calls: what goes out, what comes in made safe, problems, lost answers, and where a token may go."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request, Response

from rcqueue.client.api import Api, ApiProblem, Unreachable
from rcqueue.client.feed import Connected, Feed, Lost
from rcqueue.client.session import SessionError
from rcqueue.model.act import ActBody, ActRequest, Verb
from rcqueue.model.mail import Envelope, Headers, Part, RoleGrant, Text

from .standin import PASSWORD, RAW, TIME, TOKEN, StandIn, mail_id, problem, refuses, row

EVIL = "\x1b[2J\x9b31m\u202e\x07evil"
TLS = Path(__file__).parent / "tls"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rcqueue.client.http._PAUSES", (0.01, 0.01, 0.01))


@pytest.fixture
async def api(standin: StandIn):
    api = Api(standin.url, TOKEN)
    yield api
    await api.close()


class Losing(httpx.AsyncBaseTransport):
    """Lets requests through and loses the first answers."""

    def __init__(self, lost: int, error: type[httpx.TransportError] = httpx.ReadError) -> None:
        self._real = httpx.AsyncHTTPTransport()
        self.lost = lost
        self._error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._real.handle_async_request(request)
        await answer.aread()
        if self.lost:
            self.lost -= 1
            raise self._error("lost", request=request)
        return answer


# -- calls

ACT = {"id": "A1", "verb": "release", "state": "stored", "as_of": 9, "count": 2, "created": TIME}
M = mail_id(1)

CALLS: list[tuple[str, Any, Any, str, Any]] = [
    # name, the call, what the server answers, the request line, the body
    ("whoami", lambda a: a.whoami(), None, "GET /api/v1/whoami", None),
    (
        "create_token",
        lambda a: a.create_token("script", "view", 7),
        {"token": "t", "id": "1", "ends": TIME},
        "POST /api/v1/tokens",
        {"label": "script", "scope": "view", "days": 7},
    ),
    (
        "page",
        lambda a: a.page("from:gmail.com score:>8", "time", time=datetime(2026, 1, 2, 3, 4, 5, 678000, UTC), limit=20),
        {"seq": 1, "rows": []},
        "GET /api/v1/mails?query=from%3Agmail.com%20score%3A%3E8&sort=time&time=2026-01-02T03%3A04%3A05.678Z&limit=20",
        None,
    ),
    (
        "last page",
        lambda a: a.page(end=True),
        {"seq": 1, "rows": []},
        "GET /api/v1/mails?query=&sort=-time&end=1&limit=100",
        None,
    ),
    (
        "rows",
        lambda a: a.rows(["A", "B"], "x"),
        {"seq": 1, "rows": []},
        "GET /api/v1/mails/rows?ids=A%2CB&query=x",
        None,
    ),
    ("counts", lambda a: a.counts(), None, "GET /api/v1/counts", None),
    (
        "counts of a query",
        lambda a: a.counts(""),
        {"seq": 1, "status": {}, "matching": 3, "capped": True, "others": {"RELEASED": 1}},
        "GET /api/v1/counts?query=",
        None,
    ),
    ("summary", lambda a: a.summary(M, "x"), None, f"GET /api/v1/mails/{M}?query=x", None),
    ("part", lambda a: a.part(M, Part.HEADERS), None, f"GET /api/v1/mails/{M}/headers", None),
    (
        "act",
        lambda a: a.act(M, Verb.EXTEND, ActBody(as_of=7, fence=3, expiry=datetime(2026, 1, 1, tzinfo=UTC))),
        None,
        f"POST /api/v1/mails/{M}/extend",
        {"as_of": 7, "fence": 3, "expiry": "2026-01-01T00:00:00.000Z"},
    ),
    (
        "store_act",
        lambda a: a.store_act(ActRequest(verb=Verb.RELEASE, query="")),
        ACT,
        "POST /api/v1/acts",
        {"verb": "release", "query": ""},
    ),
    ("confirm_act", lambda a: a.confirm_act("A1", 2), ACT, "POST /api/v1/acts/A1/confirm", {"expect": 2}),
    ("act_progress", lambda a: a.act_progress("A1"), ACT, "GET /api/v1/acts/A1", None),
    (
        "act_results",
        lambda a: a.act_results("A1", 5),
        {"results": [], "next": None},
        "GET /api/v1/acts/A1/results?after=5&limit=500",
        None,
    ),
    ("stop_act", lambda a: a.stop_act("A1"), ACT, "POST /api/v1/acts/A1/stop", None),
    ("acts", lambda a: a.acts(), [ACT], "GET /api/v1/acts", None),
    ("people", lambda a: a.people(), {"people": [{"name": "anna", "sessions": 1}]}, "GET /api/v1/people", None),
    (
        "create_person",
        lambda a: a.create_person("bo", "pw", [RoleGrant(role="blind", customer="acme")]),
        {},
        "POST /api/v1/people",
        {"name": "bo", "password": "pw", "roles": [{"role": "blind", "customer": "acme"}]},
    ),
    (
        "lock",
        lambda a: a.change_person("b/o", "lock", {"lock": "bodies"}),
        {},
        "POST /api/v1/people/b%2Fo/lock",
        {"lock": "bodies"},
    ),
    ("enable", lambda a: a.change_person("bo", "enable"), {}, "POST /api/v1/people/bo/enable", {}),
    (
        "set_password",
        lambda a: a.set_password("bo", "pw"),
        {},
        "POST /api/v1/people/bo/password",
        {"password": "pw"},
    ),
    (
        "audit",
        lambda a: a.audit(5, 10, "anna"),
        {"entries": [], "next": None},
        "GET /api/v1/audit?since=5&limit=10&account=anna",
        None,
    ),
    (
        "entries",
        lambda a: a.entries(4, wait=2),
        {"from": 5, "to": 5, "entries": []},
        "GET /api/v1/entries?since=4&wait=2",
        None,
    ),
]


@pytest.mark.parametrize(("call", "answer", "line", "body"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS])
async def test_what_goes_out(standin: StandIn, api: Api, call: Any, answer: Any, line: str, body: Any) -> None:
    method, _, path = line.partition(" ")
    if answer is not None:
        from urllib.parse import unquote

        standin.answers[f"{method} {unquote(path.partition('?')[0])}"] = answer
    await call(api)
    ((seen_method, seen_path, headers, content),) = standin.requests
    assert (seen_method, seen_path.replace("+", "%20")) == (method, unquote_path(path))
    assert (json.loads(content) if content else None) == body
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert ("idempotency-key" in headers) == (method == "POST")
    assert "cookie" not in headers


def unquote_path(path: str) -> str:
    """As the stand-in notes it: the path decoded, the parameters as they came."""
    from urllib.parse import unquote

    start, mark, params = path.partition("?")
    return unquote(start) + mark + params


async def test_login_signs_the_calls_after_it(standin: StandIn) -> None:
    api = Api(standin.url, None)
    answer = await api.login("anna", PASSWORD, "cli", "here")
    assert answer.token == TOKEN
    assert (await api.whoami()).name == "anna"
    await api.logout()
    assert json.loads(standin.requests[0][3]) == {
        "name": "anna",
        "password": PASSWORD,
        "kind": "cli",
        "label": "here",
    }
    assert "authorization" not in standin.requests[0][2]
    await api.close()


async def test_parts_come_as_their_models(api: Api) -> None:
    headers, envelope, text = [await api.part(M, part) for part in ("headers", "envelope", "text")]
    assert isinstance(headers, Headers)
    assert isinstance(envelope, Envelope)
    assert isinstance(text, Text)
    assert envelope.mails[0].id == M + "000"
    assert text.text.split("\n")[0] == "one"
    assert "\x1b" not in text.text


async def test_raw_bytes_are_the_stored_ones(api: Api) -> None:
    assert b"".join([chunk async for chunk in api.raw(M)]) == RAW


async def test_a_key_an_act_and_a_fresh_one_for_the_next(standin: StandIn, api: Api) -> None:
    await api.act(M, "claim")
    await api.act(M, "claim")
    await api.act(M, "claim", key="mine")
    keys = [headers["idempotency-key"] for headers, _ in standin.calls("POST", f"/api/v1/mails/{M}/claim")]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"
    assert all(len(key) >= 20 for key in keys[:2])


# -- what comes in


async def test_every_text_is_made_safe(standin: StandIn, api: Api) -> None:
    standin.rows = [row(1, subject=EVIL, rules=[EVIL], claim={"who": EVIL, "mails": 1}, fromEmail=EVIL)]
    (shown,) = (await api.page()).rows
    assert shown.claim is not None
    for text in (shown.subject, *(shown.rules or ()), shown.claim.who, shown.fromEmail):
        assert text and text.endswith("evil") and text.isprintable() and "\u202e" not in text


async def test_problems_come_with_their_members(standin: StandIn, api: Api) -> None:
    standin.answers["GET /api/v1/mails"] = problem("query", 400, "no such term " + EVIL, term="fro:x", place=0)
    with pytest.raises(ApiProblem) as caught:
        await api.page("fro:x")
    assert (caught.value.type, caught.value.status) == ("query", 400)
    assert caught.value.extra == {"term": "fro:x", "place": 0}
    assert str(caught.value).startswith("no such term") and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "answer",
    [
        Response("<html>Bad gateway</html>", 502, media_type="text/html"),
        Response("[" * 100_000, 500, media_type="application/json"),
        Response("{}", 500, media_type="application/problem+json"),
        Response("", 302, headers={"Location": "http://127.0.0.1:1/"}),
        Response("not json", 200),
        Response("[" * 100_000, 200),
        Response('{"rows": "SECRET", "seq": 1}', 200),
        Response("null", 200),
    ],
    ids=["html", "deep problem", "empty problem", "redirect", "no json", "deep", "misfit", "null"],
)
async def test_an_answer_that_is_none(standin: StandIn, api: Api, answer: Response) -> None:
    standin.answers["GET /api/v1/mails"] = answer
    with pytest.raises(ApiProblem) as caught:
        await api.page()
    assert caught.value.type == "unexpected"
    assert "SECRET" not in str(caught.value)
    assert len(str(caught.value)) < 600


async def test_acpi_lines_are_json_objects_as_they_were_and_fit_to_be_shown(standin: StandIn, api: Api) -> None:
    subjects = ["plain", "é \u2028 \x85 \u202e 😀", "\x7f\x9b"]
    body = "".join(json.dumps({"subject": text}, ensure_ascii=False) + "\n" for text in subjects)
    standin.answers["POST /acpi"] = Response(body.rstrip("\n"), media_type="application/x-ndjson")
    lines = [line async for line in api.acpi({"status": "ONHOLD"})]
    assert [json.loads(line)["subject"] for line in lines] == subjects
    assert all(char not in line for line in lines for char in "\u2028\x85\u202e\x7f\x9b")
    assert "é" in lines[1] and "😀" in lines[1]


async def test_acpi_mistakes_are_lines_too(standin: StandIn, api: Api) -> None:
    standin.answers["POST /acpi"] = Response('{"code":"ERROR","message":"unknown key"}\n', 400)
    assert [line async for line in api.acpi({})] == ['{"code":"ERROR","message":"unknown key"}']


# -- lost answers


@pytest.mark.parametrize("error", [httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.WriteError])
async def test_a_write_is_sent_again_under_its_key(standin: StandIn, error: type[httpx.TransportError]) -> None:
    api = Api(standin.url, TOKEN, transport=Losing(2, error))
    answer = await api.act(M, "release", ActBody(reason="x"))
    calls = standin.calls("POST", f"/api/v1/mails/{M}/release")
    assert len(calls) == 3
    assert len({(headers["idempotency-key"], body) for headers, body in calls}) == 1
    assert standin.written == [f"/api/v1/mails/{M}/release"], "done once"
    assert answer.done == 1
    await api.close()


async def test_an_answer_that_stays_lost_says_so(standin: StandIn) -> None:
    api = Api(standin.url, TOKEN, transport=Losing(99))
    with pytest.raises(Unreachable) as caught:
        await api.act(M, "release")
    assert caught.value.lost
    assert caught.value.key == standin.calls("POST", f"/api/v1/mails/{M}/release")[0][0]["idempotency-key"]
    assert "may have been done" in str(caught.value)
    with pytest.raises(Unreachable) as reading:
        await api.whoami()
    assert not reading.value.lost
    await api.close()


async def test_acpi_is_sent_again_under_its_key(standin: StandIn) -> None:
    api = Api(standin.url, TOKEN, transport=Losing(1))
    assert len([line async for line in api.acpi({"set": "DELETED"})]) == 5
    keys = {headers["idempotency-key"] for headers, _ in standin.calls("POST", "/acpi")}
    assert len(standin.calls("POST", "/acpi")) == 2
    assert len(keys) == 1
    await api.close()


async def test_a_login_is_never_sent_twice(standin: StandIn) -> None:
    api = Api(standin.url, None, transport=Losing(1))
    with pytest.raises(Unreachable):
        await api.login("anna", PASSWORD, "cli")
    assert len(standin.requests) == 1
    await api.close()


async def test_a_server_that_is_not_there() -> None:
    api = Api(refuses(), TOKEN)
    with pytest.raises(Unreachable, match="connection refused") as caught:
        await api.act(M, "release")
    assert not caught.value.lost
    await api.close()


# -- where a token may go


@pytest.mark.parametrize(
    "url",
    ["http://mail.example:8025", "http://10.0.0.1", "http://127.0.0.1.evil.example", "http://[2001:db8::1]:80"],
)
def test_never_in_clear_over_a_network(url: str) -> None:
    with pytest.raises(SessionError, match="in clear"):
        Api(url, TOKEN)


@pytest.mark.parametrize(
    "url", ["ftp://x", "mail.example", "https://", "https://a:b@x", "https://x/?q", "http://[::1", ""]
)
def test_what_is_no_address_of_a_server(url: str) -> None:
    with pytest.raises(SessionError) as caught:
        Api(url, TOKEN)
    assert "a:b" not in str(caught.value)


async def test_no_proxy_from_the_environment(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, refuses())
    api = Api(standin.url, TOKEN)
    assert (await api.whoami()).name == "anna"
    await api.close()


async def test_tls_by_the_certificates_of_ca_alone() -> None:
    server = StandIn()
    server.start(ssl_certfile=str(TLS / "cert.pem"), ssl_keyfile=str(TLS / "key.pem"))
    url = server.url.replace("http:", "https:")
    try:
        trusting = Api(url, TOKEN, ca=str(TLS / "cert.pem"))
        assert (await trusting.whoami()).name == "anna"
        async for event in Feed(url, TOKEN, ca=str(TLS / "cert.pem")).events():
            assert isinstance(event, Connected)
            break
        doubting = Api(url, TOKEN)
        with pytest.raises(Unreachable, match="certificate"):
            await doubting.whoami()
        async for event in Feed(url, TOKEN).events():
            assert isinstance(event, Lost)
            assert "certificate" in event.why
            break
        assert len(server.requests) == 1, "no token went to whom nobody trusts"
        await trusting.close()
        await doubting.close()
    finally:
        server.stop()


def test_a_file_that_holds_no_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(SessionError, match=f"{name}: expected a file of certificates"):
            Api("https://mail.example", TOKEN, ca=str(tmp_path / name))


async def test_a_redirect_is_not_followed(standin: StandIn, api: Api) -> None:
    def elsewhere(request: Request, body: bytes) -> Response:
        return Response(status_code=307, headers={"Location": "/api/v1/whoami"})

    standin.answers["GET /api/v1/counts"] = elsewhere
    with pytest.raises(ApiProblem, match="307"):
        await api.counts()
    assert len(standin.requests) == 1
