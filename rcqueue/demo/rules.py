"""What the filters of the demo say: SpamAssassin's and rspamd's rules with their points, and the fields they write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

#: SpamAssassin: name -> (points, text as in its report).
RULES: dict[str, tuple[float, str]] = {
    "BAYES_50": (0.8, "BODY: Bayes spam probability is 40 to 60%"),
    "BAYES_80": (2.0, "BODY: Bayes spam probability is 80 to 95%"),
    "BAYES_99": (3.5, "BODY: Bayes spam probability is 99 to 100%"),
    "BAYES_999": (0.2, "BODY: Bayes spam probability is 99.9 to 100%"),
    "URIBL_BLACK": (1.7, "Contains an URL listed in the URIBL blacklist"),
    "URIBL_DBL_SPAM": (2.5, "Contains a spam URL listed in a domain blocklist"),
    "URIBL_DBL_PHISH": (2.5, "Contains a phishing URL listed in a domain blocklist"),
    "RCVD_IN_XBL": (0.7, "RBL: Relay is an exploited host"),
    "RCVD_IN_SBL_CSS": (3.3, "RBL: Received via a relay listed for snowshoe spam"),
    "RCVD_IN_BL_SPAMCOP_NET": (1.3, "RBL: Received via a relay in a spam trap's list"),
    "RAZOR2_CHECK": (0.9, "Listed in a message digest database"),
    "RAZOR2_CF_RANGE_51_100": (2.4, "Digest gives confidence level above 50%"),
    "PYZOR_CHECK": (1.4, "Listed in a second message digest database"),
    "DCC_CHECK": (1.1, "Detected as bulk mail"),
    "RDNS_NONE": (0.8, "Delivered to the filter by a host with no rDNS"),
    "HELO_DYNAMIC_IPADDR": (2.6, "Relay HELO'd using suspicious hostname (IP addr 1)"),
    "SPF_FAIL": (0.9, "SPF: sender does not match SPF record (fail)"),
    "SPF_SOFTFAIL": (0.7, "SPF: sender does not match SPF record (softfail)"),
    "DKIM_INVALID": (0.1, "DKIM signature exists, but is not valid"),
    "DMARC_REJECT": (1.8, "DMARC: the sender's policy says reject"),
    "HTML_MESSAGE": (0.0, "BODY: HTML included in message"),
    "HTML_IMAGE_ONLY_24": (1.3, "BODY: HTML: images with 2000-2400 bytes of words"),
    "MIME_HTML_ONLY": (0.7, "BODY: Message only has text/html MIME parts"),
    "FREEMAIL_FORGED_REPLYTO": (2.1, "Freemail in Reply-To, but not From"),
    "FROM_EXCESS_BASE64": (0.9, "From: base64 encoded unnecessarily"),
    "SUBJ_ALL_CAPS": (0.5, "Subject is all capitals"),
    "LOTS_OF_MONEY": (0.0, "Huge... sums of money"),
    "ADVANCE_FEE_3_NEW": (2.5, "Appears to be advance fee fraud"),
    "BITCOIN_SPAM_07": (3.5, "Bitcoin spam pattern 07"),
    "DRUGS_ERECTILE": (1.8, "Refers to an erectile drug"),
    "FUZZY_PHARMACY": (1.5, "Obfuscated word in body"),
    "TVD_PH_SUBJ_ACCOUNTS_POST": (2.6, "Subject asks to confirm an account"),
    "URI_PHISH": (2.8, "Phishing using web form"),
    "FROM_LOOKS_LIKE_OWN": (3.0, "From: domain is one or two letters off a domain of ours"),
    "GAPPY_SUBJECT": (1.1, "Subject: contains G.a.p.p.y-T.e.x.t"),
    "CHARSET_FARAWAY_HEADER": (1.6, "A foreign language charset used in headers"),
    "BOUNCE_BACKSCATTER": (2.2, "Bounce of a mail that was not sent from here"),
    "ANY_BOUNCE_MESSAGE": (0.1, "Message is some kind of bounce message"),
    "MAILING_LIST_MULTI": (-1.0, "Multiple indicators imply a widely-seen list manager"),
    "DKIM_VALID": (-0.1, "Message has at least one valid DKIM or DK signature"),
    "DKIM_VALID_AU": (-0.1, "Message has a valid DKIM signature from author's domain"),
    "SPF_PASS": (0.0, "SPF: sender matches SPF record"),
    "RCVD_IN_DNSWL_LOW": (-0.7, "RBL: Sender listed at a whitelist, low trust"),
}

#: What makes up the score where a draft's own rules don't reach it.
_FILLERS = ("BAYES_99", "RAZOR2_CF_RANGE_51_100", "RCVD_IN_BL_SPAMCOP_NET", "PYZOR_CHECK", "DCC_CHECK", "RDNS_NONE")

#: rspamd: its name for the same finding, points, and the option it prints. What is not here it does not say.
SYMBOLS: dict[str, tuple[str, float, str]] = {
    "BAYES_80": ("BAYES_SPAM", 2.5, "88.41%"),
    "BAYES_99": ("BAYES_SPAM", 5.1, "99.99%"),
    "URIBL_BLACK": ("URIBL_BLACK", 7.5, "lure.example:url"),
    "URIBL_DBL_SPAM": ("DBL_SPAM", 6.5, "lure.example:url"),
    "URIBL_DBL_PHISH": ("DBL_PHISH", 7.5, "lure.example:url"),
    "RCVD_IN_XBL": ("RBL_SPAMHAUS_XBL", 4.0, "from"),
    "RCVD_IN_SBL_CSS": ("RBL_SPAMHAUS_CSS", 2.0, "from"),
    "RCVD_IN_BL_SPAMCOP_NET": ("RBL_SPAMCOP", 4.0, "from"),
    "RAZOR2_CF_RANGE_51_100": ("FUZZY_DENIED", 12.0, "1:8c1d2f0b9e:0.97:txt"),
    "DCC_CHECK": ("DCC_BULK", 2.0, "Body=many"),
    "RDNS_NONE": ("RDNS_NONE", 2.0, ""),
    "HELO_DYNAMIC_IPADDR": ("HFILTER_HELO_IP_A", 1.0, ""),
    "SPF_FAIL": ("R_SPF_FAIL", 1.0, "-all"),
    "SPF_SOFTFAIL": ("R_SPF_SOFTFAIL", 0.5, "~all"),
    "DKIM_INVALID": ("R_DKIM_REJECT", 1.0, "lure.example:s=k1"),
    "DMARC_REJECT": ("DMARC_POLICY_REJECT", 2.0, "lure.example : No valid SPF, No valid DKIM,reject"),
    "FREEMAIL_FORGED_REPLYTO": ("FREEMAIL_REPLYTO_NEQ_FROM", 2.0, ""),
    "FROM_LOOKS_LIKE_OWN": ("HOMOGRAPH_OWN_DOMAIN", 6.0, ""),
    "URI_PHISH": ("PHISHING", 4.0, "label->link"),
    "MIME_HTML_ONLY": ("MIME_HTML_ONLY", 0.2, ""),
    "SUBJ_ALL_CAPS": ("SUBJ_ALL_CAPS", 3.0, "26"),
    "BITCOIN_SPAM_07": ("BITCOIN_ADDR", 4.0, ""),
    "ADVANCE_FEE_3_NEW": ("LEAKED_PASSWORD_SCAM", 4.0, ""),
    "BOUNCE_BACKSCATTER": ("BOUNCE_NO_AUTH", 4.0, ""),
    "MAILING_LIST_MULTI": ("MAILLIST", -0.2, "generic"),
    "DKIM_VALID": ("R_DKIM_ALLOW", -0.2, "s=k1"),
    "SPF_PASS": ("R_SPF_ALLOW", -0.2, "+ip4"),
}

REQUIRED = 5.0
RSPAMD_REQUIRED = 7.0


@dataclass(frozen=True)
class Verdict:
    """Why a mail is held. `kind` is a VerdictKind; `rules` are keys of RULES.

    `reason` has no text from the mail in it; "" is the score.
    `at_least`: rules are added until the score is there, and the filter's threshold (0: they stand as they are).
    """

    kind: str
    reason: str
    rules: tuple[str, ...] = ()
    at_least: float = 0.0
    virus: str = ""


def filter_fields(rng: Random, verdict: Verdict, rspamd: bool, preview: str) -> list[tuple[str, str]]:
    """The fields that the filter puts on top of a mail, folded. SpamAssassin's report quotes `preview` (one line)."""
    rules = dict.fromkeys(verdict.rules)
    enough = verdict.at_least and max(verdict.at_least, RSPAMD_REQUIRED if rspamd else REQUIRED)
    for filler in rng.sample(_FILLERS, len(_FILLERS)):
        if _score(rules, rspamd) >= enough:
            break
        rules[filler] = None
    fields = _rspamd(rng, list(rules)) if rspamd else _spamassassin(list(rules), preview)
    reason = verdict.reason or f"score {_score(rules, rspamd):.1f} of {RSPAMD_REQUIRED if rspamd else REQUIRED}"
    if verdict.virus:
        fields += [
            ("X-Virus-Scanned", "clamav-milter 1.4.1 at scan1.filter.example"),
            ("X-Virus-Status", f"Infected ({verdict.virus})"),
        ]
    elif rng.random() < 0.5:
        fields.append(("X-Virus-Status", "Clean"))
    return [("X-Rcq-Verdict", f"{verdict.kind}; {reason}"), *fields]


def _score(rules: Iterable[str], rspamd: bool) -> float:
    if rspamd:
        return sum(SYMBOLS[name][1] for name in rules if name in SYMBOLS)
    return sum(RULES[name][0] for name in rules)


def _spamassassin(rules: list[str], preview: str) -> list[tuple[str, str]]:
    score = _score(rules, False)
    spam = score >= REQUIRED
    tests = ",".join(f"{name}={RULES[name][0]:g}" for name in rules) or "none"
    tests = ",\r\n\t".join(_wrapped(tests.split(","), 60))
    lines = [f"* {RULES[name][0]:4.1f} {name} {RULES[name][1]}" for name in rules]
    report = "\r\n\t".join(
        [
            'Spam detection software, running on the system "scan1.filter.example",',
            f"has {'' if spam else 'NOT '}identified this incoming email as possible spam.",
            f"Content preview:  {preview}",
            f"Content analysis details:   ({score:.1f} points, {REQUIRED} required)",
            *lines,
        ]
    )
    fields = [
        ("X-Spam-Status", f"{'Yes' if spam else 'No'}, score={score:.1f} required={REQUIRED}\r\n\ttests=[{tests}]\r\n\t"
         "autolearn=no autolearn_force=no version=4.0.1"),
        ("X-Spam-Score", f"{score:.1f}"),
        ("X-Spam-Level", "*" * max(0, int(score))),
        ("X-Spam-Report", report),
    ]  # fmt: skip
    return [("X-Spam-Flag", "YES"), *fields] if spam else fields


def _rspamd(rng: Random, rules: list[str]) -> list[tuple[str, str]]:
    symbols = [SYMBOLS[name] for name in rules if name in SYMBOLS]
    score = _score(rules, True)
    shown = ";\r\n\t".join(f"{name}({points:.2f})[{option}]" for name, points, option in symbols)
    return [
        ("X-Spamd-Result", f"default: {score >= RSPAMD_REQUIRED} [{score:.2f} / {RSPAMD_REQUIRED:.2f}];\r\n\t{shown}"),
        ("X-Rspamd-Server", "scan2.filter.example"),
        ("X-Rspamd-Queue-Id", f"{rng.getrandbits(40):010X}"),
        ("X-Rspamd-Action", "reject" if score >= RSPAMD_REQUIRED else "add header"),
    ]


def _wrapped(items: list[str], width: int) -> list[str]:
    """Items joined by commas into lines of at most about `width`."""
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(item) < width:
            lines[-1] += f",{item}"
        else:
            lines.append(item)
    return lines
