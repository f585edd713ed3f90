"""The demo's mail is believable, harmless, the same for the same seed, and as nasty as it says."""

from __future__ import annotations

import email
import email.policy
import functools
import io
import itertools
import re
import time
import zipfile
from collections import Counter, defaultdict
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path

import pytest

from rcqueue.demo import hostile, places
from rcqueue.demo.files import EICAR
from rcqueue.demo.mail import CUSTOMERS, WEIGHTS, Sample, messages

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
COUNT = 2_500
VERDICTS = {"SPAM", "VIRUS", "PHISH", "ATTACHMENT", "POLICY"}


def take(count: int, seed: int = 1, **options: object) -> list[Sample]:
    return list(itertools.islice(messages(seed, lambda: NOW, **options), count))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return take(COUNT)


@functools.lru_cache(COUNT)  # the tests only read what it gives
def parse(sample: Sample) -> Message:
    return email.message_from_bytes(sample.raw, policy=email.policy.compat32)


def verdict(sample: Sample) -> str:
    return str(parse(sample)["X-Rcq-Verdict"]).partition(";")[0]


def texts(sample: Sample) -> list[str]:
    """Head and text parts, decoded as far as they can be."""
    head = sample.raw.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    # The filter's preview is a piece of the text, cut anywhere, in a domain too.
    found = [re.sub(r"\tContent preview:.*", "", head)]
    for part in parse(sample).walk():
        if part.get_content_maintype() == "text" and not part.get_filename():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            charset = str(part.get_content_charset("utf-8"))
            found.append(payload.decode("utf-8" if charset == "klingon-8" else charset, "replace"))
    return found


def test_every_sample_parses_and_carries_what_a_filter_writes(samples: list[Sample]) -> None:
    for sample in samples:
        message = parse(sample)
        kind, _, reason = str(message["X-Rcq-Verdict"]).partition("; ")
        assert kind in VERDICTS
        assert reason
        assert message["X-Spam-Status"] or message["X-Spamd-Result"]
        assert message["Authentication-Results"]
        assert len(message.get_all("Received", [])) >= 2
        assert sample.raw.endswith(b"\r\n")
        if sample.kind != "broken":
            assert message["From"] and message["To"] and message["Date"] and message["Message-ID"], sample.kind
            assert "Subject" in message
            assert not [defect for part in message.walk() for defect in part.defects], sample.kind
            assert not re.search(rb"(?<!\r)\n|\r(?!\n)", sample.raw), sample.kind


def test_score_is_the_sum_of_the_rules_and_over_the_threshold_for_spam(samples: list[Sample]) -> None:
    engines = Counter[str]()
    for sample in samples:
        message = parse(sample)
        if status := message["X-Spam-Status"]:
            engines["spamassassin"] += 1
            score, required = re.search(r"score=(\S+) required=(\S+)", status).groups()  # type: ignore[union-attr]
            points = [float(value) for value in re.findall(r"[A-Z0-9_]+=(-?[\d.]+)", status.partition("tests=")[2])]
            reported = re.findall(r"^\s*\*\s+(-?[\d.]+) ([A-Z0-9_]+) \S", str(message["X-Spam-Report"]), re.MULTILINE)
            assert len(reported) == len(points)
            assert "Content preview:  " in message["X-Spam-Report"]
        else:
            engines["rspamd"] += 1
            score, required = re.search(r"\[(\S+) / (\S+)\]", str(message["X-Spamd-Result"])).groups()  # type: ignore[union-attr]
            points = [float(value) for value in re.findall(r"\((-?[\d.]+)\)\[", str(message["X-Spamd-Result"]))]
        assert float(score) == pytest.approx(sum(points), abs=0.06)
        if verdict(sample) == "SPAM":
            assert float(score) >= float(required)
    assert engines["rspamd"] > COUNT // 20


def test_proportions_are_believable(samples: list[Sample]) -> None:
    kinds = Counter(sample.kind for sample in samples)
    for kind, weight in WEIGHTS.items():
        assert kinds[kind] / COUNT * 100 == pytest.approx(weight, abs=2.5), kind
        assert kinds[kind] > 0
    verdicts = Counter(verdict(sample) for sample in samples)
    assert 72 < verdicts["SPAM"] / COUNT * 100 < 88
    assert 3 < verdicts["PHISH"] / COUNT * 100 < 6
    sizes = sorted(len(sample.raw) for sample in samples)
    assert sizes[0] > 800
    assert sizes[-1] < 400_000
    assert 2_000 < sizes[COUNT // 2] < 6_000
    assert 5 <= sum(size > 100_000 for size in sizes) < COUNT // 50
    counts = Counter(len(sample.recipients) for sample in samples)
    assert counts[1] > COUNT * 0.6
    assert max(counts) > 40 and max(counts) <= 60
    assert all(len(set(sample.recipients)) == len(sample.recipients) for sample in samples)


def test_recipients_are_customers(samples: list[Sample]) -> None:
    domains = {domain for _, of_it in CUSTOMERS for domain in of_it}
    seen = Counter(recipient.rpartition("@")[2] for sample in samples for recipient in sample.recipients)
    assert set(seen) == domains
    paths = [path for path, _ in CUSTOMERS]
    assert all("/" not in path or path.rpartition("/")[0] in paths for path in paths)


def test_domains_are_reserved_and_addresses_for_documentation(samples: list[Sample]) -> None:
    reserved = re.compile(r"(?:.*\.)?(?:example|test|example\.(?:com|net|org))\Z")
    documentation = re.compile(r"(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d+\Z")
    checked = 0
    for sample in samples:
        addresses = [sample.sender, *sample.recipients] if sample.sender else list(sample.recipients)
        domains = [address.rpartition("@")[2] for address in addresses]
        for text in texts(sample):
            domains += re.findall(r"(?<![=\w])[^\s<>\[\]:;,]+@([^\s<>()\[\]\"',;:=?/@\x00-\x1f]{2,}+)", text)
            domains += re.findall(r"https?://([^/\s\"'<>\x00-\x1f]+)", text)
            for address in re.findall(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", text):
                assert documentation.match(address), (sample.kind, address)
        for domain in domains:
            assert reserved.match(domain.rstrip(".")), (sample.kind, domain)
        checked += len(domains)
    assert checked > 4 * COUNT


def test_the_same_seed_gives_the_same_mail_but_for_dates() -> None:
    def later() -> datetime:
        return datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)

    dates = re.compile(rb"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000")
    first, again, other = take(300, 7), list(itertools.islice(messages(7, later), 300)), take(300, 8)
    assert take(300, 7) == first
    assert first != again
    for one, two in zip(first, again, strict=True):
        assert (one.sender, one.recipients, one.kind) == (two.sender, two.recipients, two.kind)
        assert dates.sub(b"DATE", one.raw) == dates.sub(b"DATE", two.raw)
    assert {sample.raw for sample in first}.isdisjoint(sample.raw for sample in other)


def test_a_campaign_is_one_lure_with_many_senders_and_subjects(samples: list[Sample]) -> None:
    by_link = defaultdict(list)
    for sample in samples:
        if sample.kind == "campaign":
            for host in set(re.findall(r"https://([^/]+)/", "".join(texts(sample)[1:]))):
                by_link[host].append(parse(sample))
    large = [found for found in by_link.values() if len(found) >= 20]
    assert len(large) >= 5
    for found in large:
        assert len({message["Subject"] for message in found}) > len(found) / 4
        assert len({message["From"] for message in found}) >= 3


def test_phishing_is_from_look_alikes_of_the_recipients_own_domain(samples: list[Sample]) -> None:
    alike = [
        sample
        for sample in samples
        if sample.kind == "phish"
        and sample.sender.rpartition("@")[2]
        in places.LOOK_ALIKES[places.customer_of(sample.recipients[0].rpartition("@")[2])]
    ]
    assert len(alike) > COUNT * 0.02
    assert all(verdict(sample) == "PHISH" for sample in samples if sample.kind == "phish")


def test_a_virus_is_eicar_bare_or_zipped() -> None:
    def inside(data: bytes) -> bytes:
        while data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                data = archive.read(archive.namelist()[0])
        return data

    zipped = 0
    for sample in take(60, kinds={"virus": 1}):
        message = parse(sample)
        file = message.get_payload()[1].get_payload(decode=True)  # type: ignore[union-attr, index]
        zipped += file.startswith(b"PK")  # type: ignore[union-attr, arg-type]
        assert inside(file) == EICAR  # type: ignore[arg-type]
        assert message["X-Virus-Status"] == "Infected (Eicar-Test-Signature)"
        assert verdict(sample) == "VIRUS"
    assert 5 < zipped < 55
    sources = Path(hostile.__file__).parent.glob("*.py")
    assert all(EICAR not in source.read_bytes() for source in sources)


def test_forbidden_attachments_and_false_positives() -> None:
    forbidden = take(60, kinds={"attachment": 1})
    assert {verdict(sample) for sample in forbidden} == {"ATTACHMENT"}
    assert sum(b"macroEnabled" in sample.raw for sample in forbidden) > 15
    for sample in take(40, kinds={"newsletter": 1}):
        message = parse(sample)
        assert message["List-Id"] and message["List-Unsubscribe"]
        assert "pass" in message["Authentication-Results"]
    partners = take(80, kinds={"partner": 1})
    assert {verdict(sample) for sample in partners} == {"SPAM", "ATTACHMENT"}
    for sample in partners:
        score = re.search(r"score=(\S+)", str(parse(sample)["X-Spam-Status"]))
        assert score and float(score[1]) < 7
    assert all(sample.sender == "" for sample in take(10, kinds={"bounce": 1}))


def test_other_scripts_decode_to_what_they_are() -> None:
    blocks = {
        "kana": "[\u3040-\u30ff]", "cyrillic": "[\u0400-\u04ff]", "arabic": "[\u0600-\u06ff]",
        "greek": "[\u0370-\u03ff]",
        "han": "[\u4e00-\u9fff]", "hangul": "[\uac00-\ud7af]", "devanagari": "[\u0900-\u097f]",
        "hebrew": "[\u0590-\u05ff]",
        "thai": "[\u0e00-\u0e7f]",
    }  # fmt: skip
    found, charsets, raw = Counter[str](), set(), 0
    for sample in take(400, kinds={"script": 1}):
        message = parse(sample)
        if sample.smtputf8:
            raw += 1
            subject = next(line for line in sample.raw.decode().split("\r\n") if line.startswith("Subject: "))
            assert not sample.sender.isascii()
        else:
            assert sample.sender.isascii() and sample.raw.partition(b"\r\n\r\n")[0].isascii()
            charsets |= {charset for _, charset in decode_header(message["Subject"])}
            subject = str(make_header(decode_header(message["Subject"])))
        assert "\ufffd" not in subject
        found.update(name for name, block in blocks.items() if re.search(block, subject))
        text = message.get_payload(decode=True)
        assert isinstance(text, bytes)
        assert text.decode(str(message.get_content_charset())).count("\n") >= 2
    assert set(found) == set(blocks)
    assert {"iso-2022-jp", "koi8-r", "utf-8", "gb2312", "euc-kr"} <= charsets
    assert 50 < raw < 150


def test_hostile_text_comes_raw_and_encoded_in_every_place() -> None:
    assert len(hostile.PAYLOADS) >= 30
    mails = take(700, kinds={"hostile": 1})
    assert sum(sample.smtputf8 for sample in mails) > 50
    places_of = defaultdict(set)
    for sample in mails:
        # The standard library drops a subject's raw controls and undoes no encoded word: read both by hand.
        head = sample.raw.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
        message = parse(sample)
        shown = {
            "raw subject": head.partition("\r\nSubject: ")[2].partition("\r\nDate: ")[0],
            "raw name": head.partition("\r\nFrom: ")[2].partition("\r\nTo: ")[0],
            "subject": _decoded(message["Subject"]),
            "name": _decoded(message["From"]),
            "file": _decoded(message.get_payload()[1].get_filename("")),  # type: ignore[union-attr, index]
            "text": message.get_payload()[0].get_payload(decode=True).decode("utf-8", "replace"),  # type: ignore[union-attr, index]
        }
        for name, payload in hostile.PAYLOADS.items():
            for place, text in shown.items():
                if payload in text or payload.replace("\r\n", " ").replace('"', "'") in text:
                    places_of[name].add(place)
    for name in hostile.PAYLOADS:
        assert {"subject", "name"} <= places_of[name] or "very long" in name, (name, places_of[name])
    for name in ("clear screen", "clipboard", "RLO", "zero width", "markup close"):
        assert places_of[name] >= {"raw subject", "raw name", "subject", "name", "file", "text"}, (
            name,
            places_of[name],
        )


def _decoded(value: object) -> str:
    return "".join(
        part.decode(charset or "utf-8", "replace") if isinstance(part, bytes) else part
        for part, charset in decode_header(str(value))
    )


def test_every_break_breaks_and_leaves_the_verdict() -> None:
    rng = hostile.Random(3)
    whole = next(sample.raw for sample in take(50, kinds={"partner": 1}) if b"Subject: " in sample.raw)
    for name, break_it in hostile.BREAKS.items():
        broken = break_it(rng, whole)
        assert broken != whole, name
        assert broken.endswith(b"\r\n"), name
        assert email.message_from_bytes(broken)["X-Rcq-Verdict"], name
    assert any(b"\n" in sample.raw.replace(b"\r\n", b"") for sample in take(300, kinds={"broken": 1}))


def test_recipients_whose_next_hop_misbehaves_are_rare_and_there() -> None:
    awkward = [s for s in take(3_000, 4) if s.recipients[0].partition("@")[0] in places.AWKWARD]
    assert 8 < len(awkward) < 80


def test_two_thousand_a_second() -> None:
    stream = messages(5)
    next(stream)
    # Of processor time, the best of three: the machine has others on it.
    best = min(_seconds(stream, 700) for _ in range(3))
    assert best < 700 / 2_000


def _seconds(stream: object, count: int) -> float:
    began = time.process_time()
    for _ in itertools.islice(stream, count):  # type: ignore[call-overload]
        pass
    return time.process_time() - began
