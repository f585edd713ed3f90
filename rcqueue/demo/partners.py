"""Mail that should not have been held: newsletters, and the invoices and scans of real partners. The reason to have
a person look at a queue at all."""

from __future__ import annotations

from random import Random

from rcqueue.demo import compose, files, places
from rcqueue.demo.compose import Draft
from rcqueue.demo.rules import Verdict

_LISTS = (
    (
        "Brewing Weekly",
        "brewing-weekly.example",
        ("Our November notes", "Five hops for the winter", "Issue {n}: lagers"),
    ),
    ("City Library", "library.example.org", ("New on the shelves", "Reading night on Friday", "Your loans this month")),
    ("Embedded World News", "embedded-news.example", ("Issue {n}: boards under 10 EUR", "The week in firmware")),
    ("HR Round Table", "hr-table.example.net", ("Invitation: round table {n}", "What changes in January")),
    ("Alpine Club", "alpine.example.org", ("Huts that open early", "Snow report, week {n}", "Annual meeting: agenda")),
    ("Parts & Tools", "parts-tools.example.com", ("{n} new parts in stock", "Your December price list")),
)

_PARTNERS = ("keller-metal.example", "print-house.example", "northwind-freight.example", "vogel-law.example.com",
             "clean-office.example", "copier.partner.example", "data-centre.example.net")  # fmt: skip

_LETTERS = (
    ("Invoice {n}",
     "Dear Sir or Madam,\n\nplease find attached our invoice {n} for November. Payable within 30 days.\n"),
    ("Scanned document {n}", "This document was scanned on device MFP-{n}, 2nd floor.\n"),
    ("Re: order {n}", "Hello,\n\nthanks for your order {n}. Delivery note attached, the truck is there on Thursday.\n"),
    ("Minutes of Tuesday, and the offer",
     "Hi all,\n\nminutes attached. The offer ({n}) is on page 3, please answer by Friday.\n"),
    ("Contract {n}, signed copy",
     "Good morning,\n\nattached the countersigned contract {n}. The original comes by post.\n"),
    ("AW: Angebot {n} für die Halle",
     "Guten Tag,\n\nanbei das geänderte Angebot {n}. Rückfragen gerne telefonisch.\n\nGrüße\n"),
    ("Payslip questions",
     "Hello,\n\ncould you check employee {n}? The hours for October look wrong to me. Sheet attached.\n"),
)  # fmt: skip

_MILD = (
    ("BAYES_50", "HTML_IMAGE_ONLY_24", "DCC_CHECK", "MIME_HTML_ONLY", "PYZOR_CHECK", "HTML_MESSAGE", "SPF_PASS"),
    ("RCVD_IN_SBL_CSS", "BAYES_80", "HTML_MESSAGE", "SPF_PASS", "DKIM_VALID", "DKIM_VALID_AU"),
    ("BAYES_99", "DCC_CHECK", "PYZOR_CHECK", "DKIM_VALID", "DKIM_VALID_AU", "SPF_PASS"),
    ("BAYES_80", "URIBL_BLACK", "RCVD_IN_BL_SPAMCOP_NET", "BAYES_999", "DKIM_VALID"),
)


def newsletter(rng: Random) -> Draft:
    """A newsletter that its readers asked for, a little over the threshold, or stopped as bulk by policy."""
    name, domain, subjects = rng.choice(_LISTS)
    number = rng.randrange(2, 400)
    bounce = f"bounce-{rng.getrandbits(24)}@{domain}"
    subject = rng.choice(subjects).format(n=number)
    stories = [f"{rng.choice(_HEADS)} {rng.choice(_TAILS)}" for _ in range(rng.randrange(4, 40))]
    plain = f"{name}\n{subject}\n\n" + "\n\n".join(
        f"* {story}\n  https://{domain}/{number}/{i}" for i, story in enumerate(stories)
    )
    html = "".join(
        f'<tr><td style="padding:12px;font-family:Georgia,serif;border-bottom:1px solid #ddd"><h2>{story}</h2>\n'
        f'<p>{" ".join(rng.choices(_TAILS, k=6))}</p>\n<a href="https://{domain}/{number}/{i}">Read on</a></td></tr>\n'
        for i, story in enumerate(stories)
    )
    policy = rng.random() < 0.25
    return Draft(
        kind="newsletter",
        sender=bounce,
        recipients=places.recipients(rng, 1 if rng.random() < 0.7 else places.crowd(rng)),
        from_=compose.mailbox(name, f"news@{domain}"),
        subject=compose.word(subject),
        content=compose.multipart(
            rng,
            "alternative",
            compose.text(plain),
            compose.text(f"<html><body><table>\n{html}</table></body></html>\n", "html"),
        ),
        verdict=Verdict(
            "POLICY", "bulk mail from a list that is not on the customer's list", ("MAILING_LIST_MULTI", "DKIM_VALID")
        )
        if policy
        else Verdict("SPAM", "", _over(rng)),
        client=places.mail_server(rng, domain),
        auth=("pass", f"pass header.d={domain}", "pass (p=none)"),
        fields=[
            ("List-Id", f"{name} <{domain.replace('.', '-')}.lists.{domain}>"),
            ("List-Unsubscribe", f"<https://{domain}/leave/{rng.getrandbits(32):08x}>,\r\n\t<mailto:leave@{domain}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("Precedence", "bulk"),
            _signature(rng, domain),
        ],
        preview=plain,
        to=compose.mailbox(f"{name} readers", f"readers@{domain}") if rng.random() < 0.3 else "",
    )


def partner(rng: Random) -> Draft:
    """An invoice, a scan, a letter of a real partner."""
    domain = rng.choice(_PARTNERS)
    first, last = rng.choice(places.FIRST_NAMES), rng.choice(places.LAST_NAMES)
    sender = f"{first}.{last}@{domain}".lower()
    subject, text = rng.choice(_LETTERS)
    number = f"{rng.randrange(2019, 2027)}-{rng.randrange(10000):04}"
    text = f"{text.format(n=number)}\n-- \n{first} {last}\n{domain}, tel. +49 30 23125 {rng.randrange(100):03}\n"
    if "Scanned" in subject:
        sender, first, last = f"scan@{domain}", "Scanner", f"MFP-{rng.randrange(9)}"
    file = (
        compose.attachment(f"scan_{number}.jpg", "image/jpeg", files.image(rng))
        if rng.random() < 0.2
        else compose.attachment(
            f"{rng.choice(('Invoice', 'Scan', 'Offer', 'Rechnung für'))} {number}.pdf",
            "application/pdf",
            files.pdf(rng),
        )
    )
    encrypted = rng.random() < 0.15
    return Draft(
        kind="partner",
        sender=sender,
        recipients=places.recipients(rng, rng.choice((1, 1, 1, 1, 2, 3, 5))),
        from_=compose.mailbox(f"{first} {last}", sender),
        subject=compose.word(subject.format(n=number)),
        content=compose.multipart(rng, "mixed", compose.text(text), file),
        verdict=Verdict("ATTACHMENT", "file that can't be looked into (encrypted pdf)", ("SPF_PASS", "DKIM_VALID"))
        if encrypted
        else Verdict("SPAM", "", _over(rng)),
        client=places.mail_server(rng, domain),
        auth=("pass", f"pass header.d={domain}", "pass (p=quarantine)"),
        fields=[
            ("In-Reply-To", f"<{rng.getrandbits(64):016x}@acme.example>")
            if "R" in subject[:2]
            else ("Content-Language", "en"),
            ("User-Agent", "Mail Client 128.4"),
            _signature(rng, domain),
        ],
        preview=text,
    )


def _over(rng: Random) -> tuple[str, ...]:
    """Rules that hit on honest mail: 5.0 to 7 points."""
    return rng.choice(_MILD)


def _signature(rng: Random, domain: str) -> tuple[str, str]:
    return (
        "DKIM-Signature",
        f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=k1;\r\n\th=from:to:subject:date:message-id;\r\n\t"
        f"bh={compose.random_base64(rng, 32)};\r\n\tb={compose.random_base64(rng, 96)}",
    )


_HEADS = ("Why we", "How to", "Ten ways to", "Where to", "When not to", "What it takes to")
_TAILS = ("start small and stay there.", "keep the old mill running.", "repair a lamp.", "read a contract.",
"bake with rye.",
          "plan a year ahead.", "write less and say more.", "sharpen a plane.", "choose a bicycle.")  # fmt: skip
