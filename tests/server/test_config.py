"""rcqueue.toml and the environment: what is read, and that a mistake names file, key and what was expected."""

from __future__ import annotations

import os
from datetime import time
from pathlib import Path

import pytest

from rcqueue.server.config import DAY, SECOND, Address, Config, ConfigMistake, Customer
from rcqueue.server.config_file import load


@pytest.fixture
def written(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("RCQUEUE__"):
            monkeypatch.delenv(name)

    def write(text: str) -> Path:
        file = tmp_path / "rcqueue.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def mistakes(file: Path) -> list[str]:
    with pytest.raises(ConfigMistake) as caught:
        load(file)
    return str(caught.value).splitlines()


def test_data_dir_alone_gives_the_defaults_of_the_design(written, tmp_path):
    config = load(written('data_dir = "data"'))
    assert config.data_dir == tmp_path / "data"
    assert (config.http.listen, config.smtp.listen) == (("127.0.0.1", 8025), ("127.0.0.1", 10025))
    assert config.next_hop.default == ("127.0.0.1", 10026)
    assert config.next_hop.give_up == 2 * DAY
    assert (config.hold.expiry, config.hold.purge, config.hold.recall) == (14 * DAY, 7 * DAY, 10 * SECOND)
    assert config.smtp.size_limit == 50 * 1024 * 1024


def test_every_key(written, tmp_path):
    (tmp_path / "c.pem").touch()
    (tmp_path / "k.pem").touch()
    config = load(
        written(
            """
            data_dir = "/srv/rcqueue"
            [http]
            listen = "0.0.0.0:443"
            cert = "c.pem"
            key = "k.pem"
            [smtp]
            listen = "[::1]:10025"
            size_limit = "512K"
            recipient_limit = 100
            timeout = "90s"
            [next_hop]
            default = "mx.example:25"
            domains = {"acme.example" = "10.0.0.1:25"}
            tls = "required"
            sessions = 2
            give_up = "36h"
            timeout = "500ms"
            [[next_hop.at]]
            address = "10.0.0.1:25"
            tls = "verify"
            ca = "c.pem"
            name = "mx.acme.example"
            [release]
            pass = false
            [hold]
            expiry = "30d"
            purge = "1d"
            recall = "0s"
            [[customer]]
            path = "acme/sales"
            domains = ["Sales.Acme.example", "bücher.example"]
            claim_locks_body = true
            """
        )
    )
    assert config.data_dir == Path("/srv/rcqueue")
    assert config.http.cert == tmp_path / "c.pem"
    assert config.smtp.listen == Address("::1", 10025)
    assert str(config.smtp.listen) == "[::1]:10025"
    assert config.smtp.size_limit == 512 * 1024
    assert config.next_hop.of("x@mail.acme.example") == ("10.0.0.1", 25)
    assert config.next_hop.of("x@notacme.example") == ("mx.example", 25)
    assert config.next_hop.timeout == 500_000
    assert config.next_hop.tls_of(Address("10.0.0.1", 25)) == ("verify", tmp_path / "c.pem", "mx.acme.example")
    assert config.next_hop.tls_of(Address("mx.example", 25)) == ("required", None, "")
    assert config.release.passes is False
    assert config.hold.recall == 0
    assert config.customer == (
        Customer(path="acme/sales", domains=("sales.acme.example", "xn--bcher-kva.example"), claim_locks_body=True),
    )


def test_the_environment_wins_and_keeps_the_rest_of_the_table(written, monkeypatch):
    file = written('data_dir = "d"\n[smtp]\nlisten = "127.0.0.1:1"\nsize_limit = "1M"\n')
    monkeypatch.setenv("RCQUEUE__SMTP__LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("RCQUEUE__DATA_DIR", "/elsewhere")
    monkeypatch.setenv("RCQUEUE__NEXT_HOP__DOMAINS", '{"a.example": "127.0.0.1:3"}')
    config = load(file)
    assert config.smtp.listen.port == 2
    assert config.smtp.size_limit == 1 << 20
    assert config.data_dir == Path("/elsewhere")
    assert config.next_hop.of("x@a.example").port == 3


def test_keywords_alone_do_not_read_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("RCQUEUE__SMTP__LISTEN", "127.0.0.1:2")
    assert Config(data_dir=tmp_path).smtp.listen.port == 10025


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("", "data_dir", "required"),
        ('data_dir = "d"\nport = 1', "port", "data_dir, http, smtp"),
        ('data_dir = "d"\n[http]\nlisen = "x"', "http.lisen", "one of listen, cert, key was expected"),
        ('data_dir = "d"\n[http]\nlisten = "8025"', "http.listen", "HOST:PORT was expected"),
        ('data_dir = "d"\n[http]\nlisten = "127.0.0.1:99999"', "http.listen", "HOST:PORT was expected"),
        ('data_dir = "d"\n[http]\nlisten = "0.0.0.0:80"', "http", "cert and key were expected"),
        ('data_dir = "d"\n[http]\ncert = "c.pem"', "http", "both were expected"),
        ('data_dir = "d"\n[http]\ncert = "c"\nkey = "rcqueue.toml"', "http.cert", "no such file"),
        ('data_dir = "d"\n[smtp]\nsize_limit = "50X"', "smtp.size_limit", "a size was expected"),
        ('data_dir = "d"\n[smtp]\nsize_limit = 0', "smtp.size_limit", "a size was expected"),
        ('data_dir = "d"\n[smtp]\nrecipient_limit = 5', "smtp.recipient_limit", "greater than or equal to 100"),
        ('data_dir = "d"\n[hold]\nexpiry = "2 weeks"', "hold.expiry", "a duration was expected"),
        ('data_dir = "d"\n[hold]\nrecall = 10', "hold.recall", "a duration was expected"),
        ('data_dir = "d"\n[next_hop]\ntls = "yes"', "next_hop.tls", "'none', 'opportunistic', 'required' or 'verify'"),
        ('data_dir = "d"\n[next_hop]\nca = "x.pem"', "next_hop", 'tls = "verify" was expected'),
        ('data_dir = "d"\n[next_hop]\ntls = "verify"\nca = "x.pem"', "next_hop.ca", "no such file"),
        ('data_dir = "d"\n[[next_hop.at]]\naddress = "a:1"', "next_hop", "a:1 is no next hop; one of 127.0.0.1:10026"),
        (
            'data_dir = "d"\n[[next_hop.at]]\naddress = "127.0.0.1:10026"\nnama = "x"',
            "next_hop.at.1.nama",
            "one of address, tls, ca, name was expected",
        ),
        (
            'data_dir = "d"\n[[next_hop.at]]\naddress = "127.0.0.1:10026"\nname = "x"',
            "next_hop",
            'tls = "verify" was expected beside it',
        ),
        ('data_dir = "d"\n[release]\npasses = true', "release.passes", "was expected"),
        ('data_dir = "d"\n[next_hop]\ndomains = {"a b" = "x:1"}', "next_hop.domains.a b", "a domain was expected"),
        ('data_dir = "d"\n[database]\nurl = "mysql://x"', "database", "no url was expected"),
        ('data_dir = "d"\n[[customer]]\npath = "Acme"', "customer.1.path", "a path was expected"),
        ('data_dir = "d"\n[[customer]]\npath = "all/x"', "customer.1.path", "a path was expected"),
        ('data_dir = "d"\n[[customer]]\npath = "a"\ndomains = "x"', "customer.1.domains", "a list was expected"),
        ('data_dir = "d"\n[[customer]]\npath = "a"\n[[customer]]\npath = "a"', "customer", "given twice"),
        ("data_dir =", "", "TOML was expected"),
    ],
)
def test_a_mistake_names_file_key_and_what_was_expected(written, text, key, expected):
    (line,) = mistakes(written(text))
    assert "rcqueue.toml" in line
    assert key in line
    assert expected in line


def test_all_mistakes_at_once_each_on_its_line(written, monkeypatch):
    monkeypatch.setenv("RCQUEUE__HTPP__LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("RCQUEUE__HOLD__PURGE", "soon")
    said = mistakes(written('[http]\nlisten = "x"\n[smtp]\nsize = 1\n'))
    assert len(said) == 5
    assert "environment: RCQUEUE__HTPP__LISTEN: unknown table" in said[0]
    assert any(line.startswith("environment: RCQUEUE__HOLD__PURGE: a duration was expected") for line in said)


def test_a_file_that_is_not_there(tmp_path):
    (line,) = mistakes(tmp_path / "none.toml")
    assert "none.toml: cannot be read: No such file" in line


@pytest.mark.parametrize(
    ("recipient", "customer"),
    [
        ("a@acme.example", "acme"),
        ("a@ACME.example.", "acme"),
        ("a@mail.acme.example", "acme"),
        ("a@sales.acme.example", "acme/sales"),
        ("a@x.sales.acme.example", "acme/sales"),
        ("a@xacme.example", "all"),
        ("a@BÜCHER.example", "books"),
        ("a@xn--bcher-kva.example", "books"),
        ('"odd@acme.example"@elsewhere.example', "all"),
        ("postmaster", "all"),
        ("", "all"),
    ],
)
def test_a_recipient_belongs_to_the_customer_of_the_nearest_domain(tmp_path, recipient, customer):
    config = Config(
        data_dir=tmp_path,
        customer=(
            Customer(path="acme", domains=("acme.example",)),
            Customer(path="acme/sales", domains=("sales.acme.example",)),
            Customer(path="books", domains=("bücher.example",)),
        ),
    )
    assert config.customer_of(recipient) == customer


NOTICES = 'data_dir = "data"\n[notices]\nfrom = "Q <q@x.example>"\nurl = "https://q.x.example/"\n'


def test_notices_to_recipients(written, monkeypatch):
    monkeypatch.setenv("RCQUEUE__NOTICES__AT", "23:59")
    notices = load(written(NOTICES + 'domains = ["X.example", "münchen.example"]\nat = 06:30:00')).notices
    assert notices is not None and (notices.sender, notices.at) == (("Q", "q@x.example"), time(23, 59))
    assert (notices.url, notices.days) == ("https://q.x.example", 7)
    for address, asked in (
        ("a@x.example", True),
        ("a@sub.x.example", True),
        ("a@MÜNCHEN.example", True),
        ("a@xx.example", False),
        ("a@example", False),
        ("x.example", True),
        ("", False),
    ):
        assert notices.asked_for(address) is asked, address
    monkeypatch.delenv("RCQUEUE__NOTICES__AT")
    assert load(written('data_dir = "data"')).notices is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("domains = []", "domains"),
        ('domains = ["x"]\nfrom = "nobody"', "from: an address was expected"),
        ('domains = ["x"]\nfrom = "a@x.example, b@x.example"', "from: an address was expected"),
        ('domains = ["x"]\nfrom = "Q <q@x.example>\\r\\nBcc: z@x.example"', "from: an address was expected"),
        ('domains = ["x"]\nurl = "http://q.x.example"', "url: a URL with https was expected"),
        ('domains = ["x"]\nurl = "https://u:p@q.x.example"', "url: a URL with https was expected"),
        ('domains = ["x"]\nurl = "https://q.x.example/?a"', "url: a URL with https was expected"),
        ('domains = ["x"]\nurl = "javascript:alert(1)"', "url: a URL with https was expected"),
        ('domains = ["x"]\nat = "24:00"', 'at: a time of the day was expected, such as "07:00"'),
        ('domains = ["x"]\nat = 7', "at: a time of the day was expected"),
        ('domains = ["x"]\nsubject = "a\\r\\nBcc: b"', "subject"),
        ('domains = ["x"]\ndays = 0', "days"),
        ('domains = ["x"]\nsender = "a@x.example"', "sender: unknown key; one of domains, from, url"),
    ],
)
def test_mistakes_in_notices(written, line, said):
    key = line.rpartition("\n")[2].partition(" ")[0]
    base = "".join(row + "\n" for row in NOTICES.splitlines() if not row.startswith(key + " "))
    (mistake,) = mistakes(written(base + line))
    assert f"notices.{said}" in mistake, mistake
