"""What may be pushed at all. Pure.

Whoever may push rules is an administrator of the queue, not of the scanner's host. So a file of SpamAssassin's holds
rules and nothing else: no settings, since some of them name programs and files, no plugins, and nothing that asks other
hosts.
"""

from __future__ import annotations

import re
from typing import Literal

ScannerType = Literal["spamassassin", "clamav"]

SUFFIXES: dict[str, ScannerType] = {
    ".cf": "spamassassin",
    **dict.fromkeys((".ndb", ".hdb", ".hsb", ".ldb", ".yar", ".yara", ".sfp", ".fp", ".ign2"), "clamav"),
}
PROBE = "rcqueue-probe"  #: the file that we write ourselves, see scanners.py

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}(?:\.[A-Za-z0-9_-]{1,20}){0,3}(\.[a-z0-9]{2,5})")
#: What a line of a .cf may begin with.
_RULES = frozenset(
    """
    body rawbody full header uri mimeheader uri_detail meta score describe tflags priority reuse test subjprefix lang
    ifplugin if else endif
    replace_start replace_end replace_inter replace_pre replace_post replace_tag replace_rules
    welcomelist_from unwelcomelist_from welcomelist_from_rcvd welcomelist_auth def_welcomelist_auth welcomelist_to
    whitelist_from unwhitelist_from whitelist_from_rcvd whitelist_auth def_whitelist_auth whitelist_to
    blocklist_from unblocklist_from blocklist_to blacklist_from unblacklist_from blacklist_to
    enlist_uri_host delist_uri_host enlist_addrlist
    blocklist_uri_host welcomelist_uri_host blacklist_uri_host whitelist_uri_host
    freemail_domains freemail_whitelist freemail_welcomelist
    """.split()  # noqa: SIM905
)
_CODE = re.compile(r"\(\?\??\{")
_EVAL = re.compile(r"\S+\s+\S+\s+eval:")
_YARA_FILE = re.compile(r"^\s*(?:include|import)\b", re.MULTILINE)


def type_of(name: str) -> ScannerType:
    """Of which type of scanner a file is, by its name. Raises ValueError."""
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise ValueError(f"name: {name!r}; a plain file name of letters, digits, _ - . that ends in {known} expected")
    if name.startswith(PROBE):
        raise ValueError(f"name: {name!r} is the server's own")
    return SUFFIXES[found[1]]


def faults(name: str, content: str) -> list[str]:
    """What in a file is never given to a scanner, line by line; empty if nothing."""
    if "\0" in content:
        return ["there is a NUL in it; text was expected"]
    if not content.strip():
        return ["it is empty"]
    if type_of(name) == "spamassassin":
        lines = enumerate(content.splitlines(), 1)
        return [f"line {number}: {why}" for number, line in lines if (why := _fault(line))]
    if name.endswith((".yar", ".yara")) and _YARA_FILE.search(content):
        return ["include and import are not taken: a rule file stands alone"]
    return []


def _fault(line: str) -> str:
    words = line.split()
    if not words or words[0].startswith("#"):
        return ""
    if words[0] == "lang":
        words = words[2:] or [""]
    if words[0].lower() not in _RULES:
        return f"{words[0][:40]!r} is no rule: settings and plugins are for the scanner's own files"
    if _EVAL.match(" ".join(words)):
        return "eval: calls code of the scanner, which may ask other hosts: that is for its own files"
    if _CODE.search(line):
        return "a pattern that holds code is not taken"
    return ""
