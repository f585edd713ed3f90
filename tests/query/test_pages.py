"""Pages against a naive oracle: everything that matches, sorted in Python, cut into pages."""

import base64
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from rcqueue.model.access import Access, DataClass, Grant, Right
from rcqueue.model.fields import STATUSES, VERDICTS
from rcqueue.model.folding import fold_ascii
from rcqueue.model.ids import encode_message, new_message_id
from rcqueue.model.mail import Row
from rcqueue.model.query import EVERY, SORTS, QueryForbidden, matching, parse
from rcqueue.server.store import drivers, pages, walk
from rcqueue.server.store import tables as t

from .stores import CUSTOMERS, EVERYWHERE, HOUR, NOW, PEOPLE, messages, query_text, store

SORT_NAMES = [sign + name for name in SORTS for sign in ("-", "")]


def key_of(facts, name):
    if name == "expiry":
        return min((m.expiry for m in facts.mails if m.status == "ONHOLD"), default=None)
    if name in ("from", "to", "subject"):
        texts = {"from": facts.from_email, "to": facts.mails[0].rcpt, "subject": facts.subject}
        return fold_ascii(texts[name][:64])
    return None if name == "time" else getattr(facts, name)


def oracle(held, query, sort, access=EVERYWHERE):
    """Ids of the messages with a mail that matches and may be viewed, sorted."""
    name = sort.removeprefix("-")
    found = [f for f in held if matching(query, f, NOW) and Right.VIEW in access.rights_at(f.customer)]
    keyed = sorted((key is not None, key, f.id) for f in found for key in (key_of(f, name),))
    return [id for _, _, id in (reversed(keyed) if sort.startswith("-") else keyed)]


def ids(result):
    return [row.id for row in result.rows]


def page(connection, query, sort, access=EVERYWHERE, **options):
    return pages.page(connection, access, query, sort, now_us=NOW, budget_s=60, **options)


def walk_forwards(connection, query, sort, limit, access=EVERYWHERE):
    result = page(connection, query, sort, access, limit=limit)
    found, turned = ids(result), 0
    while result.next is not None:
        result = page(connection, query, sort, access, limit=limit, after=result.next)
        found += ids(result)
        turned += 1
        assert turned < 100
    return found


def walk_backwards(connection, query, sort, limit):
    result = page(connection, query, sort, limit=limit, end=True)
    found, turned = ids(result), 0
    while result.previous is not None:
        result = page(connection, query, sort, limit=limit, before=result.previous)
        found = ids(result) + found
        turned += 1
        assert turned < 100
    return found


@pytest.fixture(params=["as it is", "nothing gathered", "tiny chunks", "all gathered"])
def way(request, monkeypatch):
    """Each way that places are found in, forced."""
    if request.param in ("nothing gathered", "tiny chunks"):
        monkeypatch.setattr(drivers, "GATHER", -1)
    if request.param == "tiny chunks":
        monkeypatch.setattr(walk, "FIRST_CHUNK", 3)
        monkeypatch.setattr(walk, "LAST_CHUNK", 3)
    if request.param == "all gathered":
        monkeypatch.setattr(drivers, "PROBE", 1)


def test_every_sort_both_ways_equals_the_oracle(way):
    @settings(max_examples=4, deadline=None)
    @given(st.integers(0, 2**32))
    def check(seed):
        rnd = random.Random(seed)
        held = messages(rnd, 40)
        with store(held) as connection:
            for sort in SORT_NAMES:
                query = parse(rnd.choice(("", "status:any", query_text(rnd), query_text(rnd))), me="anna")
                expected, limit = oracle(held, query, sort), rnd.choice((1, 3, 7, 50))
                assert walk_forwards(connection, query, sort, limit) == expected, (query.text, sort)
                assert walk_backwards(connection, query, sort, limit) == expected, (query.text, sort)

    check()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_rows_say_what_of_the_message_matches(seed):
    rnd = random.Random(seed)
    held = messages(rnd, 25)
    by_id = {f.id: f for f in held}
    with store(held) as connection:
        for _ in range(10):
            query = parse(query_text(rnd, 2), me="anna")
            for row in page(connection, query, "-time", limit=500).rows:
                some = matching(query, by_id[row.id], NOW)
                assert row.matching == len(some)
                most = Counter(m.status for m in some)
                assert most[row.status] == max(most.values())
                assert row.expiry == min((m.expiry for m in some if m.status == "ONHOLD"), default=None)
                assert row.to_email == some[0].rcpt
                assert row.requested == sum(m.requested is not None for m in some)
                holders = Counter(m.claim for m in some if m.claim)
                assert (row.claim is None) == (not holders)
                if row.claim is not None:
                    assert holders[row.claim.who] == row.claim.mails == max(holders.values())
                    assert row.claim.fence == 5 + max(m.n for m in some if m.claim == row.claim.who)
                    assert row.claim.session == 10 + PEOPLE[row.claim.who]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_mails_and_counts_equal_the_oracle(seed):
    rnd = random.Random(seed)
    held = messages(rnd, 30)
    grants = tuple(Grant("operator", c) for c in rnd.sample(CUSTOMERS, 2))
    access = Access(2, "bert", 2, rnd.choice((grants, (Grant("admin", "all"),))))
    seen = [f for f in held if Right.VIEW in access.rights_at(f.customer)]
    with store(held) as connection:
        tally = pages.counts(connection, access, now_us=NOW)
        assert tally.status == {s: sum(m.status == s for f in seen for m in f.mails) for s in STATUSES}
        on_hold = Counter(f.verdict for f in seen for m in f.mails if m.status == "ONHOLD")
        assert tally.verdict == dict(on_hold)
        for _ in range(8):
            query = parse(query_text(rnd), me="anna")
            mails = [(f.id, m.n) for f in sorted(seen, key=lambda f: f.id) for m in matching(query, f, NOW)]
            assert [ref[:2] for ref in pages.matching_mails(connection, access, query, NOW)] == mails
            tally = pages.counts(connection, access, query, now_us=NOW, budget_s=60)
            assert (tally.matching, tally.capped) == (len(mails), False), query.text
            any_status = query.with_statuses(frozenset(STATUSES))
            others = Counter(m.status for f in seen for m in matching(any_status, f, NOW))
            assert tally.others == {s: n for s, n in others.items() if s not in query.statuses}
            one = rnd.choice(held)
            refs = pages.mails_of(connection, one.id, query, NOW)
            assert [ref.n for ref in refs] == [m.n for m in matching(query, one, NOW)]
            some = rnd.sample([f.id for f in held], 5)
            wanted = [i for i in some if i in {message for message, _ in mails}]
            rows = pages.rows_by_id(connection, access, [*some, 12345], query, NOW)
            assert [row.id for row in rows] == wanted


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_nobody_sees_other_customers(seed):
    rnd = random.Random(seed)
    held = messages(rnd, 40)
    with store(held) as connection:
        for granted in ([], ["acme"], ["acme/sales", "zeta"], ["acme-old"], ["all", "acme"], ["Acme"]):
            access = Access(2, "bert", 2, tuple(Grant("operator", c) for c in granted))
            for sort in rnd.sample(SORT_NAMES, 3):
                query = parse(query_text(rnd, 1), me="bert")
                if query.needs() and not granted:
                    continue
                if not granted:
                    sort = "-time"
                found = walk_forwards(connection, query, sort, 7, access)
                assert found == oracle(held, query, sort, access)
                one = rnd.choice(held)
                if Right.VIEW not in access.rights_at(one.customer):
                    assert pages.rows_by_id(connection, access, [one.id], EVERY, NOW) == []
                    if sort.removeprefix("-") != "time":
                        with pytest.raises(LookupError):
                            page(connection, EVERY, sort, access, at=one.id)


def test_cursors_survive_what_is_deleted_and_what_arrives():
    rnd = random.Random(7)
    held = messages(rnd, 60)
    for sort in SORT_NAMES:
        with store(held) as connection:
            expected = oracle(held, EVERY, sort)
            first = page(connection, EVERY, sort, limit=20)
            gone = {*ids(first)[-3:], expected[20], expected[30]}
            connection.execute(delete(t.message).where(t.message.c.id.in_(gone)))
            second = page(connection, EVERY, sort, limit=20, after=first.next)
            assert ids(second) == [i for i in expected[20:] if i not in gone][:20]
            back = page(connection, EVERY, sort, limit=100, before=second.previous)
            assert ids(back) == [i for i in expected[:20] if i not in gone] + (
                [] if expected[20] in gone else [expected[20]]
            )
            assert back.previous is None


def test_a_page_starts_at_a_message_a_time_and_the_end():
    rnd = random.Random(3)
    held = messages(rnd, 50)
    by_id = {f.id: f for f in held}
    with store(held) as connection:
        for sort in SORT_NAMES:
            expected = oracle(held, EVERY, sort)
            for place in (0, 13, 49):
                result = page(connection, EVERY, sort, limit=10, at=expected[place])
                assert ids(result) == expected[place : place + 10]
                above = page(connection, EVERY, sort, limit=100, before=result.previous)
                assert ids(above) == expected[:place]
            last = page(connection, EVERY, sort, limit=10, end=True)
            assert ids(last) == expected[-10:] and last.next is None and last.previous is not None
            assert ids(page(connection, EVERY, sort, limit=100, end=True)) == expected
        when = sorted(f.at for f in held)[20] + 1500
        newest_first = page(connection, EVERY, "-time", limit=5, time_us=when)
        older = [i for i in oracle(held, EVERY, "-time") if by_id[i].at <= when]
        assert ids(newest_first) == older[:5]
        oldest_first = page(connection, EVERY, "time", limit=5, time_us=when)
        assert ids(oldest_first) == [i for i in oracle(held, EVERY, "time") if by_id[i].at > when][:5]
        # A message that is gone, or has left the list, is still a place by time; by other sorts it may be unknown.
        unknown = new_message_id(NOW - HOUR, 77)
        assert ids(page(connection, EVERY, "-time", limit=100, at=unknown)) == [
            i for i in oracle(held, EVERY, "-time") if i < unknown
        ]
        with pytest.raises(LookupError):
            page(connection, EVERY, "-score", at=unknown)
        with pytest.raises(ValueError, match="sorted by time"):
            page(connection, EVERY, "-score", time_us=NOW)


def test_the_first_and_the_last_page_say_so():
    held = messages(random.Random(5), 30)
    with store(held) as connection:
        first = page(connection, EVERY, "-time", limit=30)
        assert len(first.rows) == 30 and first.previous is None and first.next is None and not first.partial
        first = page(connection, EVERY, "-time", limit=29)
        assert first.next is not None
        rest = page(connection, EVERY, "-time", limit=29, after=first.next)
        assert len(rest.rows) == 1 and rest.next is None and rest.previous is not None
        nothing = page(connection, parse("from:nobody.example"), "-time")
        assert (nothing.rows, nothing.next, nothing.previous, nothing.partial) == ([], None, None, False)
        impossible = page(connection, parse("status:onhold -status:onhold"), "-time")
        assert impossible.rows == [] and impossible.next is None


@pytest.mark.parametrize("backwards", [False, True])
def test_when_time_is_up_a_page_is_partial_and_goes_on(backwards, monkeypatch):
    monkeypatch.setattr(walk, "FIRST_CHUNK", 4)
    monkeypatch.setattr(walk, "LAST_CHUNK", 4)
    held = messages(random.Random(11), 60)
    query = parse("status:any in")  # too short for the index of words
    with store(held) as connection:
        for sort in SORT_NAMES:
            found, cursor, turned = [], None, 0
            while turned == 0 or cursor is not None:
                start = {"before" if backwards else "after": cursor} if cursor else {"end": backwards}
                result = pages.page(connection, EVERYWHERE, query, sort, now_us=NOW, budget_s=0, limit=50, **start)
                found = ids(result) + found if backwards else found + ids(result)
                cursor = result.previous if backwards else result.next
                assert result.partial == (cursor is not None)
                turned += 1
            assert turned > 5
            assert found == oracle(held, query, sort)


@pytest.mark.parametrize(
    "cursor",
    ["", "1", "x", "1%%%", "2W10", "1W10", "1" + "A" * 2000]
    + [
        "1" + base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")
        for packed in (
            "{}",
            '["time"]',
            '["time",1,1]',
            '["time",-1,null]',
            '["time",true,null]',
            '["time",99999999999999999999,null]',
            '["color",1,null]',
            '[["time"],1,null]',
            '["size",1,99999999999999999999]',
            '["subject",1,7]',
            '["score",1,NaN]',
            '["subject",1,"\\ud800"]',
            '["subject",1,"\\u0000"]',
            "[" * 500,
            '"\ud83d"'.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
        )
    ],
)
def test_garbage_is_no_cursor(cursor):
    with store([]) as connection, pytest.raises(ValueError, match="is no cursor"):
        page(connection, EVERY, "-time", after=cursor)


def test_what_cannot_be_meant_is_refused():
    held = messages(random.Random(2), 12)
    with store(held) as connection:
        by_score = page(connection, EVERY, "-score", limit=5).next
        with pytest.raises(ValueError, match="sorted by score, not by time"):
            page(connection, EVERY, "-time", after=by_score)
        assert page(connection, EVERY, "score", after=by_score) is not None  # the other direction is the same list
        with pytest.raises(ValueError, match="at most one"):
            page(connection, EVERY, "-time", after=by_score, end=True)
        for limit in (0, 501):
            with pytest.raises(ValueError, match="1 to 500"):
                page(connection, EVERY, "-time", limit=limit)
        with pytest.raises(ValueError, match="no sort 'color'"):
            page(connection, EVERY, "color")


def test_cursors_are_short():
    held = messages(random.Random(2), 40)
    with store(held) as connection:
        for sort in SORT_NAMES:
            assert len(page(connection, EVERY, sort, limit=5).next) < 400


def test_a_class_that_is_lacking_is_not_in_the_row_and_not_asked():
    access = Access(3, "cora", 3, (Grant("operator", "all"),))
    keys = {
        DataClass.ENVELOPE: {"fromDomain", "fromEmail", "sender", "toEmail"},
        DataClass.SUBJECT: {"subject"},
        DataClass.HEADERS: {"score", "rules"},
    }
    held = messages(random.Random(4), 5)
    with store(held) as connection:
        data = page(connection, EVERY, "-time", access).rows[0]
        whole = pages.build_row(data, frozenset(DataClass))
        assert set(whole) == set(Row.model_fields)
        assert Row.model_validate(whole).id == encode_message(data.id)
        for lacking, absent in keys.items():
            assert set(whole) - set(pages.build_row(data, frozenset(DataClass) - {lacking})) == absent | {"campaign"}
        nobody = Access(4, "dora", 4, ())
        for text, sort in (("from:x", "-time"), ("invoice", "-time"), ("score:>1", "-time"), ("", "-subject")):
            with pytest.raises(QueryForbidden):
                page(connection, parse(text), sort, nobody)
            if sort == "-time":
                with pytest.raises(QueryForbidden):
                    pages.counts(connection, nobody, parse(text), now_us=NOW)
        assert page(connection, EVERY, "-time", nobody).rows == []


def test_counts_stop_at_the_cap(monkeypatch):
    monkeypatch.setattr(pages, "CAP", 10)
    held = messages(random.Random(9), 60)
    with store(held) as connection:
        everybody = parse("age:<52w")
        tally = pages.counts(connection, EVERYWHERE, everybody, now_us=NOW, budget_s=60)
        assert tally.matching == 10 and tally.capped
        tally = pages.counts(connection, EVERYWHERE, parse("verdict:spam status:any"), now_us=NOW)
        assert not tally.capped  # kept counters answer it, however many


@pytest.mark.parametrize(
    "text",
    [
        "age:<38000w",
        "age:>38000w",
        "at:>9999-12-31T23:59Z",
        "at:<9999-12-31T23:59Z",
        "at:>0001-01-01",
        "at:<0001-01-01",
        "expires:<38000w",
        "size:<999999999G",
        "score:>=-999999999999999",
        "verdict:" + ",".join(v.lower() for v in VERDICTS),
        "-verdict:" + ",".join(v.lower() for v in VERDICTS),
        "-status:any",
        "-customer:all",
        "status:any " + " ".join(["x"] * 50),
    ],
)
def test_extremes(text):
    held = messages(random.Random(6), 30)
    query = parse(text)
    with store(held) as connection:
        for sort in SORT_NAMES:
            assert ids(page(connection, query, sort, limit=100)) == oracle(held, query, sort)
        tally = pages.counts(connection, EVERYWHERE, query, now_us=NOW, budget_s=60)
        assert tally.matching == sum(len(matching(query, f, NOW)) for f in held)
        assert page(connection, query, "-time", time_us=1 << 80) is not None
        assert page(connection, query, "time", time_us=-1) is not None


@pytest.mark.parametrize("word", ["status", "scope", "mails"])
def test_a_word_that_is_also_a_name_of_ours_is_looked_for_like_any(word):
    rnd = random.Random(7)
    with store(messages(rnd, 40)) as connection:
        for sort in SORT_NAMES:
            assert walk_forwards(connection, parse(f"{word} -{word}"), sort, 7) == []
            assert walk_forwards(connection, parse(f"{word} status:any"), sort, 7) == oracle(
                messages(random.Random(7), 40), parse(f"{word} status:any"), sort
            )
