"""What a real rspamd's metadata_exporter posts is held with every symbol, under a token that can do nothing else."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

from rcqueue.model.act import Verb
from rcqueue.server.store import tables as t
from tests.realparts import rspamd as real
from tests.realparts.postfix import comes
from tests.server.live import Live

MAIL = (
    b"From: Ada <ada@sender.example>\r\nTo: Ben <ben@example.org>\r\nSubject: %s\r\nMessage-ID: <1@sender.example>\r\n"
    b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n%s\r\n"
)


@pytest.fixture
async def live(tmp_path):
    async with Live(tmp_path, recall="0s") as live:
        yield live


async def token(live: Live, scope: str) -> str:
    async with httpx.AsyncClient(base_url=live.url, trust_env=False) as client:
        said = await client.post(
            "/api/v1/tokens",
            json={"label": "rspamd", "scope": scope, "days": 9},
            headers={"Authorization": f"Bearer {live.tokens['anna']}", "Idempotency-Key": scope},
        )
        return str(said.json()["token"])


async def rows(live: Live, table: object) -> list[dict]:
    return await live.server.marshal.database.read(
        lambda c: [dict(row) for row in c.execute(table.select()).mappings()]
    )


@pytest.mark.xdist_group("rspamd")
async def test_what_rspamd_stops_is_held(live):
    with real.running(exporter=(f"{live.url}/api/v1/rspamd", await token(live, "hold"))) as rspamd:
        async with httpx.AsyncClient(trust_env=False) as client:
            # (GTUBE is not exported: rspamd ends with it before it exports.)
            for subject, settings in ((b"spam", '{"actions": {"reject": 0.5}}'), (b"ham", "{}")):
                said = await client.post(
                    f"http://127.0.0.1:{rspamd.port}/checkv2",
                    content=MAIL % (subject, b"Lunch at one?"),
                    headers=[
                        ("From", "ada@sender.example"),
                        ("Rcpt", "ben@example.org"),
                        ("Rcpt", "cleo@example.org"),
                        ("Settings", settings),
                        ("IP", "198.51.100.7"),
                        ("Queue-Id", f"4Zq{subject.decode()}"),
                    ],
                    timeout=20,
                )
                assert said.status_code == 200
            found = await comes(lambda: _two(live))
    held, passed = sorted(found, key=lambda row: row["passed"])
    assert (held["subject"], held["onhold"], held["origin"]) == ("spam", 2, "rspamd:4Zqspam")
    assert (passed["subject"], passed["passed"], passed["onhold"]) == ("ham", 2, 0)
    assert {"MIME_GOOD", "RCVD_COUNT_ZERO"} <= set(json.loads(held["rules"])) and held["score"] >= 0.5
    details = {row["message"]: row for row in await rows(live, t.message_detail)}
    receipt = json.loads(details[held["id"]]["receipt"])
    assert (receipt["client"], receipt["ident"], receipt["sender"]) == ("198.51.100.7", "4Zqspam", "ada@sender.example")
    (result,) = json.loads(details[held["id"]]["scans"])
    points = {rule["name"]: rule["points"] for rule in result["rules"]}
    assert points["MIME_GOOD"] == -0.1 and points["RCVD_COUNT_ZERO"] == 0
    assert result["scanner"] == "rspamd" and result["reason"] == "rspamd: reject"
    (blob,) = await rows(live, t.blob)
    assert blob["data"].replace(b"\r\n", b"\n") == (MAIL % (b"spam", b"Lunch at one?")).replace(b"\r\n", b"\n")


async def _two(live: Live) -> list[dict] | None:
    found = await rows(live, t.message)
    return found if len(found) == 2 else None


FIELDS = {
    "X-Rspamd-Action": "reject",
    "X-Rspamd-Rcpt": '["ben@example.org"]',
    "X-Rspamd-From": "unknown",
    "X-Rspamd-Qid": "unknown",
    "X-Rspamd-Ip": "unknown",
    "X-Rspamd-Score": "15.5",
    "X-Rspamd-Symbols": '[{"name":"CLAM_VIRUS","score":2,"options":["Eicar"]},{"name":1},7,{"name":"X","score":"y"}]',
}


async def post(
    live: Live, secret: str, fields: dict[str, str], *, basic: bool = True, raw: bytes = MAIL % (b"x", b"y")
) -> httpx.Response:
    auth = "Basic " + base64.b64encode(f"rcqueue:{secret}".encode()).decode() if basic else f"Bearer {secret}"
    async with httpx.AsyncClient(base_url=live.url, trust_env=False) as client:
        headers = {"Authorization": auth, **{k: v.encode() for k, v in fields.items()}}
        return await client.post("/api/v1/rspamd", content=raw, headers=headers)


async def test_who_may(live):
    good = await token(live, "hold")
    assert (await post(live, good, FIELDS)).json()["ids"] and (await post(live, good, FIELDS, basic=False)).is_success
    assert (await post(live, live.tokens["ben"], FIELDS)).status_code == 403
    assert (await post(live, await token(live, "view"), FIELDS)).status_code == 403
    assert (await post(live, "x", FIELDS)).status_code == 401
    async with httpx.AsyncClient(base_url=live.url, trust_env=False) as client:
        for auth in ("Basic !!!", "Basic", "Basic eA==", "Digest x"):
            said = await client.post("/api/v1/rspamd", headers={"Authorization": auth})
            assert said.status_code == 401 and said.json()["type"] == "urn:rcqueue:unauthorized"
        said = await client.get("/api/v1/mails", headers={"Authorization": f"Bearer {good}"})
        assert not said.is_success or not said.json()["rows"]
    (first, _) = await rows(live, t.message)
    assert (first["verdict"], first["score"], first["sender"]) == ("VIRUS", 15.5, "")
    assert json.loads(first["rules"]) == ["CLAM_VIRUS", "X"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("X-Rspamd-Action", ""),
        ("X-Rspamd-Rcpt", ""),
        ("X-Rspamd-Rcpt", "unknown"),
        ("X-Rspamd-Rcpt", "[]"),
        ("X-Rspamd-Rcpt", "[1]"),
        ("X-Rspamd-Rcpt", '["a\\nb@x"]'),
        ("X-Rspamd-Rcpt", "["),
        ("X-Rspamd-Rcpt", '{"a":1}'),
        ("X-Rspamd-Symbols", "nonsense"),
    ],
)
async def test_bad_input_is_named_and_nothing_held(live, field, value):
    said = await post(live, live.tokens["anna"], {**FIELDS, field: value})
    assert said.status_code == 400 and "expected" in said.json()["detail"]
    assert not await rows(live, t.message)


@pytest.mark.parametrize("action", ["greylist", "soft reject", "no action", "add header"])
async def test_what_rspamd_did_not_stop_is_not_held(live, action):
    said = await post(live, live.tokens["anna"], {**FIELDS, "X-Rspamd-Action": action})
    assert said.json() == {"ids": []}
    assert [row["onhold"] for row in await rows(live, t.message)] in ([], [0])


async def test_what_was_released_from_here_is_no_spam_of_its(live):
    """rspamd asks nobody about passes: what it stops of our releases is held as what it is, a loop."""
    (held,) = await live.send(MAIL % (b"released", b"y"))
    await live.api("anna").act(held, Verb.RELEASE)
    (got,) = await comes(lambda: live.next_hop.received(), 15)
    mine = {**FIELDS, "X-Rspamd-From": "ada@sender.example"}
    for action, raw in (("no action", got.raw), ("reject", got.raw), ("reject", got.raw + b"more\r\n")):
        await post(live, live.tokens["anna"], {**mine, "X-Rspamd-Action": action}, raw=raw)
    details = {row["message"]: json.loads(row["verdict"])["reason"] for row in await rows(live, t.message_detail)}
    _, passed, loop, judged = [(row["verdict"], details[row["id"]]) for row in await rows(live, t.message)]
    assert passed[1].startswith("released from here as ") and judged == ("VIRUS", "rspamd: reject")
    assert loop[0] == "POLICY" and loop[1].startswith("loop: released as ") and loop[1].endswith("came back again")
