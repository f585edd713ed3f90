"""The server's calls, one method each. What they are answered with is in `answers`, what may fail in `http`.

Every text of an answer has passed `safe_text`; raw bytes and the lines of `/acpi` alone are the mail's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import TypeAdapter

from rcqueue.model.act import ActAnswer, ActBody, ActProgress, ActRequest, Confirm, Dealt, NextBody, Verb
from rcqueue.model.facet import Facets
from rcqueue.model.health import Health, Wall
from rcqueue.model.mail import BODIES, Campaigns, Hex, Page, Part, RoleGrant, Summary, Whoami, Wire, rfc3339
from rcqueue.model.notice import NoticeDay, NoticesAsked
from rcqueue.model.outgoing import HopWish, Outgoing
from rcqueue.model.policy import PolicyShown, SenderBody, Senders, SettingBody
from rcqueue.model.rules import RuleFile, RuleFiles
from rcqueue.model.saved import SavedBody, SavedEnd, SavedFilter, SavedFilters
from rcqueue.model.scan import PolicyTested, Scanned
from rcqueue.model.standing import Claims, StandBody

from .answers import (
    PART_MODELS,
    ActResults,
    ApiToken,
    AuditPage,
    JournalPart,
    Login,
    PartModel,
    Person,
    QueryCounts,
    read,
    read_list,
)
from .http import ApiProblem, Http, Params, Unreachable

__all__ = ["Api", "ApiProblem", "Unreachable"]

V1 = "/api/v1"

_ACTS = TypeAdapter(list[ActProgress])
_IDS = TypeAdapter(list[str])
_NOTICES = TypeAdapter(list[NoticeDay])
_PEOPLE = TypeAdapter(list[Person])


class Api(Http):
    # -- who

    async def login(self, name: str, password: str, kind: str, label: str = "") -> Login:
        """Signs in; the calls after it carry the new token. `kind`: "terminal" or "cli"."""
        body = {"name": name, "password": password, "kind": kind, "label": label}
        answer = read(Login, await self.post_once(V1 + "/login", body))
        self.token = answer.token
        return answer

    async def logout(self) -> None:
        """Ends the session; its claims go at once."""
        await self.post_once(V1 + "/logout")

    async def whoami(self) -> Whoami:
        return read(Whoami, await self.get(V1 + "/whoami"))

    async def create_token(self, label: str, scope: str = "", days: int = 30) -> ApiToken:
        return read(ApiToken, await self.post(V1 + "/tokens", {"label": label, "scope": scope, "days": days}))

    # -- the queue

    async def page(
        self,
        query: str = "",
        sort: str = "-time",
        *,
        after: str | None = None,
        before: str | None = None,
        at: str | None = None,
        time: datetime | str | None = None,
        end: bool = False,
        limit: int = 100,
    ) -> Page:
        """One page of rows (at most 500): after or before a cursor, from the message `at`, from `time`, or the last."""
        params: Params = {
            "query": query,
            "sort": sort,
            "after": after,
            "before": before,
            "at": at,
            "time": rfc3339(time) if isinstance(time, datetime) else time,
            "end": 1 if end else None,
            "limit": limit,
        }
        return read(Page, await self.get(V1 + "/mails", params))

    async def rows(self, ids: Iterable[str], query: str = "") -> Page:
        """The rows of `ids` (at most 200) that still match; the others are missing."""
        return read(Page, await self.get(V1 + "/mails/rows", {"ids": ",".join(ids), "query": query}))

    async def counts(self, query: str | None = None) -> QueryCounts:
        return read(QueryCounts, await self.get(V1 + "/counts", {"query": query}))

    async def facets(self, query: str = "", by: Iterable[str] = (), limit: int = 12) -> Facets:
        """What the mails that match have in common; `by`: some of model.facet.FACETS, all that may be seen if empty."""
        params: Params = {"query": query, "by": ",".join(by), "limit": limit}
        return read(Facets, await self.get(V1 + "/facets", params))

    async def campaigns(self, query: str = "", *, after: str | None = None, limit: int = 50) -> Campaigns:
        """A page of the campaigns with a mail that matches, newest first; `after` is `next` of the page before."""
        return read(Campaigns, await self.get(V1 + "/campaigns", {"query": query, "after": after, "limit": limit}))

    # -- saved filters

    async def filters(self) -> list[SavedFilter]:
        """One's own, then those that are shared where one may view mail."""
        return read(SavedFilters, await self.get(V1 + "/filters")).filters

    async def save_filter(self, name: str, query: str, sort: str = "-time", customer: str | None = None) -> None:
        """Replaces what is there under that name; `customer`: it is shared with those who work there."""
        await self.post(V1 + "/filters", _data(SavedBody(name=name, query=query, sort=sort, customer=customer)))

    async def delete_filter(self, name: str, customer: str | None = None) -> None:
        await self.post(f"{V1}/filters/{quote(name, safe='')}/delete", _data(SavedEnd(customer=customer)))

    # -- one mail

    async def summary(self, id: str, query: str | None = None) -> Summary:
        return read(Summary, await self.get(_mail(id), {"query": query}))

    async def part(self, id: str, part: Part | str, at: int = 0) -> PartModel:
        """Any part but raw. Those of the body are on record. `at`: of hex, the offset that its page begins at."""
        part = Part(part)
        if part is Part.SUMMARY:
            return await self.summary(id)
        return read(PART_MODELS[part], await self.get(_mail(id, part), {"at": at or None}, body=part in BODIES))

    async def hex(self, id: str, at: int) -> Hex:
        """A page of the stored bytes. On record when it is the first, at 0."""
        page = await self.part(id, Part.HEX, at)
        assert isinstance(page, Hex)
        return page

    def raw(self, id: str) -> AsyncIterator[bytes]:
        """The stored bytes as they are. A read of the body: it goes on record."""
        return self.stream(_mail(id, Part.RAW))

    async def entries(self, since: int, wait: int = 0) -> JournalPart:
        """The journal after `since`; with `wait` (at most 25 s) the answer comes when there is something."""
        return read(JournalPart, await self.get(V1 + "/entries", {"since": since, "wait": wait}))

    # -- acts

    async def act(self, id: str, verb: Verb | str, body: ActBody | None = None, *, key: str | None = None) -> ActAnswer:
        """One verb on one mail, or on the mails of one message."""
        data = _data(body or ActBody())
        return read(ActAnswer, await self.post(_mail(id, Verb(verb)), data, key=key))

    async def next(self, count: int, query: str = "", for_seconds: int | None = None) -> Dealt:
        """Claims the next messages of a filter that nobody holds."""
        body = NextBody(count=count, query=query, for_seconds=for_seconds)
        return read(Dealt, await self.post(V1 + "/mails/next", body.model_dump(mode="json", exclude_none=True)))

    async def claims(self, query: str | None = None) -> Claims:
        """The claims of filters that stand, and what overlaps with a filter."""
        return read(Claims, await self.get(V1 + "/claims", {"query": query}))

    async def stand(self, query: str, for_seconds: int | None = None) -> int:
        """Claims a filter; the id of that."""
        body = StandBody(query=query, for_seconds=for_seconds)
        return int((await self.post(V1 + "/claims", _data(body)))["id"])

    async def end_standing(self, id: int) -> None:
        await self.post(f"{V1}/claims/{id}/end")

    async def store_act(self, request: ActRequest, *, key: str | None = None) -> ActProgress:
        """Stores which mails an act is on; nothing is done before `confirm_act`."""
        return read(ActProgress, await self.post(V1 + "/acts", _data(request), key=key))

    async def confirm_act(self, id: str, expect: int, *, key: str | None = None) -> ActProgress:
        """Starts a stored act, if it is on exactly `expect` mails."""
        data = _data(Confirm(expect=expect))
        return read(ActProgress, await self.post(_act(id, "confirm"), data, key=key))

    async def act_progress(self, id: str) -> ActProgress:
        return read(ActProgress, await self.get(_act(id)))

    async def act_results(
        self, id: str, after: str | int | None = None, limit: int = 500, *, left: bool = False
    ) -> ActResults:
        """What became of its mails; with `left` of those alone that it was not done to."""
        wanted = {"after": after, "limit": limit, "left": left or None}
        return read(ActResults, await self.get(_act(id, "results"), wanted))

    async def undo_act(self, id: str, *, key: str | None = None) -> ActProgress:
        """Takes back what can be: the act that does so, which runs already."""
        return read(ActProgress, await self.post(_act(id, "undo"), key=key))

    async def stop_act(self, id: str) -> ActProgress:
        return read(ActProgress, await self.post(_act(id, "stop")))

    async def acts(self) -> list[ActProgress]:
        return read_list(_ACTS, await self.get(V1 + "/acts"), "acts")

    # -- people and the audit log

    async def people(self) -> list[Person]:
        return read_list(_PEOPLE, await self.get(V1 + "/people"), "people")

    async def create_person(self, name: str, password: str, roles: Sequence[RoleGrant]) -> None:
        grants = [grant.model_dump() for grant in roles]
        await self.post(V1 + "/people", {"name": name, "password": password, "roles": grants})

    async def change_person(self, name: str, verb: str, arguments: dict[str, str] | None = None) -> None:
        """lock, unlock {lock}; grant, revoke {role, customer}; enable, disable."""
        await self.post(f"{V1}/people/{quote(name, safe='')}/{quote(verb)}", arguments or {})

    async def set_password(self, name: str, password: str) -> None:
        await self.change_person(name, "password", {"password": password})

    async def audit(
        self,
        since: str | int | None = None,
        limit: int = 500,
        account: str | None = None,
        message: str | None = None,
    ) -> AuditPage:
        """The journal with its actors, after entry `since`; of one account, or on one message."""
        params: Params = {"since": since, "limit": limit, "account": account, "message": message}
        return read(AuditPage, await self.get(V1 + "/audit", params))

    async def history(
        self, before: str | int | None = None, limit: int = 100, of: str | None = None, verb: str | None = None
    ) -> AuditPage:
        """What one did oneself, before entry `before`, the newest first; `of` another needs the right to audit."""
        params: Params = {"before": before, "limit": limit, "of": of, "verb": verb}
        return read(AuditPage, await self.get(V1 + "/history", params))

    # -- what is on its way out

    async def outgoing(self, next_hop: str | None = None, limit: int = 200, after: str | None = None) -> Outgoing:
        """A page; `after` is `next` of the one before."""
        params: Params = {"next_hop": next_hop, "limit": limit, "after": after}
        return read(Outgoing, await self.get(V1 + "/outgoing", params))

    async def set_hop(self, verb: str, hop: str, reason: str, rate: int | None = None) -> None:
        """pause, resume, or limit to `rate` mails a minute (None: no limit) a next hop, HOST:PORT."""
        body = HopWish(reason=reason, rate=rate)
        await self.post(f"{V1}/outgoing/{quote(hop, safe='')}/{quote(verb)}", _data(body))

    # -- notices to recipients

    async def notices(self, days: int = 31) -> list[NoticeDay]:
        return read_list(_NOTICES, await self.get(V1 + "/notices", {"days": days}), "notices")

    async def send_notices(self, domain: str, *, now: bool) -> NoticesAsked:
        """How many recipients at `domain` wait for a notice; with `now` they are sent one."""
        return read(NoticesAsked, await self.post(V1 + "/notices/send", {"domain": domain, "now": now}))

    async def start_notices(self, address: str) -> None:
        await self.post(V1 + "/notices/start", {"address": address})

    # -- import

    async def import_mail(self, raw: bytes, sender: str, recipients: Sequence[str], *, key: str) -> list[str]:
        """Puts one message on hold, its bytes as they are. The ids: one a customer among the recipients."""
        params: Params = {"sender": sender, "rcpt": recipients}
        return read_list(_IDS, await self.post(V1 + "/import", content=raw, params=params, key=key), "ids")

    # -- scanning

    async def scan(self, raw: bytes, sender: str = "", recipients: Sequence[str] = ()) -> Scanned:
        """What the server's scanners say of a message; nothing is kept."""
        return read(Scanned, await self._judged("/scan", raw, sender, recipients))

    async def test_policy(self, raw: bytes, sender: str = "", recipients: Sequence[str] = ()) -> PolicyTested:
        """The same, and what the policy would do with it for each recipient."""
        return read(PolicyTested, await self._judged("/policy/test", raw, sender, recipients))

    # -- the policy, and senders

    async def policy(self) -> PolicyShown:
        return read(PolicyShown, await self.get(V1 + "/policy"))

    async def set_policy(self, key: str, value: float | None, reason: str, scope: str = "default") -> None:
        """A threshold, or the points of a rule; None: what the policy's file says holds again."""
        body = SettingBody(key=key, value=value, scope=scope, reason=reason)
        await self.post(V1 + "/policy/set", body.model_dump(mode="json"))

    async def senders(self, *, all: bool = False, before: int | None = None) -> Senders:
        return read(Senders, await self.get(V1 + "/senders", {"all": 1 if all else None, "before": before}))

    async def add_sender(self, kind: str, body: SenderBody) -> int:
        """`kind`: "allow" or "block". The id of the rule."""
        return int((await self.post(f"{V1}/senders/{quote(kind)}", _data(body)))["id"])

    async def end_sender(self, id: int, reason: str = "") -> None:
        await self.post(f"{V1}/senders/{id}/end", {"reason": reason})

    # -- the server

    async def health(self) -> Health:
        return read(Health, await self.get(V1 + "/health"))

    async def wall(self) -> Wall:
        return read(Wall, await self.get(V1 + "/wall"))

    async def rules(self) -> list[RuleFile]:
        """The pushes in force."""
        return read(RuleFiles, await self.get(V1 + "/rules")).rules

    async def push_rules(self, name: str, content: str, reason: str, scanner: str = "") -> RuleFile:
        """Answers when it has ended, which may take as long as the scanner takes to reload."""
        body = {"name": name, "content": content, "reason": reason, "scanner": scanner}
        return read(RuleFile, await self.post(V1 + "/rules", body))

    async def roll_back_rules(self, name: str, reason: str, scanner: str = "") -> RuleFile:
        path = f"{V1}/rules/{quote(name, safe='')}/rollback"
        return read(RuleFile, await self.post(path, {"reason": reason, "scanner": scanner}))

    async def _judged(self, path: str, raw: bytes, sender: str, recipients: Sequence[str]) -> Any:
        params: Params = {"sender": sender, "rcpt": recipients}
        return await self.post(V1 + path, content=raw, params=params)


def _mail(id: str, last: str = "") -> str:
    return f"{V1}/mails/{quote(id, safe='')}" + (f"/{last}" if last else "")


def _act(id: str, last: str = "") -> str:
    return f"{V1}/acts/{quote(id, safe='')}" + (f"/{last}" if last else "")


def _data(body: Wire) -> dict[str, Any]:
    return body.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
