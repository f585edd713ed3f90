"""An amavis that takes SMTP, quarantines spam into files or by SMTP, and releases by AM.PDP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .part import Process, folder, free_port, talks

USER = "amavis"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

_CONFIG = """
use strict;
$max_servers = 2; $daemon_user = 'amavis'; $daemon_group = 'amavis';
$MYHOME = '{path}'; $TEMPBASE = "$MYHOME/tmp"; $ENV{{TMPDIR}} = $TEMPBASE; $helpers_home = "$MYHOME/var";
$QUARANTINEDIR = "$MYHOME/quarantine"; $quarantine_subdir_levels = 1;
$db_home = "$MYHOME/db"; $enable_db = 0; $enable_zmq = 0;
$lock_file = "$MYHOME/var/amavisd.lock"; $pid_file = "$MYHOME/var/amavisd.pid";
$mydomain = 'rcq.example'; $myhostname = 'amavis.rcq.example';
@local_domains_maps = (['.rcq.example']); @mynetworks = qw(127.0.0.0/8);
$log_level = 1; $do_syslog = 0; $logfile = "$MYHOME/var/amavis.log";
$inet_socket_bind = '127.0.0.1'; $inet_socket_port = [{port}, {release}]; @inet_acl = qw(127.0.0.1);
$interface_policy{{'{release}'}} = 'AM.PDP-INET';
$policy_bank{{'AM.PDP-INET'}} = {{
    protocol => 'AM.PDP', inet_acl => [qw(127.0.0.1)], auth_required_release => 0,
}};
$release_method = $requeue_method = $notify_method = $forward_method = 'smtp:[127.0.0.1]:{next_hop}';
$final_virus_destiny = $final_banned_destiny = $final_spam_destiny = D_DISCARD; $final_bad_header_destiny = D_PASS;
$spam_quarantine_method = '{quarantine}'; $spam_quarantine_to = '{to}';
$sa_tag_level_deflt = -999; $sa_tag2_level_deflt = 5; $sa_kill_level_deflt = 6; $sa_local_tests_only = 1;
$sa_dsn_cutoff_level = 9999; @bypass_virus_checks_maps = (1); $enable_dkim_verification = 0;
$virus_admin = undef; $spam_admin = undef; @decoders = ();
1;
"""


@dataclass
class Amavis:
    port: int
    release: int  #: AM.PDP
    quarantine: Path


@contextmanager
def running(next_hop: int, *, quarantine: int | None = None) -> Iterator[Amavis]:
    """`quarantine`: the SMTP port that spam is sent to, for quarantine@rcq.example; without one it goes into files."""
    with folder("amavis") as path:
        port, release = free_port(), free_port()
        to = f"smtp:[127.0.0.1]:{quarantine}" if quarantine else "local:spam-%m.eml"
        config = _CONFIG.format(
            path=path,
            port=port,
            release=release,
            next_hop=next_hop,
            quarantine=to,
            to="quarantine@rcq.example" if quarantine else "spam-quarantine",
        )
        (path / "amavisd.conf").write_text(config)  # it refuses one in a folder that its own user can write into
        for name in ("tmp", "var", "db", "quarantine"):
            (path / name).mkdir()
            shutil.chown(path / name, USER, USER)
        command = ["/usr/sbin/amavisd", "-c", path / "amavisd.conf", "foreground"]
        amavis = Process(command, path / "out", lambda: talks(port, hears=b"220"))
        try:
            yield Amavis(port, release, path / "quarantine")
        finally:
            amavis.stop()
