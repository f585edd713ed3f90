"""SpamAssassin's spamd, by its own protocol. spamd closes each connection after its answer.

HEADERS gives the header that spamd would write: with `add_header all Status ... tests=_TESTSSCORES(,)_` every rule's
points at full precision, with `add_header all Report _REPORT_` the descriptions. Where a site's spamd writes no report
into it, REPORT is asked instead: every rule, with points of one decimal.
"""

from __future__ import annotations

import re

from rcqueue.model.mail import RuleHit
from rcqueue.model.scan import ScanResult
from rcqueue.server.reading import fields, verdict

from .base import Adapter, Learn, NotLearned, ScanEnvelope, Trouble, spam_kind
from .pool import Connection

_STATUS = re.compile(rb"SPAMD/(\d+\.\d+) (\d{1,3}) ([^\r\n]*)")
_SPAM = re.compile(r"(True|False|Yes|No)\s*;\s*(-?\d{1,9}(?:\.\d+)?)\s*/\s*(-?\d{1,9}(?:\.\d+)?)", re.IGNORECASE)
_VERSION = re.compile(r"\bversion=([\w.-]{1,40})")
_OK, _USAGE, _UNAVAILABLE, _PROTOCOL = 0, 64, 69, 76
_LONGEST_ANSWER = 16 << 20


class SpamAssassin(Adapter):
    can_learn = True
    _verb = "HEADERS"

    async def _scan(self, raw: bytes, envelope: ScanEnvelope) -> ScanResult:
        answer, body = await self._ask(self._verb, raw)
        match = _SPAM.fullmatch(answer["spam"].strip())
        if match is None:
            raise ValueError
        rules, complete = self._headers(body) if self._verb == "HEADERS" else (_report(body), True)
        if not complete:
            self._verb = "REPORT"
            return await self._scan(raw, envelope)
        score, required = float(match[2]), float(match[3])
        result = self.result(spam_kind(rules) if match[1].lower() in ("true", "yes") else None)
        result.score, result.required, result.rules = score, required, rules
        return result

    async def _probe(self) -> None:
        await self._ask("PING")

    async def _learn(self, raw: bytes, as_: Learn) -> str:
        answer, _ = await self._ask("TELL", raw, f"Message-class: {as_}\r\nSet: local\r\n")
        return f"learned as {as_}" if "local" in answer.get("didset", "") else f"known as {as_} already"

    def _headers(self, body: bytes) -> tuple[list[RuleHit], bool]:
        """The rules, and whether there is a report of them; the version, if it says so."""
        values: dict[str, str] = {}
        for name, value in fields.cut(body).fields:
            values.setdefault(name.lower(), value)
        status = " ".join(values.get("x-spam-status", "").split())
        if found := _VERSION.search(status):
            self.version = found[1]
        report = values.get("x-spam-report", "")
        rules = verdict.judge({"x-spam-status": status}, report).rules
        return rules, bool(report) or (bool(status) and not rules)

    async def _ask(self, verb: str, raw: bytes = b"", more: str = "") -> tuple[dict[str, str], bytes]:
        """The answer's own fields by lower-case name, and its body."""

        length = f"Content-length: {len(raw)}\r\n" if verb != "PING" else ""
        stream = (f"{verb} SPAMC/1.5\r\n{length}{more}\r\n".encode(), raw)
        return await self._use(lambda c: c.ask(stream, lambda: self._answer(c, verb)))

    async def _answer(self, connection: Connection, verb: str) -> tuple[dict[str, str], bytes]:
        match = _STATUS.fullmatch(await connection.line())
        if match is None:
            raise ValueError
        code = int(match[2])
        if code in (_USAGE, _PROTOCOL):
            raise Trouble(f"it is too old, or none of SpamAssassin: it does not know the request ({code})")
        if code == _UNAVAILABLE:
            raise NotLearned("it does not learn over the network: start spamd with --allow-tell")
        if code != _OK:
            raise Trouble(f"it failed with status {code}; its log says more")
        answer: dict[str, str] = {}
        if verb == "PING":  # its answer is this line alone
            return answer, b""
        while line := await connection.line():
            name, _, value = line.decode("latin-1").partition(":")
            answer[name.strip().lower()] = value.strip()
        if "content-length" not in answer:
            return answer, b""
        length = int(answer["content-length"])
        if not 0 <= length <= _LONGEST_ANSWER:
            raise ValueError
        return answer, await connection.reader.readexactly(length)


def _report(body: bytes) -> list[RuleHit]:
    text = body.decode("utf-8", "replace").replace("\r\n", "\n")
    return verdict.judge({"x-spam-report": text}, text).rules
