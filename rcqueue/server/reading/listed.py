"""The fields that a viewer without bodies may see, and what of each.

An allow-list: what is not named here is withheld, whatever it holds. Some that are named could still quote a body or
name an attachment, so they are built anew from the parts that can't. Nothing in here is ever cut out of a field by
what it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_RULE = r"[A-Za-z_][A-Za-z0-9_]{1,79}"
_NUMBER = r"-?\d{1,6}(?:\.\d{1,6})?"
_RULES = rf"{_RULE}(?:={_NUMBER})?(?:\s*,\s*{_RULE}(?:={_NUMBER})?)*"

_STATUS = re.compile(
    rf"\A(?:yes|no)\b|\b(?:score|hits|required|tagged_above)={_NUMBER}|\btests=\[?\s*{_RULES}\]?"
    r"|\b(?:autolearn|version)=[\w.()-]{1,40}",
    re.IGNORECASE,
)
_RSPAMD_HEAD = re.compile(rf"[\w-]{{1,40}}: (?:True|False) \[{_NUMBER} / {_NUMBER}\]", re.IGNORECASE)
_RSPAMD_OPTIONS = re.compile(r"\[[^\]]*+\]?")
_RSPAMD_SYMBOL = re.compile(rf"{_RULE}\({_NUMBER}\)")
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,100}", re.ASCII)
_PARAMETER = re.compile(
    r';\s*(charset|format|delsp|report-type|protocol|micalg|smime-type)\s*=\s*("?)([\w.+/:-]{1,80})\2(?=\s*(?:;|\Z))',
    re.IGNORECASE | re.ASCII,
)
_TAG = re.compile(r"(?:^|;)\s*([dsa])\s*=\s*([\w.-]{1,255})(?=\s*(?:;|\Z))", re.ASCII)
_INFECTED = re.compile(
    r"infected\b(?:,? message contains virus(?:es)?:|\s+with|:)?\s*+\(?\s*+([A-Za-z0-9][\w.:/+-]{2,99})", re.IGNORECASE
)
_FILE_NAME = re.compile(
    r"\.(?:exe|com|scr|bat|cmd|pif|jse?|vb[es]|wsf|hta|lnk|zip|rar|7z|t?gz|tar|iso|img|do[ct][xm]?|xl[ast][xmb]?|xls"
    r"|pp[ts][xm]?|rtf|pdf|s?html?|eml|msg|jar|txt|one|svg|dll|cab|ace|arj|lzh|bz2|xz|apk|ps1|png|jpe?g|gif|bin|dat)$",
    re.IGNORECASE,
)


def _content_type(value: str) -> str:
    media_type = _MEDIA_TYPE.match(value)
    if not media_type:
        return ""
    return media_type[0] + "".join(f"; {name.lower()}={text}" for name, _, text in _PARAMETER.findall(value))


def _dkim(value: str) -> str:
    return "; ".join(f"{tag}={text}" for tag, text in _TAG.findall(value))


def _spam_status(value: str) -> str:
    return " ".join(match[0] for match in _STATUS.finditer(value))


def rspamd_symbols(value: str) -> list[str]:
    """`NAME(points)` of each symbol in an X-Spamd-Result, without the options, which quote links and addresses."""
    items = _RSPAMD_OPTIONS.sub("", value.partition("]")[2]).split(";")
    return [item.strip() for item in items if _RSPAMD_SYMBOL.fullmatch(item.strip())]


def _spamd_result(value: str) -> str:
    head = _RSPAMD_HEAD.match(value)
    return "; ".join([head[0], *rspamd_symbols(value)]) if head else ""


def virus_name(value: str) -> str:
    """The name of the virus that a scanner's field tells of, "" for none: a file's name is no virus's."""
    match = _INFECTED.search(value)
    return match[1].rstrip(".:") if match and not _FILE_NAME.search(match[1].rstrip(".:")) else ""


def _virus_status(value: str) -> str:
    if "infected" in value.lower() and "not infected" not in value.lower():
        return f"Infected {virus_name(value)}".strip()
    return _only(r"(?:yes|no|clean|clear|ok)\b")(value)


def _amavis_alert(value: str) -> str:
    """What kind of alert: the rest names files (BANNED) or quotes fields (BAD HEADER)."""
    if virus := virus_name(value):
        return f"INFECTED, message contains virus: {virus}"
    return _only(r"[A-Z]+(?: HEADER(?: SECTION)?)?")(value)


def _only(pattern: str) -> Callable[[str], str]:
    compiled = re.compile(pattern, re.IGNORECASE)

    def build(value: str) -> str:
        match = compiled.match(value)
        return match[0] if match else ""

    return build


def _as_is(value: str) -> str:
    return value


_WORD = _only(r"[\w-]{1,20}")
_SCORE = _only(rf"(?:(?:ham|spam), score=)?{_NUMBER}(?: / {_NUMBER}){{0,2}}")
_BAR = _only(r"[*+/sx-]{0,200}")
_TOKEN = _only(r"[\w<>@./+=:,() -]{1,200}")

#: The filters' own fields.
FILTERS: dict[str, Callable[[str], str]] = {
    "x-spam-flag": _WORD,
    "x-spam-status": _spam_status,
    "x-spam-score": _SCORE,
    "x-spam-level": _BAR,
    "x-spam-bar": _BAR,
    "x-spam": _WORD,
    "x-spam-checker-version": _TOKEN,
    "x-spamd-result": _spamd_result,
    "x-spamd-bar": _BAR,
    "x-rspamd-score": _SCORE,
    "x-rspamd-action": _only(r"[a-z ]{1,20}"),
    "x-rspamd-server": _TOKEN,
    "x-rspamd-queue-id": _TOKEN,
    "x-amavis-alert": _amavis_alert,
    "x-quarantine-id": _TOKEN,
    "x-virus-scanned": _as_is,
    "x-virus-status": _virus_status,
    "x-rcq-verdict": _only(r"[a-z]{1,20}"),  # the reason behind it is of class `rules`
}

_AS_THEY_STAND = """from to cc reply-to sender subject date message-id return-path received authentication-results
arc-authentication-results received-spf list-id list-unsubscribe list-unsubscribe-post list-post list-help
list-subscribe list-archive list-owner user-agent x-mailer mime-version content-transfer-encoding content-language
auto-submitted precedence in-reply-to references resent-from resent-to resent-cc resent-sender resent-date
resent-message-id delivered-to x-original-to envelope-to errors-to importance priority x-priority x-originating-ip
feedback-id"""

#: Every field that may be shown, by its name in lower case, and what builds what is shown of it.
LISTED: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(_AS_THEY_STAND.split(), _as_is),
    **FILTERS,
    "content-type": _content_type,
    "dkim-signature": _dkim,
}
