"""Mail to a next hop over TLS: a real Postfix with a certificate of the test's own CA. Refused, nothing goes in
clear."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from rcqueue.demo.ports import bind
from rcqueue.server.store import tables as t
from tests.realparts.certificates import Authority
from tests.realparts.postfix import Postfix, comes

from .harness import MAIL, Queue, free_port
from .post import Post, released, until

pytestmark = pytest.mark.xdist_group("tls-out")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
async def postfix(authority):
    """One that offers STARTTLS, and one port that offers none."""
    cert, key = authority.certificate("DNS:mx.rcq.example", "DNS:localhost")
    main = {
        "smtpd_tls_security_level": "may",
        "smtpd_tls_chain_files": f"{key}, {cert}",
        "smtpd_tls_loglevel": "1",
        "smtpd_tls_received_header": "yes",
    }
    plain = free_port()
    async with Postfix(main, f"127.0.0.1:{plain} inet n - n - - smtpd -o smtpd_tls_security_level=none\n") as postfix:
        postfix.plain = plain
        yield postfix


@pytest.fixture
async def post(queue, postfix):
    post = Post(queue, postfix.port)
    yield post
    await post.stop()
    for mail in postfix.mail.glob("all/new/*"):
        mail.unlink()


async def end(queue: Queue, to: str = "ben@rcq.example", raw: bytes = MAIL) -> dict:
    """Releases a mail, and gives the entry of its first attempt: facts and reply."""
    held = await released(queue, to, raw)
    found: list[dict] = []

    async def there() -> bool:
        for kind in ("released", "retry", "refused", "uncertain"):
            found.extend(e for e in await queue.entries(f"mail.{kind}") if e["message"] == held.number)
        return bool(found)

    await until(there, True, 12)
    return {"kind": found[0]["kind"], **found[0]["facts"], **found[0]["personal"]}


async def test_opportunistic_takes_what_is_offered(queue, post, postfix):
    await post.start()
    entry = await end(queue)
    assert entry["kind"] == "mail.released" and entry["tls"].startswith("TLSv1.3 TLS_AES_")
    (mail,) = await comes(postfix.delivered)
    assert b"(using TLSv1.3 with cipher TLS_AES_" in mail
    assert entry["queue_id"] in postfix.log()
    (attempt,) = await queue.rows(t.attempt)
    assert attempt["queue_id"] == entry["queue_id"]
    await post.stop()
    post.port = postfix.plain
    await post.start()
    plain = await end(queue)
    assert plain["kind"] == "mail.released" and "tls" not in plain


@pytest.mark.parametrize("name", ["mx.rcq.example", ""])
async def test_verified(queue, post, authority, name):
    """By a name of its own, and by the host of its address."""
    hop = f"{'127.0.0.1' if name else 'localhost'}:{post.port}"
    await post.start(default=hop, at=[{"address": hop, "tls": "verify", "ca": authority.file, "name": name}])
    entry = await end(queue)
    assert entry["kind"] == "mail.released" and entry["tls"].endswith(", verified")


async def test_a_large_mail_and_several_on_one_connection(queue, post, postfix, authority):
    hop = f"127.0.0.1:{post.port}"
    await post.start(sessions=1, tls="verify", ca=authority.file, at=[{"address": hop, "name": "mx.rcq.example"}])
    large = MAIL + b"0123456789abcdef" * 8 + b"\r\n"
    for raw in (MAIL, large * 20_000, MAIL):
        assert (await end(queue, raw=raw))["kind"] == "mail.released"
    found = await comes(lambda: len(found := postfix.delivered()) == 3 and found)
    assert max(map(len, found)) > 2_000_000


REFUSED = {
    "another name": ({"tls": "verify", "name": "mx.other.example"}, "not valid for 'mx.other.example'"),
    "the address": ({"tls": "verify"}, "not valid for '127.0.0.1'"),
    "an unknown CA": (
        {"tls": "verify", "ca": None, "name": "mx.rcq.example"},
        "unable to get local issuer certificate",
    ),
    "another CA": (
        {"tls": "verify", "ca": "other", "name": "mx.rcq.example"},
        "unable to get local issuer certificate",
    ),
    "no certificates": ({"tls": "verify", "ca": "rubbish"}, "no certificates can be read from"),
    "not offered": ({"tls": "required"}, "it does not offer STARTTLS"),
    "not offered, verify": ({"tls": "verify"}, "it does not offer STARTTLS"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused_it_is_tried_again_and_never_sent_in_clear(queue, post, postfix, authority, tmp_path, case):
    settings, reply = REFUSED[case]
    (tmp_path / "rubbish").write_text("no certificate")
    ca = {"other": Authority(tmp_path / "other").file, "rubbish": tmp_path / "rubbish"}
    settings = {"ca": authority.file if settings["tls"] == "verify" else None, **settings}
    port = postfix.plain if "offered" in case else postfix.port
    at = {"address": f"127.0.0.1:{port}", **settings, "ca": ca.get(settings["ca"], settings["ca"])}
    post.port = port
    await post.start(at=[at])
    entry = await end(queue)
    assert entry["kind"] == "mail.retry" and entry["code"] == 0 and reply in entry["reply"], entry
    assert "tls" not in entry and not postfix.delivered()
    (mail,) = await queue.rows(t.mail)
    assert mail["status"] == "RELEASING"


async def test_required_asks_for_no_name(queue, post):
    await post.start(tls="required")
    entry = await end(queue)
    assert entry["kind"] == "mail.released" and entry["tls"].startswith("TLSv1.3") and "verified" not in entry["tls"]


async def test_none_is_none(queue, post):
    await post.start(tls="none")
    entry = await end(queue)
    assert entry["kind"] == "mail.released" and "tls" not in entry


@pytest.mark.parametrize(("tls", "kind"), [("opportunistic", "released"), ("required", "retry")])
@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "220 go"])
async def test_starttls_offered_and_not_had(queue, post, tls, kind, answer):
    """A server that offers TLS and then speaks none: in clear on another connection, or not at all."""
    heard: list[list[bytes]] = []

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append([])
        writer.write(b"220 hop\r\n")
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                heard[-1].append(line)
                says = {b"EHLO": "250-hop\r\n250 STARTTLS", b"STAR": answer, b"DATA": "354 go"}.get(line[:4], "250 ok")
                writer.write(says.encode() + b"\r\n")
                if says == "220 go":
                    writer.write(b"this is no TLS\r\n" * 20)
                    break
        writer.close()

    sock = bind("127.0.0.1")
    server = await asyncio.start_server(client, sock=sock)
    post.port = sock.getsockname()[1]
    await post.start(tls=tls, timeout="2s")
    entry = await end(queue)
    await post.stop()
    server.close()
    assert entry["kind"] == f"mail.{kind}", entry
    mails = [any(line.startswith(b"MAIL") for line in lines) for lines in heard]
    assert mails[:2] == ([False, True] if kind == "released" else [False])[: len(mails)]
    assert kind == "released" or not any(mails)
