"""What rspamd's metadata_exporter posts: a message, and in header fields of the request what rspamd made of it.

rspamd posts once, when it has decided, and does not wait for us: what it rejected, the sender was told so. The milter
is the way in that loses nothing; this one shows what an rspamd that stands alone has stopped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rcqueue.model.access import Access
from rcqueue.model.ids import encode_message
from rcqueue.model.mail import Receipt, RuleHit, VerdictKind, from_us
from rcqueue.model.scan import Action, ScanResult
from rcqueue.server.marshal import Refusal
from rcqueue.server.marshal.hold import Import
from rcqueue.server.scan.base import spam_kind
from rcqueue.server.scan.decide import Decision
from rcqueue.server.scan.judge import Judgement

from .hold import CONTROL, Intake

PREFIX = "x-rspamd-"
STOPPED = frozenset({"reject", "discard", "quarantine"})  #: actions after which nobody else has the mail
PASSED = frozenset({"no action", "add header", "rewrite subject"})
MAX_SYMBOLS = 1000

_FIELDS = ["qid", "action", "score", "from", "rcpt", "ip", "symbols"]


class Exporter:
    def __init__(self, intake: Intake, size_limit: int, recipient_limit: int) -> None:
        self._intake, self.size_limit, self._recipient_limit = intake, size_limit, recipient_limit

    async def take(self, who: Access, raw: bytes, fields: Mapping[str, str]) -> list[str]:
        """Holds a message that rspamd stopped; one that it passed is noted as that. `fields`: those of the request.

        The ids of the messages held. Raises `Refusal`: needs the right to hold at each customer.
        """
        said = {name: fields.get(PREFIX + name, "") for name in _FIELDS}
        if not said["action"] or not said["rcpt"]:
            raise Refusal("bad-request", "X-Rspamd-Action and X-Rspamd-Rcpt were expected: set meta_headers = true")
        if not 0 < len(raw) <= self.size_limit:
            raise Refusal("bad-request", f"{len(raw)} bytes: a message of 1 to {self.size_limit} was expected")
        recipients = self._recipients(said["rcpt"])
        sender = "" if said["from"] == "unknown" else said["from"]
        if any(CONTROL.search(address) for address in (sender, *recipients)):
            raise Refusal("bad-request", "addresses without control characters were expected")
        stopped = said["action"] in STOPPED
        if not stopped and said["action"] not in PASSED:
            return []  # deferred: it comes again
        if self._intake.busy:
            raise Refusal("unavailable", "too much waits to be written: try again later")
        marshal = self._intake.marshal
        now = from_us(marshal.clock.now())
        receipt = Receipt(at=now, client=_known(said["ip"]), protocol="rspamd", ident=_known(said["qid"]))
        judgement = _judgement(said, recipients)
        if (back := await self._intake.returned(sender, recipients, raw)) is not None:
            judgement = back.loops if stopped or back.again else back.goes_on
        arrivals = await self._intake.arrivals(
            sender,
            recipients,
            raw,
            receipt,
            origin=f"rspamd:{receipt.ident}",
            status="ONHOLD" if stopped else "PASSED",
            judgement=judgement,
            back=back,
            account=who.account,
            session=who.session,
        )
        ids = await marshal.do(Import(arrivals, marshal.terms.expiry, who.session))
        return [encode_message(message) for message in ids] if stopped else []

    def _recipients(self, text: str) -> list[str]:
        found = _json(text, "X-Rspamd-Rcpt") if text != "unknown" else []
        if not isinstance(found, list) or not all(isinstance(to, str) and to for to in found):
            raise Refusal("bad-request", "X-Rspamd-Rcpt: a JSON list of addresses was expected")
        if not 0 < len(found) <= self._recipient_limit:
            raise Refusal("bad-request", f"X-Rspamd-Rcpt: 1 to {self._recipient_limit} recipients were expected")
        return found


def _judgement(said: Mapping[str, str], recipients: list[str]) -> Judgement:
    """What rspamd said, as if it had been asked by us."""
    score = _number(said["score"])
    rules = [rule for symbol in _symbols(said["symbols"]) if (rule := _rule(symbol)) is not None]
    stopped = said["action"] in STOPPED
    kind: VerdictKind | None = spam_kind(rules) if stopped else None
    if any(rule.name in ("VIRUS_FOUND", "CLAM_VIRUS") or rule.name.endswith("_VIRUS") for rule in rules):
        kind = VerdictKind.VIRUS
    reason = f"rspamd: {said['action']}"
    result = ScanResult(scanner="rspamd", kind=kind, score=score, rules=rules, reason=reason)
    decision = Decision(Action.HOLD if stopped else Action.PASS, kind, score, None, tuple(rules), reason)
    return Judgement([result], dict.fromkeys(recipients, decision))


def _symbols(text: str) -> list[Any]:
    found = _json(text, "X-Rspamd-Symbols") if text else []
    return found[:MAX_SYMBOLS] if isinstance(found, list) else []


def _rule(symbol: Any) -> RuleHit | None:
    if not isinstance(symbol, dict) or not isinstance(symbol.get("name"), str):
        return None
    options = symbol.get("options")
    words = [str(option) for option in options] if isinstance(options, list) else []
    points = symbol.get("score")
    return RuleHit(
        name=CONTROL.sub("\ufffd", symbol["name"])[:200],
        points=float(points) if isinstance(points, int | float) else None,
        description=CONTROL.sub("\ufffd", ", ".join(words))[:500] or None,
    )


def _json(text: str, field: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Refusal("bad-request", f"{field}: JSON was expected") from None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None


def _known(text: str) -> str:
    return "" if text == "unknown" else CONTROL.sub("\ufffd", text)[:255]
