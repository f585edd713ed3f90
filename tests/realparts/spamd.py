"""SpamAssassin's spamd: local rules only, learning allowed, and one rule of our own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from .part import Process, folder, free_port, given_to, talks

USER = "debian-spamd"
RULES = Path("/usr/share/spamassassin")
#: A rule of the site's own: its points and description as they are to come out.
CUSTOM = ("RCQ_PURPLE_GIRAFFE", 2.625, "Body has the words of our own rule")
_LOCAL = """
required_score 5.0
report_safe 0
dns_available no
skip_rbl_checks 1
use_bayes 1
bayes_path {bayes}/bayes
bayes_auto_learn 0
bayes_min_ham_num 1
bayes_min_spam_num 1
bayes_auto_expire 0
lock_method flock
body RCQ_PURPLE_GIRAFFE /purple giraffe handshake/i
describe RCQ_PURPLE_GIRAFFE Body has the words of our own rule
score RCQ_PURPLE_GIRAFFE 2.625
"""
#: What makes HEADERS say all there is.
_FULL = """
add_header all Status "_YESNO_, score=_SCORE_ required=_REQD_ tests=_TESTSSCORES(,)_ version=_VERSION_"
add_header all Report _REPORT_
"""


@dataclass
class Spamd:
    port: int
    process: Process
    site: Path  #: its rules

    def with_rules(self, *lines: str) -> None:
        """Starts it anew with these lines at the end of its local.cf."""
        self.process.kill()
        local = self.site / "local.cf"
        local.write_text(local.read_text() + "\n".join(lines) + "\n")
        self.process.start()


@contextmanager
def running(children: int = 2, *, full: bool = True, tell: bool = True) -> Iterator[Spamd]:
    """`full`: its local.cf has the lines that docs/operate asks for; without them it is as a distribution has it."""
    with folder("spamd") as path:
        site, bayes, port = path / "site", path / "bayes", free_port()
        for one in (site, bayes, path / "home"):
            one.mkdir()
        for plugins in Path("/etc/spamassassin").glob("*.pre"):
            shutil.copy(plugins, site)
        (site / "local.cf").write_text(_LOCAL.format(bayes=bayes) + (_FULL if full else ""))
        options: list[str | Path] = ["-L", "-x", "-m", str(children), f"--min-children={children}", "--round-robin"]
        options += ["-i", "127.0.0.1", "-p", str(port), "-A", "127.0.0.1", "-C", RULES, "--siteconfigpath", site]
        options += ["-H", path / "home", "-s", path / "log", *(["-l"] if tell else [])]
        options += ["-u", USER] if given_to(USER, path) else []
        command: list[str | Path] = ["/usr/sbin/spamd", *options]
        spamd = Process(command, path / "out", lambda: talks(port, b"PING SPAMC/1.5\r\n\r\n", b"SPAMD/"))
        try:
            yield Spamd(port, spamd, site)
        finally:
            spamd.kill()


@pytest.fixture(scope="session")
def spamd() -> Iterator[Spamd]:
    with running() as part:
        yield part
