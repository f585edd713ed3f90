"""Releasing and deleting in other ways: one dialog with few fields; what is chosen is what is sent."""

from __future__ import annotations

import pytest

from rcqueue.model.act import ReleaseAs, SenderScope, SenderWish
from rcqueue.model.mail import Status
from rcqueue.screens.options import addresses, days
from tests.screens.terminal import Terminal, queue, terminal
from tests.screens.test_queue import bob


async def sent(t: Terminal) -> dict[str, object]:
    """What the act that was sent has beside its sequence, fence and filter."""
    await t.until(lambda: t.calls("act"), "the act")
    _, _, _, body = t.calls("act")[0]
    given: dict[str, object] = body.model_dump(exclude_defaults=True, exclude={"as_of", "fence", "query"})
    return given


async def test_a_release_in_another_form_to_others_learning_and_allowing() -> None:
    async with terminal(queue()) as t:
        await t.press("ctrl+r")
        await t.shows("Release win@lucky.example, and how?")
        await t.press("right", "right", "tab")
        await t.type("postmaster")
        await t.press("space", *"bea", "at", *"acme", "full_stop", *"example", "tab", "right", "down", "right")
        assert "[attachment]" in t.text and "[yes, as ham]" in t.text and "[for this recipient]" in t.text
        await t.press("right", "down", "backspace", "backspace", "7")
        await t.press("enter")
        assert await sent(t) == {
            "form": ReleaseAs.ATTACHMENT,
            "to": ["postmaster", "bea@acme.example"],
            "learn": True,
            "sender": {"scope": SenderScope.CUSTOMER, "days": 7},
        }
        assert t.calls("act")[0][2] == "release"
        said = "released to postmaster, bea@acme.example, as an attachment, to be learned, sender allowed for 7 days"
        await t.until(lambda: said in t.flash, said)


async def test_nothing_chosen_is_the_usual_release() -> None:
    async with terminal(queue()) as t:
        await t.press("ctrl+r")
        await t.shows("and how?")
        await t.press("enter")
        assert await sent(t) == {}


async def test_a_delete_that_learns_and_blocks() -> None:
    async with terminal(queue(), role="operator") as t:
        await t.press("ctrl+d")
        await t.shows("Delete win@lucky.example, and how?")
        assert "Form" not in t.text and "whole customer" not in t.text  # who does not administer is not offered it
        await t.press("right", "tab", "right", "enter")
        assert (await sent(t)).keys() == {"learn", "sender"}
        _, _, verb, body = t.calls("act")[0]
        assert (verb, body.sender) == ("delete", SenderWish(scope=SenderScope.RECIPIENT, days=30))


@pytest.mark.parametrize("key", ["ctrl+r", "ctrl+d"])
async def test_esc_leaves_without_doing(key: str) -> None:
    async with terminal(queue()) as t:
        await t.press(key)
        await t.shows("and how?")
        await t.press("right", "escape")
        await t.until(lambda: "and how?" not in t.text)
        assert not t.calls("act")


async def test_what_can_not_be_is_said_and_the_dialog_stays() -> None:
    async with terminal(queue()) as t:
        await t.press("ctrl+r", "tab")
        await t.type("nonsense")
        await t.press("enter")
        await t.shows("nonsense: an address or postmaster was expected")
        await t.press(*["backspace"] * 8, "tab", "tab", "right", "tab", "0", "0", "enter")
        await t.shows("days: a number from 1 to 366 was expected")
        assert not t.calls("act")


async def test_who_may_not_read_bodies_may_choose_no_address() -> None:
    async with terminal(queue(), role="blind") as t:
        await t.press("ctrl+r", "tab")
        await t.shows("its recipient, or postmaster")
        await t.press(*"me", "at", *"home", "full_stop", *"example", "enter")
        await t.shows("who may not read bodies may choose no address")
        assert not t.calls("act")


async def test_many_are_asked_how_and_then_how_many() -> None:
    async with terminal(queue()) as t:
        await t.press("v", "v", "ctrl+d")
        await t.shows("Delete what is marked, and how?")
        await t.press("right", "enter")
        await t.shows("Delete 44 mails to 43 recipients, of 2 marked messages, to be")
        ((_, request),) = t.calls("store_act")
        assert (request.verb, request.learn, len(request.ids)) == ("delete", True, 2)
        await t.press("4", "4", "enter")
        await t.until(lambda: t.calls("confirm_act"))


@pytest.mark.parametrize("left", [1, 0])
async def test_what_leaves_the_list_while_it_is_asked_how_is_not_acted_on(left: int) -> None:
    store = queue()
    async with terminal(store) as t:
        await t.press("j", "j", "v", "v", "ctrl+d")
        await t.shows("Delete what is marked, and how?")
        marked = list(t.app.queue.view.marks)
        for message in marked[left:]:
            bob(store, "release", message, status=Status.RELEASED)
        await t.until(lambda: len(t.app.queue.view.marks) == left)
        await t.press("enter")
        if left:
            await t.shows("of 1 marked message")
            assert [request.ids for _, request in t.calls("store_act")] == [marked[:1]]
        else:
            await t.until(lambda: "all that was marked has left the list: nothing done" in t.flash)
            assert not t.calls("store_act")


async def test_the_mail_that_is_open_too() -> None:
    async with terminal(queue()) as t:
        await t.press("enter")
        await t.shows("Subject")
        await t.press("ctrl+d")
        await t.shows("Delete win@lucky.example, and how?")
        await t.press("enter")
        assert await sent(t) == {}


async def test_on_a_mail_that_a_colleague_holds_there_is_no_dialog() -> None:
    store = queue()
    newest = store.messages[max(store.messages)]
    store.change("mail.claim", "bob", newest, [0], claim="bob", fence=9)
    async with terminal(store) as t:
        await t.press("ctrl+r")
        await t.until(lambda: t.flash)
        assert "bob holds this" in t.flash and "and how?" not in t.text


async def test_q_says_how_to_leave() -> None:
    async with terminal(queue()) as t:
        await t.press("q")
        await t.until(lambda: t.flash)
        assert t.flash.strip() == "^q signs out and quits"


def test_addresses() -> None:
    assert addresses(" a@b.example,postmaster  a@b.example ", others=True) == ["a@b.example", "postmaster"]
    assert addresses("", others=False) == []
    assert addresses("postmaster", others=False) == ["postmaster"]
    for text in ("a", "@b", "a@", "a@b.example nobody"):
        with pytest.raises(ValueError, match="an address or postmaster was expected"):
            addresses(text, others=True)
    with pytest.raises(ValueError, match="21 addresses: at most 20"):
        addresses(" ".join(f"a{n}@b.example" for n in range(21)), others=True)


@pytest.mark.parametrize("text", ["", "0", "367", "-1", "1.5", "\u0663", "9" * 40])
def test_days(text: str) -> None:
    assert days(" 366 ") == 366
    with pytest.raises(ValueError, match="from 1 to 366"):
        days(text)
