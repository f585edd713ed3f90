"""A server that lies: hostile text in every field that the protocol has, also in those that ours refuses to hold."""

from __future__ import annotations

import itertools
from typing import Any

from starlette.requests import Request

from tests.client.standin import TIME, WHOAMI, StandIn, mail_id, problem, row
from tests.payloads import PAYLOADS

TEXTS = [text for _, text in PAYLOADS]
VISITED = 6  #: rows whose parts are looked at; together they have every payload in every part
ROUNDS = 17  #: answers to claims, and batches of entries; each is made of three payloads
_RIGHTS = "view headers claim takeover release delete extend note audit administer"
_CLASSES = "envelope headers subject attachments rules body"
#: What a claim is answered with: (kind, status, the member that has the text).
_REFUSALS = (
    ("claimed", 409, "by"),
    ("lost", 409, "by"),
    ("forbidden", 403, "right"),
    ("status", 409, "is"),
    ("bad-request", 400, "detail"),
    ("forbidden", 403, "class"),
)


def group(n: int) -> str:
    """The payloads that the parts of row `n` are made of."""
    return " | ".join(TEXTS[n % VISITED :: VISITED])


def batch(n: int) -> range:
    """The numbers of the payloads of round `n`."""
    return range(n % ROUNDS, len(TEXTS), ROUNDS)


class HostileServer(StandIn):
    """Row n has payload n in each field; its claim is answered by batch n."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = [_row(n) for n in range(len(TEXTS))]
        self.hello = {"server": TEXTS[0]}
        self.append(9)  # a page is true at 9: these are never told
        self.mangle = self._with_presence
        self._here: list[str] = []
        everything = TEXTS[-1]
        self.answers = {
            "GET /api/v1/whoami": WHOAMI
            | {
                "name": "anna\x1b[1m\u202e",
                "roles": [{"role": "admin", "customer": "all"}, {"role": "\x9b2J\u200b", "customer": "all"}],
                "locks": [],
                "rights": _RIGHTS.split(),
                "classes": _CLASSES.split(),
                "server": everything,
                "warning": everything,
            },
            "GET /api/v1/counts": {
                "seq": 9,
                "status": {"ONHOLD": len(TEXTS), "UNCERTAIN": 2, **dict.fromkeys(TEXTS, 1)},
                "verdict": dict.fromkeys(TEXTS, 1),
                "matching": 0,
                "others": dict.fromkeys(TEXTS, 3),
            },
            "GET /api/v1/people": {
                "people": [
                    {
                        "name": f"{n:02} {text}",
                        "enabled": bool(n % 2),
                        "roles": [{"role": text, "customer": text}],
                        "locks": [text],
                        "sessions": 1,
                    }
                    for n, text in enumerate(TEXTS)
                ]
            },
            "GET /api/v1/acts": [
                {
                    "id": f"{n:02}{text}",
                    "verb": "delete",
                    "state": "done",
                    "as_of": 1,
                    "count": 9,
                    "done": 3,
                    "tried": 9,
                    "results": {"done": 3, text: 6},
                    "sample": [text],
                    "who": f"{n:02} {text}",
                    "created": TIME,
                }
                for n, text in enumerate(TEXTS)
            ],
            "GET /api/v1/audit": {"entries": [_entry(n, n + 1) for n in range(len(TEXTS))], "next": None},
        }

    def delete(self, n: int) -> None:
        """Batch `n` is deleted, by persons who are here from then on, and those before them go."""
        self.entries += [_entry(number, len(self.entries) + 1 + at) for at, number in enumerate(batch(n))]

    def _with_presence(self, frame: dict[str, Any]) -> list[dict[str, Any]]:
        gone = [{"who": who, "message": None, "pane": ""} for who in self._here]
        # Only the start of each: of what is longer than the line only dots are shown.
        self._here = [entry["actor"][:10] for entry in frame["entries"]]
        here = [{"who": who, "message": None, "pane": who[3:]} for who in self._here]
        return [frame, {"presence": gone + here}]

    def _usual(self, request: Request, body: bytes) -> Any:
        if request.url.path == "/api/v1/mails" and "refused" in request.query_params.get("query", ""):
            return problem("query", 400, f"refused: {group(1)}", term=group(1), place=0, expected=group(1))
        return super()._usual(request, body)

    def _mail(self, known: dict[str, Any], id: str, last: str = "") -> Any:
        n = self.rows.index(known)
        text = group(n)
        headers = {"id": id, "fields": _fields(text, "headers-end"), "withheld": 2, "degraded": text}
        author = {"field": "From", "address": text, "name": text, "marks": [text]}
        headers["authors"] = [author, author | {"field": "Envelope"}, author | {"field": text, "nth": 3}]
        headers["auth"] = [
            {"method": text, "result": text, "of": text, "by": text, "said": said} for said in (False, True)
        ]
        file = {"name": text, "type": text, "size": 9, "sha256": text, "content": text, "marks": [text]}
        link = {"to": text, "host": text, "label": text, "marks": [text]}
        octets = ("\n".join([*texts_of(n), "raw-end"])).encode("utf-8", "surrogatepass")
        line = {"id": id, "status": "ONHOLD", "version": 1, "claim": known["claim"]}
        texts = texts_of(n)
        mails = [line | {"toEmail": text, "reply": text} for text in texts]
        verdict = {"id": id, "verdict": "SPAM", "score": 9.5, "required": 5, "reason": text, "degraded": "verdict-end"}
        rules = [{"name": text, "points": 1.5, "description": text} for text in texts]
        scans: list[dict[str, Any]] = [{"scanner": text, "error": text} for text in texts]
        scans += [{"scanner": text, "skipped": text, "version": text} for text in texts]
        found = {"kind": "VIRUS", "threats": [text], "members": [text], "reason": text, "rules": rules}
        scans += [{"scanner": text, **found} for text in texts]
        steps = [{"at": TIME, "what": text, "who": text, "detail": text, "mail": text} for text in texts]
        steps += [step | {"hearsay": True} for step in steps]
        parts = {
            "": {
                "row": known,
                "headers": headers,
                "envelope": {"id": id, "sender": text, "mails": []},
                "verdict": verdict | {"rules": rules, "scans": scans},
            },
            "envelope": {"id": id, "sender": text, "mails": [*mails, line | {"toEmail": "recipients-end"}], "more": 1},
            "receipt": {"id": id, "receipt": _receipt(text), "origin": text},
            "text": {
                "id": id,
                "text": "\n".join([*texts, "body-end"]),
                "source": text,
                "charset": text,
                "encoding": text,
                "language": text,
                "links": [link, link | {"marks": []}],
                "marks": [text],
                "degraded": text,
                "truncated": True,
            },
            "html": {"id": id, "text": "\n".join([*texts, "html-end"]), "source": text},
            "hex": {"id": id, "at": 0, "size": len(octets), "data": octets.hex()},
            "attachments": {"id": id, "attachments": [file, file | {"name": "attachments-end"}], "degraded": text},
            "timeline": {"id": id, "steps": [*steps, {"what": "decision", "detail": "timeline-end"}], "more": 2},
        }
        if last in parts:
            return parts[last]
        kind, status, member = next(itertools.islice(_REFUSALS, n % len(_REFUSALS), None))
        said = f"{n:02} " + " | ".join(TEXTS[number] for number in batch(n))
        return problem(
            kind, status, said if member == "detail" else "no", **({} if member == "detail" else {member: said})
        )


def texts_of(n: int) -> list[str]:
    return TEXTS[n % VISITED :: VISITED]


def _row(n: int) -> dict[str, Any]:
    text = TEXTS[n]
    who = {"who": f"{n:02} {text}", "mails": 1, "session": text, "fence": 7}
    hostile = {
        "subject": f"{n:02} {text}",
        "rules": [text],
        "degraded": text if n % 3 == 0 else None,
        "claim": who if n % 4 == 3 else None,
    }
    return row(
        n + 1, **dict.fromkeys(("fromDomain", "fromEmail", "sender", "toEmail", "customer", "queue"), text), **hostile
    )


def _entry(n: int, seq: int) -> dict[str, Any]:
    message, text = mail_id(n + 1), TEXTS[n]
    change = {"id": message + "000", "status": "DELETED", "version": seq}
    return {
        "seq": seq,
        "at": TIME,
        "kind": "mail.delete",
        "message": message,
        "mails": [change],
        "row": _row(n) | {"status": "DELETED", "version": seq, "claim": None},
        "actor": f"{n:02} {text}",
        "note": text,
    }


def _fields(text: str, end: str) -> list[dict[str, str]]:
    names = ("From", "Reply-To", "To", "Cc", "Subject", "Date", text)
    return [*({"name": name, "value": text} for name in names), {"name": "X-End", "value": end}]


def _receipt(text: str) -> dict[str, Any]:
    words = ("client", "name", "helo", "protocol", "tls", "ident", "forwarded_by", "sender")
    hop = dict.fromkeys(("by", "from_", "with_", "id", "for_", "at", "raw"), text)
    return {
        "at": TIME,
        **dict.fromkeys(words, text),
        "port": 25,
        "recipients": [text],
        "dsn": {"mail": text, "recipients": {text: text}},
        "size": 9,
        "trace": [hop, {"raw": text}],
        "authentication": [text],
        "filters": _fields(text, "receipt-end"),
    }
