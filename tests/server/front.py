"""A real Postfix in front of rcqueue, as docs/operate/ways-in.md has it: one port with the milter, one with the content
filter, and one behind both, for what comes back."""

from __future__ import annotations

from collections.abc import Mapping

from tests.realparts.postfix import DOMAIN, Postfix, free_port

WAYS = ("milter", "filter")

_MASTER = """\
127.0.0.1:{filtered} inet n - n - - smtpd -o smtpd_milters= -o content_filter=scan:[127.0.0.1]:{filter}
scan unix - - n - 10 lmtp -o lmtp_send_xforward_command=yes -o disable_mime_output_conversion=yes
  -o lmtp_line_length_limit=0
127.0.0.1:{behind} inet n - n - - smtpd
  -o content_filter= -o smtpd_milters= -o local_header_rewrite_clients=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
"""


class Front(Postfix):
    """`milter` and `filter` are where it looks for rcqueue; `ports` are where mail comes in, by way. With `relay` mail
    goes on to that port, else into its Maildir."""

    def __init__(self, main: Mapping[str, str] = {}, relay: int = 0) -> None:
        self.milter, self.filter, self.behind = free_port(), free_port(), free_port()
        filtered = free_port()
        more = {
            "smtpd_milters": f"inet:127.0.0.1:{self.milter}",
            "milter_default_action": "tempfail",
            "smtpd_forbid_bare_newline": "normalize",
            "smtpd_forbid_bare_newline_exclusions": "",  # else all of the loopback
        }
        if relay:
            more |= {
                "virtual_mailbox_domains": "",
                "relay_domains": DOMAIN,
                "relay_transport": f"smtp:[127.0.0.1]:{relay}",
            }
        super().__init__(more | dict(main), _MASTER.format(filtered=filtered, filter=self.filter, behind=self.behind))
        self.ports = {"milter": self.port, "filter": filtered}
