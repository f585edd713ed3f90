"""Ways out other than as it came: what a real next hop gets, byte for byte; to whom; and who may."""

from __future__ import annotations

import asyncio
import email
import email.policy
import hashlib
from email.message import EmailMessage
from typing import Any

import pytest

from rcqueue.demo.next_hop import Behaviour
from rcqueue.model.act import ActRequest, ReleaseAs, Verb, Way
from rcqueue.model.ids import encode_mail
from rcqueue.model.mail import Receipt, RuleHit, VerdictDetail, VerdictKind, from_us
from rcqueue.server import passes
from rcqueue.server.config import SECOND, Config
from rcqueue.server.intake.hold import Intake
from rcqueue.server.marshal import Refusal, Terms, releasing
from rcqueue.server.marshal.customers import SetCustomers
from rcqueue.server.marshal.people import ChangePerson
from rcqueue.server.marshal.rescan import Judged
from rcqueue.server.reading.children import Readers
from rcqueue.server.reading.mime import parts
from rcqueue.server.scan.base import ScanEnvelope
from rcqueue.server.scan.judge import Judge
from rcqueue.server.store import tables as t
from rcqueue.server.store.pages import counts, rows_by_id

from .harness import MAIL, NAMES, Held, Queue
from .post import becomes, until

HTML = (
    b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>Gr\xc3\xbc\xc3\x9fe</p>\r\n"
)
EXE = b"MZ\x90\x00 not really"
PDF = b"%PDF-1.4 nor this"
MIXED = (
    b"From: Ada <ada@sender.example>\r\nTo: ben@example.org\r\nSubject: Invoice\r\n 7\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="out"\r\n\r\nThis is a preamble.\r\n--out\r\n'
    b'Content-Type: multipart/alternative; boundary="in"\r\n\r\n--in\r\n\r\nplain\r\n.dot\r\n--in\r\n'
    + HTML
    + b"\r\n--in--\r\n--out\r\n"
    b'Content-Type: application/octet-stream; name="run.exe"\r\nContent-Transfer-Encoding: base64\r\n'
    b'Content-Disposition: attachment; filename="run.exe"\r\n\r\nTVqQACBub3QgcmVhbGx5\r\n--out\r\n'
    b'Content-Type: application/pdf; name="bill.pdf"\r\nContent-Disposition: attachment\r\n\r\n'
    + PDF
    + b"\r\n--out--\r\nand an epilogue\r\n"
)
POLICY = Way(form=ReleaseAs.STRIPPED, strip=["run.exe"])


def read(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(part: EmailMessage) -> str:
    return str(part.get_content()).replace("\r\n", "\n")


async def goes(queue: Queue, hop: Any, held: Held, *, role: str = "operator", **body: Any) -> Any:
    """Releases it, and what the next hop got of it."""
    before = len(hop.received())
    await queue.act(role, "release", held.id, **body)
    await becomes(queue, held, "RELEASED")
    (got,) = hop.received()[before:]
    return got


# -- the forms


async def test_as_it_came_although_the_others_are_there(queue, hop, post):
    await post.start()
    held = await queue.hold(MIXED)
    got = await goes(queue, hop, held, form="original")
    release = (await queue.mail(held.id))["release"]
    assert got.raw == f"X-Rcqueue-Release: {release}\r\n".encode() + MIXED
    assert (await queue.mail(held.id))["way"] is None
    assert "form" not in (await queue.entries("mail.released"))[0]["facts"]


async def test_as_an_attachment_of_a_mail_from_the_postmaster(queue, hop, post):
    post.release = {"postmaster": "quarantine@example.org"}
    await post.start()
    held = await queue.hold(MIXED)
    got = await goes(queue, hop, held, form="attachment")
    assert (got.sender, got.recipients) == ("quarantine@example.org", ("ben@example.org",))
    message = read(got.raw)
    assert message["X-Rcqueue-Remade"] == f"attachment; sha256={hashlib.sha256(MIXED).hexdigest()}"
    assert message["From"] == "Postmaster <quarantine@example.org>" and message["To"] == "ben@example.org"
    assert message["Auto-Submitted"] == "auto-generated" and message["Subject"] == "Held message: Invoice 7"
    said, inner = message.iter_parts()
    assert "held by a mail filter" in text_of(said) and "ada@sender.example" in text_of(said)
    assert inner.get_content_type() == "message/rfc822"
    assert inner["Content-Transfer-Encoding"] == message["Content-Transfer-Encoding"] == "8bit"
    boundary = message.get_boundary().encode()
    _, _, within = got.raw.split(b"--" + boundary)[2].partition(b"\r\n\r\n")
    assert within == MIXED + b"\r\n"  # the last line end belongs to the boundary
    released, sent = await queue.entries("mail.release"), await queue.entries("mail.released")
    assert released[0]["facts"]["form"] == sent[0]["facts"]["form"] == "attachment"


async def test_tagged(queue, hop, post):
    post.release = {"tag": "[Junk?]"}
    await post.start()
    held = await queue.hold(MIXED.replace(b"\r\nTo:", b"\r\nX-Rcq-Verdict: HAM; forged\r\nTo:", 1))
    detail = {"verdict": "SPAM", "score": 7.5, "required": 5.0, "reason": "spamd: 7.5 of 5\r\nX-Evil: yes"}
    detail["rules"] = [RuleHit(name="BAYES_99", points=3.5).model_dump()]
    await set_verdict(queue, held, detail)
    got = await goes(queue, hop, held, form="tagged")
    message = read(got.raw)
    assert message.get_all("X-Rcq-Verdict") == ["SPAM; spamd: 7.5 of 5?X-Evil: yes"]
    assert message["X-Spam-Status"] == "Yes, score=7.5 required=5 tests=BAYES_99=3.5"
    assert message["X-Evil"] is None
    assert b"\r\nSubject: [Junk?] Invoice\r\n 7\r\n" in got.raw
    assert got.raw.partition(b"\r\n\r\n")[2] == MIXED.partition(b"\r\n\r\n")[2]
    assert message["X-Rcqueue-Remade"].startswith("tagged; sha256=")


async def test_a_header_that_is_not_read_to_its_end_is_not_tagged(queue, hop, post):
    """Nobody can say where its body begins, whose bytes are to stay as they are."""
    await post.start()
    held = await queue.hold(b"X-A: " + b"a" * 300_000 + b"\r\nSubject: a\r\n\r\nSubject: b\r\n")
    await queue.act("operator", "release", held.id, form="tagged")
    await becomes(queue, held, "ONHOLD")
    assert "its header" in (await queue.mail(held.id))["reply"] and hop.received() == []


@pytest.mark.parametrize("form", list(ReleaseAs))
async def test_each_form_has_a_pass_that_holds_for_what_is_sent(queue, hop, post, form):
    post.key = b"k" * 32
    await post.start()
    held = await queue.hold(MIXED)
    got = await goes(queue, hop, held, form=form)
    now = queue.clock.now() // SECOND
    found = passes.check([post.key], got.raw, got.sender, got.recipients[0], now)
    assert found is not None and found.release == (await queue.mail(held.id))["release"]


async def set_verdict(queue: Queue, held: Held, detail: dict[str, Any]) -> None:
    stored = VerdictDetail(id="", **detail).model_dump_json(exclude={"id"})
    with queue.database.write_engine.begin() as connection:
        connection.execute(
            t.message_detail.update().where(t.message_detail.c.message == held.number), {"verdict": stored}
        )


@pytest.mark.parametrize(
    ("header", "subject"),
    [
        (b"", b"Subject: [SPAM]\r\n"),
        (b"Subject:\r\n", b"Subject: [SPAM] \r\n"),
        (b"SUBJECT : =?utf-8?q?a?=\r\n", b"SUBJECT: [SPAM] =?utf-8?q?a?=\r\n"),
        (b"Subject: [SPAM] again\r\n", b"Subject: [SPAM] again\r\n"),
        (b"Subject: a\r\nSubject: b\r\n", b"Subject: [SPAM] a\r\nSubject: [SPAM] b\r\n"),
    ],
)
async def test_every_subject_is_tagged_and_only_subjects(queue, hop, post, header, subject):
    await post.start()
    held = await queue.hold(b"From: a@b.example\r\n" + header + b"X-A: Subject: c\r\n\r\nSubject: in the body\r\n")
    got = await goes(queue, hop, held, form="tagged")
    assert subject in got.raw
    assert got.raw.endswith(b"X-A: Subject: c\r\n\r\nSubject: in the body\r\n")


async def test_stripped_of_all_attachments_and_of_nothing_else(queue, hop, post):
    await post.start()
    held = await queue.hold(MIXED)
    got = await goes(queue, hop, held, form="stripped")
    text = MIXED[: MIXED.index(b"Content-Type: application/octet")]
    assert text in got.raw and got.raw.endswith(b"\r\n--out--\r\nand an epilogue\r\n")
    _, exe, pdf = read(got.raw).iter_parts()
    for note, name, data in ((exe, "run.exe", EXE), (pdf, "bill.pdf", PDF)):
        assert note.get_content_type() == "text/plain" and note.get_filename() is None
        assert f"Name:     {name}\n" in text_of(note) and "chose to leave" in text_of(note)
        assert f"SHA-256:  {hashlib.sha256(data).hexdigest()}" in text_of(note)
    assert b"TVqQ" not in got.raw and b"%PDF" not in got.raw
    assert read(got.raw)["X-Rcqueue-Remade"] == f"stripped; sha256={hashlib.sha256(MIXED).hexdigest()}"
    assert (await queue.entries("mail.released"))[0]["facts"]["form"] == "stripped"


async def test_what_the_policy_names_is_left_out_without_a_word(queue, hop, post):
    await post.start()
    held = await queue.hold(MIXED, ways={"ben@example.org": POLICY})
    got = await goes(queue, hop, held)
    exe = MIXED.index(b"Content-Type: application/octet"), MIXED.index(b"\r\n--out\r\nContent-Type: application/pdf")
    before, after = MIXED[: exe[0]], MIXED[exe[1] :]
    assert before in got.raw and got.raw.endswith(after)  # the other one stays, byte for byte
    _, note, _pdf = read(got.raw).iter_parts()
    assert "The policy for mail to you" in note.get_content()
    assert b"TVqQ" not in got.raw


async def test_a_name_that_none_of_them_has_is_within_one_of_them(queue, hop, post):
    """The policy's rule is on what a scanner lists of an archive: all attachments go."""
    await post.start()
    held = await queue.hold(MIXED, ways={"ben@example.org": Way(form=ReleaseAs.STRIPPED, strip=["in/zip.js"])})
    got = await goes(queue, hop, held)
    assert b"TVqQ" not in got.raw and b"%PDF" not in got.raw


async def test_a_message_that_is_an_attachment_as_a_whole(queue, hop, post):
    await post.start()
    raw = (
        b"From: a@b.example\r\nContent-Type: application/zip;\r\n name=x.zip\r\nSubject: z\r\n"
        b"Content-Transfer-Encoding: base64\r\nX-Last: 1\r\n\r\nUEsDBA==\r\n"
    )
    held = await queue.hold(raw)
    got = await goes(queue, hop, held, form="stripped")
    message = read(got.raw)
    assert message["X-Last"] == "1" and message["Subject"] == "z" and message["MIME-Version"] == "1.0"
    assert message.get_content_type() == "text/plain" and "x.zip" in message.get_content()
    assert b"UEsDBA" not in got.raw


async def test_a_hostile_name_is_told_and_does_nothing(queue, hop, post):
    await post.start()
    name = b"*=utf-8''x%0D%0A--out--%0D%0A%E2%80%AEexe.txt%1b[2J"
    held = await queue.hold(MIXED.replace(b'="bill.pdf"', name))
    got = await goes(queue, hop, held, form="stripped")
    _, _, note = read(got.raw).iter_parts()
    assert got.raw.count(b"\r\n--out") == MIXED.count(b"\r\n--out")
    assert "[U+202E]exe.txt" in text_of(note) and "\x1b" not in text_of(note)


NAMED = b'Content-Disposition: attachment; filename="%s"\r\n\r\ndata\r\n'
PART = b"\r\n--x\r\n\r\ntext\r\n--x\r\n" + NAMED % b"a.exe" + b"\r\n--x--\r\n"
TYPE = b"Content-Type: multipart/mixed; boundary=x\r\n"
UNSAFE = {
    "no end": TYPE + PART.removesuffix(b"\r\n--x--\r\n"),
    "no boundary": b"Content-Type: multipart/mixed\r\n" + PART,
    "no part": TYPE + b"\r\ntext\r\n",
    "two types": TYPE + b"Content-Type: text/plain\r\n" + PART,
    "two boundaries": b"Content-Type: multipart/mixed; boundary=y; boundary=x\r\n" + PART,
    "a boundary in pieces": b"Content-Type: multipart/mixed; boundary*0=x\r\n" + PART,
    "a boundary in a word": b'Content-Type: multipart/mixed; boundary="=?utf-8?q?x?="\r\n' + PART,
    "a boundary with a comment": b"Content-Type: multipart/mixed; boundary=x(y)\r\n" + PART.replace(b"--x", b"--x(y)"),
    "another parameter's boundary": b"Content-Type: multipart/mixed; xboundary=y; boundary=x\r\n" + PART,
    "a boundary within a value": b'Content-Type: multipart/mixed; a="; boundary=y"; boundary=x\r\n' + PART,
    "a folded boundary": b'Content-Type: multipart/mixed; boundary="x\r\n y"\r\n' + PART,
    "an encoded multipart": TYPE + b"Content-Transfer-Encoding: base64\r\n" + PART,
    "no header": TYPE + b"not a field\r\n" + PART,
    "a boundary that begins as another": TYPE
    + b"\r\n--x\r\nContent-Type: multipart/mixed; boundary=x1\r\n\r\n--x1\r\n"
    + NAMED % b"b"
    + b"\r\n--x1--\r\n--x--\r\n",
    "uuencoded text": b"\r\ntext\r\nbegin 644 a.exe\r\n#0V%T\r\n`\r\nend\r\n",
    "uuencoded text, encoded": b"Content-Transfer-Encoding: base64\r\n\r\nYmVnaW4gNjQ0IGEuZXhlCiMwViVUCmAKZW5kCg==\r\n",
    "a NUL in a header": TYPE + b"X-A: \0\r\n" + PART,
    "a type after too many fields": b"X-A: 1\r\n" * 2000 + TYPE + PART,
    "over the caps": TYPE + b"\r\n" + b"--x\r\n\r\na\r\n" * 1001 + b"--x--\r\n",
}


async def test_what_can_not_be_taken_apart_safely_stays(queue, hop, post):
    await post.start()
    held = {why: await queue.hold(b"From: a@b.example\r\n" + raw) for why, raw in UNSAFE.items()}
    for one in held.values():
        await queue.act("operator", "release", one.id, form="stripped")
    for why, one in held.items():
        await becomes(queue, one, "ONHOLD")
        reply = (await queue.mail(one.id))["reply"]
        assert reply.startswith("it was not sent: it can not be made anew safely: "), why
    assert hop.received() == []


@pytest.mark.parametrize(
    "said",
    [b'"Boundary_(ID x)"', b'"MCBoundary=_1"', b'"report@mail.example"', b"=_x", b' "a b"; type="text/plain"', b"x "],
)
def test_usual_boundaries_are_no_doubt(said):
    boundary = said.split(b";")[0].strip(b' "')
    raw = b"Content-Type: multipart/mixed; boundary=" + said + b"\r\n" + PART.replace(b"--x", b"--" + boundary)
    leaves, troubles, doubts = parts(raw)
    assert (len(leaves), troubles, doubts) == (2, [], [])


async def test_with_a_reader_that_is_wrong_nothing_goes(queue, hop, post, monkeypatch):
    """What was made is read once more: the second look finds what the first one missed."""
    real, looks = Readers.read, []

    async def blind(self: Readers, raw: bytes) -> Any:
        looks.append(raw)
        deep = await real(self, raw)
        if len(looks) == 1:
            deep.attachments, deep.spans = deep.attachments[:1], deep.spans[:1]
        return deep

    monkeypatch.setattr(Readers, "read", blind)
    await post.start()
    held = await queue.hold(MIXED)
    await queue.act("operator", "release", held.id, form="stripped")
    await becomes(queue, held, "ONHOLD")
    assert "reads another way" in (await queue.mail(held.id))["reply"] and hop.received() == []


@pytest.mark.parametrize("form", ["attachment", "tagged", "stripped"])
async def test_line_ends_alone_are_made_whole_in_each_form(queue, hop, post, form):
    await post.start()
    held = await queue.hold(MIXED.replace(b"\r\n", b"\n"))
    got = await goes(queue, hop, held, form=form)
    assert got.raw.count(b"\r\n") == got.raw.count(b"\n") == got.raw.count(b"\r")
    (entry,) = await queue.entries("mail.released")
    assert entry["facts"]["normalised"] is True


@pytest.mark.parametrize("form", ["attachment", "tagged", "stripped"])
async def test_sent_again_it_is_the_same(queue, hop, post, form):
    """The form holds over attempts, a lost answer and "send again", under one release id."""
    by_attempt = {1: Behaviour(refuse="451 later"), 2: Behaviour(lose_answer=True)}
    hop.behaviour = lambda to: by_attempt.get(hop.attempts[to], Behaviour())
    await post.start()
    held = await queue.hold(MIXED)
    await queue.act("operator", "release", held.id, form=form)
    await becomes(queue, held, "UNCERTAIN")
    await queue.act("operator", "settle", held.id, settle="again")
    await becomes(queue, held, "RELEASED")
    assert hop.attempts["ben@example.org"] == 3
    assert len({got.raw for got in hop.received()}) == 1 and len(hop.received()) == 2
    assert read(hop.received()[0].raw)["X-Rcqueue-Remade"].startswith(form)


def test_a_rescan_leaves_a_mail_its_way():
    """Else what goes to others could leave by its original's own road, which does not reach them."""
    found = {"verdict": VerdictKind.SPAM, "score": None, "required": None, "reason": "", "rules": [], "scans": []}
    judged = Judged(**found, would={}, strip={1: ["run.exe"]})
    assert judged.way(0, None) is None and judged.way(1, None) == POLICY.model_dump_json()
    assert Way.model_validate_json(judged.way(0, POLICY.model_dump_json())) == Way()
    unsure = judged.model_copy(update={"unsure": True})  # with a scanner away it strips what it stripped before
    assert unsure.way(0, POLICY.model_dump_json()) == unsure.way(1, None) == POLICY.model_dump_json()


# -- who may choose


async def test_what_the_policy_strips_goes_whole_only_by_who_administers(queue, hop, post):
    await post.start()
    held = await queue.hold(MIXED, ways={"ben@example.org": POLICY})
    for form in ("original", "attachment", "tagged"):
        with pytest.raises(Refusal) as refused:
            await queue.act("operator", "release", held.id, form=form)
        assert (refused.value.kind, refused.value.extra["right"]) == ("forbidden", "administer")
    assert await queue.status(held.id) == "ONHOLD" and (await queue.mail(held.id))["way"] == POLICY.model_dump_json()
    assert {e["facts"]["right"] for e in await queue.entries("denied")} == {"administer"}
    hop.behaviour = lambda to: Behaviour(refuse="550 no", times=1)
    await queue.act("admin", "release", held.id, form="original")
    await until(lambda: kinds(queue, "mail.refused"), 1)
    got = await goes(queue, hop, held)  # by the operator: the policy's way holds again
    assert b"TVqQ" not in got.raw
    await queue.act("operator", "restore", held.id)
    got = await goes(queue, hop, held, role="admin", form="original")
    assert b"TVqQ" in got.raw


async def kinds(queue: Queue, kind: str) -> int:
    return len(await queue.entries(kind))


async def test_the_guard_of_the_policy_is_needed(queue, monkeypatch):
    monkeypatch.setattr(releasing, "lacks", lambda *_: None)
    held = await queue.hold(MIXED, ways={"ben@example.org": POLICY})
    await queue.act("operator", "release", held.id, form="original")
    assert await queue.status(held.id) == "RELEASING"


async def test_a_policy_file_says_it_to_the_mail_that_is_held(queue, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text('[[domain."x.example".attachment]]\nname = "*.EXE"\ndo = "strip"\n')
    config = Config(data_dir=tmp_path, policy=policy)
    judge, to = Judge(config), ("a@x.example", "b@y.example")
    judgement = await judge.judge(MIXED, ScanEnvelope("ada@sender.example", to))
    now = from_us(queue.clock.now())
    receipt = Receipt(at=now, client="192.0.2.1", helo="mx", protocol="ESMTP", size=len(MIXED))
    intake = Intake(queue.marshal, config)
    await intake.hold("ada@sender.example", to, MIXED, receipt, origin="milter", judgement=judgement)
    await judge.close()
    one, two = await queue.rows(t.mail)
    assert Way.model_validate_json(one["way"]) == POLICY and two["way"] is None


# -- to others


async def test_to_others_new_mails_go_and_the_one_asked_for_stays(queue, hop, post):
    queue.marshal.terms = Terms(recall=0)
    await post.start()
    held = await queue.hold(recipients=("ben@example.org", "eve@example.org"))
    as_of = (await queue.mail(held.mails[1]))["version"]
    answer = await queue.act("operator", "release", held.mails[1], to=["it@example.org", "postmaster"], as_of=as_of)
    assert [(r.id, r.result, r.status) for r in answer.results] == [(held.mails[1], "done", "ONHOLD")]
    added = [encode_mail(held.number, n) for n in (2, 3)]
    for id in added:
        await until(lambda id=id: queue.status(id), "RELEASED")
    assert {got.recipients for got in hop.received()} == {("it@example.org",), ("postmaster@example.org",)}
    releases = {(await queue.mail(id))["release"] for id in added}
    assert len(releases) == 2 and {got.raw for got in hop.received()} == {
        f"X-Rcqueue-Release: {release}\r\n".encode() + MAIL for release in releases
    }
    (entry,) = await queue.entries("mail.release")
    assert entry["facts"]["to"] == 2 and "it@example.org" not in entry["leaf"]
    assert entry["personal"]["to"] == ["it@example.org", "postmaster@example.org"]
    (row,) = await queue.rows(t.message)
    assert (row["recipients"], row["onhold"], row["released"]) == (4, 2, 2)
    assert "it@example.org" in row["words"]
    assert await queue.status(held.mails[0]) == "ONHOLD"
    who = await queue.session("admin")
    for query in ("to:it@example.org status:released", "it@example.org status:any"):
        wanted = queue.marshal.query(who, query)
        (found,) = await queue.read(rows_by_id, who, [held.number], wanted, queue.clock.now())
        assert found.matching == (1 if query.startswith("to") else 4)
    tally = await queue.read(lambda c: counts(c, who, None, now_us=queue.clock.now()))
    assert {status: n for status, n in tally.status.items() if n} == {"ONHOLD": 2, "RELEASED": 2}
    with pytest.raises(Refusal) as late:  # whoever saw it before looks again
        await queue.act("admin", "release", held.mails[1], to=["it2@example.org"], as_of=as_of)
    assert late.value.kind == "changed"


async def test_each_has_its_own_window_and_can_be_recalled(queue):
    queue.marshal.terms = Terms(recall=10 * SECOND)
    held = await queue.hold()
    answer = await queue.act("operator", "release", held.id, to=["it@example.org"])
    assert answer.recall_until is not None and answer.release is not None
    await queue.act("operator", "recall", encode_mail(held.number, 1))
    assert [m["status"] for m in await queue.rows(t.mail)] == ["ONHOLD", "ONHOLD"]


async def test_two_at_once_send_one_copy_each_and_to_one_address_once(queue):
    held = await queue.hold()
    both = [queue.act(role, "release", held.id, to=["it@example.org"]) for role in ("admin", "operator")]
    done = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(isinstance(one, Refusal) for one in done) == [False, True]
    (no,) = [one for one in done if isinstance(one, Refusal)]
    assert no.kind == "status" and "release that mail" in no.detail
    assert len(await queue.rows(t.mail)) == 2


async def test_of_a_message_with_many_recipients_others_get_one_copy(queue):
    held = await queue.hold(recipients=("a@example.org", "b@example.org", "c@other.example"))
    await queue.act("operator", "release", held.id, to=["it@example.org", "postmaster"])
    added = [m["rcpt"] for m in (await queue.rows(t.mail))[3:]]
    assert added == ["it@example.org", "postmaster@example.org", "postmaster@other.example"]


async def test_others_get_it_by_the_strictest_policy_of_its_recipients(queue):
    held = await queue.hold(MIXED, recipients=("a@x.example", "b@y.example"), ways={"b@y.example": POLICY})
    await queue.act("operator", "release", held.mails[0], to=["it@example.org"])
    assert Way.model_validate_json((await queue.rows(t.mail))[2]["way"]) == POLICY
    with pytest.raises(Refusal) as refused:
        await queue.act("operator", "release", held.mails[0], to=["it2@example.org"], form="original")
    assert refused.value.extra["right"] == "administer"


async def test_who_may_not_read_bodies_may_not_send_them_to_others(queue):
    held = await queue.hold()
    with pytest.raises(Refusal) as refused:
        await queue.act("blind", "release", held.id, to=["cleo@example.org"])
    assert (refused.value.kind, refused.value.extra["class"]) == ("forbidden", "body")
    await queue.marshal.do(
        ChangePerson((await queue.session("admin")).session, "lock", NAMES["operator"], (), "bodies")
    )
    with pytest.raises(Refusal):
        await queue.act("operator", "release", held.id, to=["postmaster", "otis@example.org"])
    assert len(await queue.rows(t.mail)) == 1
    assert [e["facts"] for e in await queue.entries("denied")] == [{"verb": "release", "class": "body"}] * 2
    queue.marshal.terms = Terms(recall=0, postmaster="quarantine@example.org")
    await queue.act("blind", "release", held.id, to=["postmaster"])  # whom they can't choose
    assert (await queue.rows(t.mail))[1]["rcpt"] == "quarantine@example.org"


async def test_another_customers_address_is_refused(queue):
    await queue.marshal.do(SetCustomers((("acme", ("acme.example",), False), ("bank", ("bank.example",), False))))
    held = await queue.hold(customer="acme", recipients=("a@acme.example",))
    with pytest.raises(Refusal) as refused:
        await queue.act("operator", "release", held.id, to=["it@acme.example", "spy@mail.bank.example"])
    assert refused.value.kind == "forbidden" and "another customer's" in refused.value.detail
    assert len(await queue.rows(t.mail)) == 1
    await queue.act("operator", "release", held.id, to=["it@acme.example", "home@elsewhere.example"])
    assert len(await queue.rows(t.mail)) == 3


@pytest.mark.parametrize(
    "to",
    ["", "no address", "a@b c", "a@", "@b.example", "a@b.example\r\nRCPT TO:<x@y>", "<a@b.example>", "a@b..c", "x"],
)
async def test_what_is_no_address_is_refused(queue, to):
    held = await queue.hold()
    with pytest.raises(Refusal) as refused:
        await queue.act("operator", "release", held.id, to=[to])
    assert refused.value.kind == "bad-request" and "an address was expected" in refused.value.detail


@pytest.mark.parametrize(
    ("verb", "body"), [("delete", {"form": "tagged"}), ("extend", {"to": ["a@b.example"]}), ("extend", {"learn": True})]
)
async def test_what_goes_with_another_verb_is_refused(queue, verb, body):
    held = await queue.hold()
    with pytest.raises(Refusal) as refused:
        await queue.act("admin", verb, held.id, **body)
    assert refused.value.kind == "bad-request" and next(iter(body)) in refused.value.detail


# -- many


async def test_acts_on_many_carry_it(queue):
    held = [await queue.hold(MIXED) for _ in range(3)]
    who = await queue.session("operator")
    request = ActRequest(
        verb=Verb.RELEASE, ids=[one.id for one in held], form="tagged", to=["it@example.org"], learn=True
    )
    act = await queue.marshal.store_act(who, request)
    await queue.marshal.confirm_act(who, act, 3)
    await until(lambda: state(queue, act), "done")
    ways = [Way.model_validate_json(m["way"]).form for m in await queue.rows(t.mail, status="RELEASING")]
    assert ways == ["tagged"] * 3
    assert [task["kind"] for task in await queue.rows(t.task)] == ["learn"] * 3
    blind = await queue.session("blind")
    act = await queue.marshal.store_act(blind, request)
    await queue.marshal.confirm_act(blind, act, 3)
    await until(lambda: state(queue, act), "done")
    assert {m["result"] for m in await queue.rows(t.act_mail, act=act)} == {"refused"}
    assert len(await queue.rows(t.mail)) == 6


async def state(queue: Queue, act: str) -> str:
    return str((await queue.rows(t.act, id=act))[0]["state"])


async def test_not_over_a_hundred_to_others(queue):
    held = await queue.hold(recipients=tuple(f"r{n}@example.org" for n in range(101)))
    who = await queue.session("operator")
    with pytest.raises(Refusal) as refused:
        await queue.marshal.store_act(who, ActRequest(verb=Verb.RELEASE, ids=[held.id], to=["it@example.org"]))
    assert refused.value.kind == "bad-request" and "100 mails" in refused.value.detail
