"""The verb rescan: a message gets the verdict that scanning it anew came to (rescan.py)."""

from __future__ import annotations

import json
from typing import Any

from rcqueue.model.act import MailResult, Result
from rcqueue.model.mail import VerdictDetail
from rcqueue.server.store import tables as t
from rcqueue.server.store.rows import RowDict

from .doing import Doing, not_done

_UNDECIDED = frozenset({"ONHOLD", "RELEASING", "UNCERTAIN"})


def rescan(d: Doing, n: int, mail: RowDict) -> MailResult | None:
    if d.judged is None:
        return not_done(d, n, Result.STATUS, mail, "it can't be scanned: its bytes are not there any more")
    d.change.set(n, mail["status"], way=d.judged.way(n, mail["way"]))
    return None


def new_verdict(d: Doing) -> dict[str, Any]:
    """Gives the message its new verdict, once its mails were tried: what the entry says of it. Whatever is not decided
    of its other mails has another verdict now too, and so another version."""
    judged, rows, id = d.judged, d.change.rows, d.change.id
    message = rows.message(id)
    assert judged is not None and message is not None
    for n, mail in list(d.change.mails.items()):
        rows.count(message, mail["status"], -1)
        rows.count(message | {"verdict": judged.verdict}, mail["status"], +1)
        if mail["status"] in _UNDECIDED and n not in d.change.changed:
            d.change.set(n, mail["status"])
    names = [rule.name for rule in judged.rules]
    new = {"verdict": judged.verdict, "score": judged.score, "rules": json.dumps(names, ensure_ascii=False)}
    facts = {
        "verdict": [str(message["verdict"]), str(judged.verdict)],
        "score": [_number(message["score"]), _number(judged.score)],
        "rules": [json.loads(message["rules"]), names],
    }
    rows.put(t.message, (id,), new)
    detail = VerdictDetail(
        id="",
        verdict=judged.verdict,
        score=judged.score,
        required=judged.required,
        reason=judged.reason,
        rules=judged.rules,
    )
    scans = json.dumps([scan.model_dump(mode="json") for scan in judged.scans], ensure_ascii=False)
    values = {"verdict": detail.model_dump_json(exclude={"id"}), "scans": scans, "rescanned": d.change.now}
    rows.sweep(t.message_detail.update().where(t.message_detail.c.message == id).values(**values))
    return facts


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"
