"""Mail that comes one by one: viruses, forbidden attachments, bounces, breaches of policy."""

from __future__ import annotations

from random import Random

from rcqueue.demo import compose, files, places
from rcqueue.demo.compose import Draft
from rcqueue.demo.rules import Verdict


def virus(rng: Random) -> Draft:
    """EICAR: bare, renamed, or zipped up to three deep."""
    number = f"{rng.randrange(10**6):06}"
    name, media_type, data = rng.choice(
        (
            ("eicar.com", "application/octet-stream", files.EICAR),
            (f"Scan_{number}.pdf.exe", "application/x-msdownload", files.EICAR),
            (f"invoice_{number}.txt", "text/plain", files.EICAR),
            (f"Invoice {number}.zip", "application/zip", files.eicar_zip(1)),
            (f"documents_{number}.zip", "application/zip", files.eicar_zip(rng.choice((2, 3)))),
        )
    )
    sender, client = _stranger(rng)
    text = f"Hello,\n\nplease see the attached document {number} and answer today.\n\nRegards\n"
    return Draft(
        kind="virus",
        sender=sender,
        recipients=places.recipients(rng, rng.choice((1, 1, 1, 2, 3, 8))),
        from_=compose.mailbox(rng.choice(("Copier", "Accounts Payable", "Scanner 2nd floor", "DocuSend")), sender),
        subject=rng.choice(
            (f"Scanned document {number}", f"Invoice {number}", f"Payment advice {number}", "Re: documents")
        ),
        content=compose.multipart(rng, "mixed", compose.text(text), compose.attachment(name, media_type, data)),
        verdict=Verdict("VIRUS", "Eicar-Test-Signature", ("SPF_SOFTFAIL", "RDNS_NONE"), virus="Eicar-Test-Signature"),
        client=client,
        auth=("softfail", "none", "none"),
        preview=text,
    )


_FORBIDDEN = (
    ("contract.docm", "application/vnd.ms-word.document.macroEnabled.12", "document with macros (docm)"),
    ("Rechnung_{n}.xlsm", "application/vnd.ms-excel.sheet.macroEnabled.12", "document with macros (xlsm)"),
    ("Offer {n}.pptm", "application/vnd.ms-powerpoint.presentation.macroEnabled.12", "document with macros (pptm)"),
    ("update_{n}.js", "application/javascript", "script (js)"),
    ("photos_{n}.iso", "application/x-iso9660-image", "disk image (iso)"),
    ("Lieferschein für {n}.docm", "application/vnd.ms-word.document.macroEnabled.12", "document with macros (docm)"),
    ("statement_{n}.html", "text/html", "web page as a file (html)"),
)


def forbidden(rng: Random) -> Draft:
    """A file that the attachment rule stops: macros, scripts, images of disks. Half of them are from honest people."""
    template, media_type, reason = rng.choice(_FORBIDDEN)
    number = rng.randrange(1000, 99999)
    name = template.format(n=number)
    if name.endswith("m"):
        data = files.document(rng, macro=True)
    elif name.endswith("js"):
        data = b'WScript.Echo("demo");\r\n' * rng.randrange(5, 200)
    elif name.endswith("html"):
        data = b"<html><body>Statement</body></html>\r\n" * rng.randrange(5, 200)
    else:
        data = bytes(32_768) + b"\x01CD001\x01\x00" + rng.randbytes(6_000)
    if rng.random() < 0.5:
        first, last = rng.choice(places.FIRST_NAMES), rng.choice(places.LAST_NAMES)
        sender, client = f"{first}.{last}@partner.example".lower(), places.mail_server(rng, "partner.example")
        shown, rules, auth = f"{first} {last}", ("SPF_PASS", "DKIM_VALID"), ("pass", "pass", "pass (p=none)")
    else:
        sender, client = _stranger(rng)
        shown, rules, auth = "Accounts", ("SPF_FAIL", "BAYES_80"), ("fail", "none", "none")
    text = f"Hi,\n\nhere is the file we spoke about ({number}). Please enable editing to see it whole.\n"
    return Draft(
        kind="attachment",
        sender=sender,
        recipients=places.recipients(rng, rng.choice((1, 1, 1, 1, 2, 4))),
        from_=compose.mailbox(shown, sender),
        subject=compose.word(
            rng.choice((f"Contract {number}", f"Rechnung {number}", f"Offer {number}, revised", "The file"))
        ),
        content=compose.multipart(rng, "mixed", compose.text(text), compose.attachment(name, media_type, data)),
        verdict=Verdict("ATTACHMENT", reason, rules),
        client=client,
        auth=auth,
        preview=text,
    )


def bounce(rng: Random) -> Draft:
    """A bounce of something that was never sent from here: the sender was forged."""
    to = places.recipients(rng, 1)
    host = f"mx{rng.randrange(9)}.isp.example"
    lost = f"{rng.choice(places.LAST_NAMES).lower()}{rng.randrange(99)}@isp.example"
    text = (
        f"This is the mail system at host {host}.\n\nI'm sorry to have to inform you that your message could not\n"
        f"be delivered to one or more recipients.\n\n<{lost}>: host {host} said: 550 5.1.1 User unknown\n"
    )
    status = (
        f"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; {host}\r\n\r\n"
        f"Final-Recipient: rfc822; {lost}\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\r\n"
    ).encode()
    original = (
        f"Content-Type: message/rfc822\r\n\r\n"
        f"From: <{to[0]}>\r\nTo: <{lost}>\r\nSubject: You have been selected\r\n\r\nWin now.\r\n"
    ).encode()
    return Draft(
        kind="bounce",
        sender="",
        recipients=to,
        from_=f"MAILER-DAEMON@{host} (Mail Delivery System)",
        subject=rng.choice(
            ("Undelivered Mail Returned to Sender", "Delivery Status Notification (Failure)", "failure notice")
        ),
        content=compose.multipart(rng, 'report; report-type="delivery-status"', compose.text(text), status, original),
        verdict=Verdict("SPAM", "", ("BOUNCE_BACKSCATTER", "ANY_BOUNCE_MESSAGE"), rng.uniform(5, 8)),
        client=places.mail_server(rng, "isp.example"),
        fields=[("Auto-Submitted", "auto-replied")],
        preview=text,
    )


_POLICY = (
    ("DMARC of the sender's domain says reject", ("DMARC_REJECT", "SPF_FAIL"), ("fail", "none", "fail (p=reject)")),
    ("sender is new here and writes to many", ("BAYES_50",), ("pass", "none", "none")),
    ("card number in a mail to many", (), ("pass", "pass", "pass (p=none)")),
    ("sender's domain is younger than 7 days", ("BAYES_50", "SPF_PASS"), ("pass", "none", "none")),
    ("over 200 mails in an hour from one sender", ("DCC_CHECK",), ("pass", "pass", "pass (p=none)")),
)


def policy(rng: Random) -> Draft:
    """A mail that breaks a rule of the house, whatever it says."""
    reason, rules, auth = rng.choice(_POLICY)
    first, last = rng.choice(places.FIRST_NAMES), rng.choice(places.LAST_NAMES)
    domain = f"{rng.choice(('studio', 'agency', 'clinic', 'school', 'club'))}{rng.randrange(40)}.example"
    sender = f"{first[0]}.{last}@{domain}".lower()
    text = f"Hello all,\n\nplease note our new address and bank details, they hold from the first.\n\n{first} {last}\n"
    return Draft(
        kind="policy",
        sender=sender,
        recipients=places.recipients(rng, places.crowd(rng) if "many" in reason else 1),
        from_=compose.mailbox(f"{first} {last}", sender),
        subject=rng.choice(("New address", "Our bank details", "Agenda for Monday", "Price list", "Fwd: registration")),
        content=compose.text(text * rng.randrange(1, 12)),
        verdict=Verdict("POLICY", reason, rules),
        client=places.mail_server(rng, domain),
        auth=auth,
        preview=text,
    )


def _stranger(rng: Random) -> tuple[str, places.Client]:
    return (
        f"doc{rng.randrange(999)}@{rng.choice(('files', 'copy-shop', 'docs'))}{rng.randrange(99)}.test",
        places.dial_up(rng),
    )
