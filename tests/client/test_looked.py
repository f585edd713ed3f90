"""What changed since this terminal last looked at it."""

from __future__ import annotations

from rcqueue.client.looked import KEPT, Looked


def test_a_row_is_changed_once_its_version_rose_and_until_it_is_looked_at():
    looked = Looked()
    assert not looked.changed("a", 5)  # never looked at: nothing is news
    looked.at("a", 5)
    assert not looked.changed("a", 5) and looked.changed("a", 6)
    looked.at("a", 6)
    assert not looked.changed("a", 6)


def test_what_is_new_in_a_mail_stays_new_until_another_is_read():
    looked = Looked()
    looked.read("a", 10)
    assert looked.since is None
    looked.read("b", 11)
    looked.read("a", 14)
    assert looked.since == 10
    looked.read("a", 15)
    assert looked.since == 10
    looked.read("b", 11)
    assert looked.since == 11
    looked.read("a", 15)
    assert looked.since == 15


def test_it_is_bounded_and_forgets_the_oldest():
    looked = Looked()
    for n in range(KEPT + 10):
        looked.at(str(n), 1)
        looked.read(str(n), n)
    assert len(looked._versions) == len(looked._entries) == KEPT
    assert not looked.changed("0", 9) and looked.changed(str(KEPT), 9)
