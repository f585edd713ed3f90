"""The next hop keeps bytes as they were sent, and misbehaves exactly as told."""

from __future__ import annotations

import asyncio
import itertools
import smtplib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rcqueue.demo.mail import messages
from rcqueue.demo.next_hop import ACCEPT, Behaviour, NextHop, by_local_part
from rcqueue.demo.ports import bind

#: What MTAs change and this must not: 8-bit, a line of 100,000 bytes, dots, NUL, bare LF and CR.
CONTENT = (
    b"Subject: gr\xfc\xdfe \xf0\x9f\x98\x80\r\nX-Long: "
    + b"x" * 100_000
    + b"\r\n\r\n.\r\n..\r\n.dot\r\n\x00\x80\xff bare\nlf \rcr \n.\n\r\n\r\n\t trailing \r\n"
)


@pytest.fixture
async def next_hop(tmp_path: Path) -> AsyncIterator[Callable[..., NextHop]]:
    """Makes a started next hop; all made are stopped."""
    made = []

    async def make(behaviour: Callable[[str], Behaviour] = by_local_part) -> NextHop:
        made.append(NextHop(tmp_path / "next-hop", behaviour))
        await made[-1].start()
        return made[-1]

    yield make
    for hop in made:
        await hop.stop()


async def send(
    hop: NextHop, *recipients: str, content: bytes = CONTENT, sender: str = "a@a.example"
) -> tuple[int, str]:
    """The last reply of a transaction, (0, "") when the connection was lost before one."""

    def talk() -> tuple[int, str]:
        with smtplib.SMTP(hop.host, hop.port, "client.example", timeout=10) as client:
            client.command_encoding = "utf-8"
            client.ehlo("client.example")
            client.docmd(f"MAIL FROM:<{sender}> BODY=8BITMIME SMTPUTF8 SIZE={len(content)}")
            for recipient in recipients:
                code, text = client.docmd(f"RCPT TO:<{recipient}>")
                if code >= 400:
                    return code, text.decode()
            stuffed = content.replace(b"\r\n.", b"\r\n..")
            try:
                client.docmd("DATA")
                client.send((b"." if stuffed.startswith(b".") else b"") + stuffed + b".\r\n")
                code, text = client.getreply()
            except smtplib.SMTPServerDisconnected:
                return 0, ""
            return code, text.decode()

    return await asyncio.to_thread(talk)


async def test_bytes_and_envelope_are_kept_exactly(next_hop: Callable[..., NextHop]) -> None:
    hop = await next_hop()
    assert (await send(hop, "b@b.example", "δοκιμή@c.example"))[0] == 250
    assert (await send(hop, "c@b.example", content=b"", sender=""))[0] == 250
    first, second = hop.received()
    assert (first.sender, first.recipients, first.raw) == ("a@a.example", ("b@b.example", "δοκιμή@c.example"), CONTENT)
    assert (second.sender, second.recipients, second.raw) == ("", ("c@b.example",), b"")
    assert first.at <= second.at
    assert list((hop.folder / "tmp").iterdir()) == []


async def test_the_demos_mail_arrives_byte_for_byte(next_hop: Callable[..., NextHop]) -> None:
    hop = await next_hop(lambda _: ACCEPT)
    sent = list(itertools.islice(messages(2, kinds={"hostile": 2, "broken": 4, "script": 1, "bounce": 1}), 120))
    for sample in sent:
        assert (await send(hop, *sample.recipients, content=sample.raw, sender=sample.sender))[0] == 250
    assert [(mail.sender, mail.recipients, mail.raw) for mail in hop.received()] == [
        (sample.sender, sample.recipients, sample.raw) for sample in sent
    ]


async def test_a_permanent_refusal_keeps_nothing(next_hop: Callable[..., NextHop]) -> None:
    hop = await next_hop()
    for _ in range(3):
        assert await send(hop, "Full.Mailbox@b.example") == (552, "5.2.2 Mailbox full")
    assert await send(hop, "left.company@b.example") == (550, "5.1.1 No such user here")
    assert hop.received() == []
    assert hop.attempts["Full.Mailbox@b.example"] == 3


async def test_a_temporary_refusal_ends_after_its_times(next_hop: Callable[..., NextHop]) -> None:
    hop = await next_hop(lambda _: Behaviour(refuse="451 4.7.1 later", times=2))
    codes = [(await send(hop, "b@b.example"))[0] for _ in range(4)]
    assert codes == [451, 451, 250, 250]
    assert len(hop.received()) == 2


async def test_a_refusal_after_the_dot(next_hop: Callable[..., NextHop]) -> None:
    hop = await next_hop(lambda r: Behaviour(refuse="554 5.7.1 no", at_data=True) if r.startswith("b@") else ACCEPT)
    assert await send(hop, "a@b.example", "b@b.example") == (554, "5.7.1 no")
    assert hop.received() == []
    assert (await send(hop, "a@b.example"))[0] == 250


@pytest.mark.parametrize("kept", [True, False])
async def test_a_lost_answer_leaves_the_client_in_doubt(next_hop: Callable[..., NextHop], kept: bool) -> None:
    hop = await next_hop(lambda _: Behaviour(lose_answer=True, kept=kept, times=1))
    assert await send(hop, "b@b.example") == (0, "")
    assert [mail.raw for mail in hop.received()] == [CONTENT] * kept
    assert (await send(hop, "b@b.example"))[0] == 250
    assert len(hop.received()) == 1 + kept


async def test_a_delayed_answer(next_hop: Callable[..., NextHop]) -> None:
    hop = await next_hop(lambda _: Behaviour(delay=0.2))
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await send(hop, "b@b.example"))[0] == 250
    assert loop.time() - began >= 0.2


async def test_many_at_once_arrive_once_each(next_hop: Callable[..., NextHop]) -> None:
    hop = await next_hop()
    await asyncio.gather(*(send(hop, f"r{n}@b.example", content=b"n: %d\r\n" % n) for n in range(40)))
    assert sorted((mail.recipients[0], mail.raw) for mail in hop.received()) == sorted(
        (f"r{n}@b.example", b"n: %d\r\n" % n) for n in range(40)
    )


async def test_stop_cuts_a_waiting_client_and_the_folder_can_be_read_again(
    next_hop: Callable[..., NextHop], tmp_path: Path
) -> None:
    hop = await next_hop()
    assert (await send(hop, "b@b.example"))[0] == 250
    waiting = asyncio.create_task(send(hop, "slow.server@b.example"))
    while not hop.attempts["slow.server@b.example"]:
        await asyncio.sleep(0.01)
    await hop.stop()
    assert await asyncio.wait_for(waiting, 2) == (0, "")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(hop.host, hop.port)
    assert [mail.recipients for mail in NextHop(tmp_path / "next-hop").received()] == [("b@b.example",)]


async def test_a_taken_port_is_an_error(tmp_path: Path) -> None:
    with bind("127.0.0.1") as taken:
        taken.listen()
        port = taken.getsockname()[1]
        assert port < 32_768
        with pytest.raises(OSError, match="in use"):
            await NextHop(tmp_path, port=port).start()
