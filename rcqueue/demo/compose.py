"""From a draft to the bytes of a mail, as an MTA with a filter hands it over. Written by hand: the standard library's
email package is too slow for it (and too well-behaved for what comes in)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from random import Random

from rcqueue.demo.places import Client
from rcqueue.demo.rules import Verdict, filter_fields


@dataclass
class Draft:
    """A mail before the filter's MTA saw it. Addresses and fields may hold any Unicode."""

    kind: str
    sender: str  #: envelope; "" for a bounce
    recipients: tuple[str, ...]
    from_: str  #: the From field's value, ready to print
    subject: str  #: ready to print
    content: bytes  #: Content-* fields, an empty line, the body
    verdict: Verdict
    client: Client
    auth: tuple[str, str, str] = ("none", "none", "none")  #: spf, dkim, dmarc
    fields: list[tuple[str, str]] = field(default_factory=list)  #: further fields of the sender
    preview: str = ""  #: what the filter's report quotes of the text
    to: str = ""  #: the To field's value; "" is made of the recipients
    smtputf8: bool = False


def finish(rng: Random, draft: Draft, now: datetime) -> bytes:
    """The whole mail. `now` is when the filter hands it over."""
    domain = draft.sender.rpartition("@")[2] or draft.client.name
    preview = word(" ".join(draft.preview.split())[:160] or "(no text)")
    fields = filter_fields(rng, draft.verdict, draft.verdict.at_least >= 5 and rng.random() < 0.25, preview)
    spf, dkim, dmarc = draft.auth
    fields.append(
        (
            "Authentication-Results",
            f"mx1.filter.example;\r\n\tspf={spf} smtp.mailfrom={draft.sender or draft.client.helo};\r\n\t"
            f"dkim={dkim};\r\n\tdmarc={dmarc} header.from={domain}",
        )
    )
    fields += _trace(rng, draft, now)
    fields += [
        ("From", draft.from_),
        ("To", draft.to or _to(draft.recipients)),
        ("Subject", draft.subject),
        ("Date", format_datetime(now - timedelta(seconds=rng.randrange(2, 90)))),
        ("Message-ID", f"<{rng.getrandbits(80):020x}@{domain if domain.isascii() else 'mail.example'}>"),
        *draft.fields,
        ("MIME-Version", "1.0"),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return head.encode("utf-8", "surrogateescape") + draft.content


def _trace(rng: Random, draft: Draft, now: datetime) -> list[tuple[str, str]]:
    """Received: the filter's scanner, its MTA, and now and then a host of the sender's."""
    client = draft.client
    to = f"\r\n\tfor <{draft.recipients[0]}>" if len(draft.recipients) == 1 else ""
    tls = "\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))" if client.tls else ""
    with_ = ("UTF8SMTP" if draft.smtputf8 else "ESMTP") + ("S" if client.tls else "")
    hops = [
        f"from mx1.filter.example (mx1.filter.example [192.0.2.10])\r\n\tby scan1.filter.example (Postfix) with ESMTP "
        f"id {rng.getrandbits(40):010X}{to};\r\n\t{format_datetime(now)}",
        f"from {client.helo} ({client.name} [{_literal(client.address)}]){tls}\r\n\tby mx1.filter.example (Postfix) "
        f"with {with_} id {rng.getrandbits(40):010X}{to};\r\n\t{format_datetime(now - timedelta(seconds=1))}",
    ]
    if rng.random() < 0.4:
        hops.append(
            f"from [192.0.2.{rng.randrange(1, 255)}] (unknown)\r\n\tby {client.helo} with ESMTPA "
            f"id {rng.getrandbits(32):08x};\r\n\t{format_datetime(now - timedelta(seconds=rng.randrange(2, 40)))}"
        )
    return [("Received", hop) for hop in hops]


def _literal(address: str) -> str:
    return f"IPv6:{address}" if ":" in address else address


def _to(recipients: tuple[str, ...]) -> str:
    if len(recipients) > 12:
        return "undisclosed-recipients:;"
    return ",\r\n\t".join(f"<{recipient}>" for recipient in recipients)


def word(text: str, charset: str = "utf-8") -> str:
    """`text` for a field: as it is when it is plain ASCII, else as encoded words (RFC 2047, base64), folded."""
    if text.isascii() and text.isprintable() and "=?" not in text:
        return text
    words: list[str] = []
    chunk = b""
    for character in text:
        piece = character.encode(charset, "replace")
        if len(chunk) + len(piece) > 42:
            words.append(_word(chunk, charset))
            chunk = b""
        chunk += piece
    return "\r\n ".join([*words, _word(chunk, charset)])


def _word(chunk: bytes, charset: str) -> str:
    return f"=?{charset}?B?{binascii.b2a_base64(chunk, newline=False).decode()}?="


def mailbox(name: str, address: str, charset: str = "utf-8") -> str:
    """`"Name" <address>`, the name quoted or encoded as it needs."""
    if not name:
        return address
    if name.isascii() and name.isprintable() and "=?" not in name:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{address}>'
    return f"{word(name, charset)} <{address}>"


def text(body: str, kind: str = "plain", charset: str = "utf-8") -> bytes:
    """An entity of text: lines end with LF in `body`, with CRLF in what is made of it."""
    raw = body.replace("\n", "\r\n").encode(charset, "replace")
    if raw.isascii() and b"\x1b" not in raw and max(map(len, raw.split(b"\r\n"))) < 900:
        return f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: 7bit\r\n\r\n".encode() + raw
    if len(body.encode("ascii", "ignore")) * 2 > len(body):
        encoding, coded = "quoted-printable", binascii.b2a_qp(raw, istext=True)
    else:
        encoding, coded = "base64", _base64(raw)
    return (
        f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
        + coded
    )


def attachment(name: str, media_type: str, data: bytes, disposition: str = "attachment") -> bytes:
    """An entity with a file. A name that is not ASCII goes in twice: as encoded word and by RFC 2231."""
    if name.isascii() and name.isprintable():
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        type_name, file_name = f'name="{quoted}"', f'filename="{quoted}"'
    else:
        percent = "".join(f"%{byte:02X}" for byte in name.encode())
        type_name, file_name = f'name="{word(name)}"', f"filename*=UTF-8''{percent}"
    return (
        f"Content-Type: {media_type};\r\n\t{type_name}\r\nContent-Disposition: {disposition};\r\n\t{file_name}\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    ).encode() + _base64(data)


def multipart(rng: Random, kind: str, *parts: bytes) -> bytes:
    """An entity of entities."""
    boundary = f"=_{rng.getrandbits(96):024x}"
    mark = f"--{boundary}\r\n".encode()
    body = b"".join(mark + part.removesuffix(b"\r\n") + b"\r\n" for part in parts)
    return f'Content-Type: multipart/{kind};\r\n\tboundary="{boundary}"\r\n\r\n'.encode() + body + mark[:-2] + b"--\r\n"


def _base64(data: bytes) -> bytes:
    """Lines of 76 characters that end with CRLF."""
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def random_base64(rng: Random, count: int) -> str:
    """`count` random bytes on one line, as signatures are."""
    return base64.b64encode(rng.randbytes(count)).decode()
