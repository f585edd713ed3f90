"""[[scanner]] and policy of rcqueue.toml: what is read, and what each mistake says."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from rcqueue.server.command import check_config
from rcqueue.server.config import SECOND, Address, ConfigMistake
from rcqueue.server.config_file import load
from rcqueue.server.scan.judge import Judge

HOUR = 3600 * SECOND


def written(folder: Path, text: str) -> Path:
    file = folder / "rcqueue.toml"
    file.write_text('data_dir = "d"\n' + text)
    return file


async def test_every_key(tmp_path):
    (tmp_path / "secret").touch()
    (tmp_path / "policy.toml").write_text('[default]\nscanners = ["clamav"]')
    config = load(
        written(
            tmp_path,
            """
            policy = "policy.toml"
            [[scanner]]
            type = "clamav"
            address = "unix:/run/clamd.sock"
            [[scanner]]
            type = "rspamd"
            name = "second"
            address = "[::1]:11333"
            timeout = "5s"
            size_limit = "1M"
            pool = 7
            away = "tag"
            controller = "127.0.0.1:11334"
            password_file = "secret"
            """,
        )
    )
    clamav, rspamd = config.scanner
    assert (clamav.name, clamav.address, clamav.away) == ("clamav", Path("/run/clamd.sock"), "hold")
    assert (rspamd.name, rspamd.address, rspamd.timeout) == ("second", Address("::1", 11333), 5 * SECOND)
    assert (rspamd.size_limit, rspamd.pool, rspamd.password_file) == (1 << 20, 7, tmp_path / "secret")
    judge = Judge(config)
    assert list(judge.scanners) == ["clamav", "second"] and judge.policy.scanners("x@y.example") == ("clamav",)
    await judge.close()


def test_where_rules_go_and_what_is_an_alert(tmp_path):
    (tmp_path / "site").mkdir()
    config = load(
        written(
            tmp_path,
            """
            [alerts]
            signatures = "36h"
            down = "5m"
            disk = 80
            [rules.spamd1]
            folder = "site"
            pid_file = "spamd.pid"
            lint = ["spamassassin", "--lint", "--siteconfigpath", "{folder}"]
            timeout = "90s"
            [[scanner]]
            type = "spamassassin"
            name = "spamd1"
            address = "127.0.0.1:783"
            signatures = "site"
            """,
        )
    )
    assert (config.alerts.signatures, config.alerts.down, config.alerts.disk) == (36 * HOUR, HOUR // 12, 80)
    rules, site = config.rules["spamd1"], tmp_path / "site"
    assert (rules.folder, rules.pid_file, rules.timeout) == (site, tmp_path / "spamd.pid", 90 * SECOND)
    assert config.scanner[0].signatures == site and rules.lint[-1] == "{folder}" and rules.reload == ()


def scanner(*lines: str) -> str:
    return "[[scanner]]\n" + "\n".join(lines)


SPAMD = ('type = "spamassassin"', 'address = "127.0.0.1:1"')
CLAMAV = ('type = "clamav"', 'address = "127.0.0.1:1"')


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        (scanner('type = "clam"', CLAMAV[1]), "scanner.1.type", "expected 'spamassassin', 'clamav'"),
        (scanner(CLAMAV[0]), "scanner.1.address", "is missing"),
        (scanner(CLAMAV[0], 'address = "clamd"'), "scanner.1.address", "HOST:PORT or the path of a unix socket"),
        (scanner(*CLAMAV, "adress = 1"), "scanner.1.adress", "one of type, name, address, timeout"),
        (scanner(*CLAMAV, 'away = "pass"'), "scanner.1.away", "expected 'hold', 'tag' or 'defer'"),
        (scanner(*CLAMAV, "pool = 0"), "scanner.1.pool", "greater than or equal to 1"),
        (scanner(*CLAMAV, 'controller = "127.0.0.1:1"'), "scanner.1", "of rspamd alone"),
        (scanner('type = "rspamd"', 'address = "unix:/x"'), "scanner.1", "rspamd answers over HTTP"),
        (scanner(*CLAMAV) + "\n" + scanner(*CLAMAV), "", "name 'clamav' is given twice"),
        ('policy = "none.toml"', "policy", "no such file"),
        (scanner(*CLAMAV, 'signatures = "none"'), "scanner.1.signatures", "no such folder"),
        (scanner(*CLAMAV) + '\n[rules.clamav]\nfolder = "none"', "rules.clamav.folder", "no such folder"),
        (scanner(*CLAMAV) + "\n[rules.clamav]", "rules.clamav.folder", "is missing"),
        (scanner(*CLAMAV) + '\n[rules.other]\nfolder = "."', "", "rules.other: the name of a [[scanner]]"),
        (scanner(*SPAMD) + '\n[rules.spamassassin]\nfolder = "."', "", "reload or pid_file was expected"),
        ('[alerts]\nsignatures = "2 days"', "alerts.signatures", 'such as "14d"'),
        ("[alerts]\ndisk = 0", "alerts.disk", "greater than or equal to 1"),
    ],
)
def test_a_mistake_names_file_key_and_what_was_expected(tmp_path, text, key, expected):
    with pytest.raises(ConfigMistake) as caught:
        load(written(tmp_path, text))
    (line,) = str(caught.value).splitlines()
    assert "rcqueue.toml" in line and f" {key}" in line and expected in line


def test_config_check_reads_the_policy_too(tmp_path, capsys):
    (tmp_path / "policy.toml").write_text('[default]\nvirus = "drop"')
    assert check_config(Namespace(json=False, config=written(tmp_path, 'policy = "policy.toml"'))) == 1
    assert "policy.toml: default.virus: expected 'hold' or 'reject'" in capsys.readouterr().err
