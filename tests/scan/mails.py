"""Mails that real scanners say something about. What must not be found in this file stands in halves."""

from __future__ import annotations

import io
import zipfile
from email.message import EmailMessage
from typing import Any

from rcqueue.server.config import ScannerAt
from rcqueue.server.scan.base import ScanEnvelope
from tests.realparts.clamd import CUSTOM, EICAR

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
ENVELOPE = ScanEnvelope("win@lottery.example", ("bob@example.org",), "198.51.100.7", "mail.lottery.example", "4ABC")


def mail(text: str, subject: str = "Minutes of Monday", sender: str = "Carol <carol@partner.example>") -> EmailMessage:
    message = EmailMessage()
    message["Received"] = (
        "from out.partner.example (out.partner.example [198.51.100.7]) by mx.example.org with ESMTP id 4HAM1;"
        " Tue, 24 Nov 2026 02:01:00 +0000"
    )
    message["Date"] = "Tue, 24 Nov 2026 02:01:00 +0000"
    message["From"] = sender
    message["To"] = "Bob <bob@example.org>"
    message["Subject"] = subject
    message["Message-ID"] = f"<{abs(hash((text, subject)))}@partner.example>"
    message.set_content(text)
    return message


def raw(message: EmailMessage) -> bytes:
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def with_file(name: str, content: bytes, type_: str = "application/octet-stream") -> bytes:
    message = mail("See the attachment.\n")
    maintype, _, subtype = type_.partition("/")
    message.add_attachment(content, maintype=maintype, subtype=subtype, filename=name)
    return raw(message)


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return out.getvalue()


HAM = raw(
    mail(
        "Hi Bob,\n\nhere are the minutes of Monday's meeting. We agreed to move the storage migration to the second\n"
        "week of December and to keep the old array as a cold spare until the audit is over.\n\nRegards, Carol\n"
    )
)
SPAM = raw(
    mail(
        "DEAR FRIEND, I AM BARRISTER JAMES, ATTORNEY TO THE LATE NEXT OF KIN of a foreign customer of the bank of\n"
        "Nigeria who died in a plane crash. THE SUM OF EIGHT MILLION FIVE HUNDRED THOUSAND UNITED STATES DOLLARS will\n"
        "be transferred into your account, 100% risk free. Viagra, Cialis, cheap pills online. Act now!\n"
        "Send your bank account and telephone number. Click here: http://203.0.113.99/claim.php\n"
        "To be removed from our mailing list click here. Limited time offer.\n",
        "URGENT!!! YOU HAVE WON $8,500,000.00 USD - CONFIDENTIAL BUSINESS PROPOSAL",
        '"PAYPAL SECURITY" <win@lottery-prize.example>',
    )
)
GTUBE_MAIL = raw(mail(f"The test:\n\n{GTUBE}\n", "Test of spam"))
EICAR_MAIL = with_file("invoice.com", EICAR.encode())
CUSTOM_MAIL = raw(mail(f"{CUSTOM}\n"))


def at(type_: str, address: object, **more: Any) -> ScannerAt:
    return ScannerAt(type=type_, address=address, **more)
