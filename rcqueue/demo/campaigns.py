"""Campaigns: one lure to many recipients over minutes, each mail with another sender and subject."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from rcqueue.demo import compose, places
from rcqueue.demo.compose import Draft
from rcqueue.demo.lures import Lure, fill
from rcqueue.demo.rules import Verdict


@dataclass
class Campaign:
    """One sending of a lure: its own hosts, network and target, for `left` more mails."""

    lure: Lure
    hosts: tuple[str, ...]
    network: int
    target: str | None  #: the one domain that it goes to; None: all
    bulk: float  #: the part of its mails that goes to several recipients
    left: int


def begin(rng: Random, lure: Lure, left: int) -> Campaign:
    """A campaign of `left` mails. A lure without hosts gets look-alikes of one customer's domain, and goes there."""
    if lure.hosts:
        number = rng.choice(("", str(rng.randrange(2, 99))))
        hosts, target = tuple(host.format(n=number) for host in lure.hosts), None
    else:
        target = rng.choices(list(places.DOMAINS), list(places.DOMAINS.values()))[0]
        hosts = (rng.choice(places.LOOK_ALIKES[places.customer_of(target)]),)
    return Campaign(lure, hosts, rng.randrange(3), target, rng.choice((0.05, 0.15, 0.5)), left)


def draft(rng: Random, campaign: Campaign, kind: str) -> Draft:
    """The campaign's next mail. Counts it off."""
    campaign.left -= 1
    lure = campaign.lure
    count = places.crowd(rng) if rng.random() < campaign.bulk else 1
    to = places.recipients(rng, count, campaign.target)
    filled = fill(rng, rng.choice(places.FIRST_NAMES), rng.choice(places.LAST_NAMES), to[0])
    host = rng.choice(campaign.hosts)
    sender = f"{rng.choice(lure.locals).format_map(filled)}@{host}".lower()
    text = lure.text.format_map(filled)
    content = compose.text(text + "\n")
    if lure.link:
        url = f"https://{host}{lure.path.format_map(filled)}"
        label = lure.link.format_map(filled)
        html = compose.text(_HTML.format(text.replace("\n", "<br>\n"), url, label, _filler(rng)), "html")
        plain = compose.text(f"{text}\n\n{label}:\n{url}\n")
        content = html if rng.random() < 0.3 else compose.multipart(rng, "alternative", plain, html)
    phish = lure.kind == "PHISH"
    rules = tuple(rule for rule in lure.rules if rng.random() < 0.85)
    return Draft(
        kind=kind,
        sender=sender,
        recipients=to,
        from_=compose.mailbox(rng.choice(lure.senders).format_map(filled), sender),
        subject=compose.word(rng.choice(lure.subjects).format_map(filled)),
        content=content,
        verdict=Verdict(lure.kind, lure.reason, rules, at_least=rng.uniform(5.0, 9.0 if phish else 18.0)),
        client=places.dial_up(rng, campaign.network),
        auth=("fail", "none", "fail (p=reject)") if "SPF_FAIL" in lure.rules else (rng.choice(_SPF), "none", "none"),
        fields=[("Reply-To", f"answer{filled['d']}@freemail.example")] if rng.random() < 0.2 else [],
        preview=text,
    )


_SPF = ("pass", "softfail", "neutral", "none")

_HTML = """<!DOCTYPE html>
<html><body style="font-family:Arial">
<p>{}</p>
<p><a href="{}" style="background:#c00;color:#fff;padding:8px">{}</a></p>
<div style="font-size:1px;color:#fff">{}</div>
</body></html>
"""

_NOISE = (
    "harbour", "lantern", "meadow", "signal", "copper", "walnut", "drift", "orchard", "velvet", "anchor",
    "pebble", "thunder", "saddle", "ribbon", "canyon", "marble", "willow", "ember", "quartz", "raven",
)  # fmt: skip


def _filler(rng: Random) -> str:
    """Words that mean nothing, as spam carries them against digests: 100 bytes to some KB."""
    return "\n".join(" ".join(rng.choices(_NOISE, k=12)) for _ in range(min(120, 1 + int(rng.expovariate(1 / 12)))))
