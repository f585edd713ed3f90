"""The customer tree as the configuration has it: each change of it an entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rcqueue.model.access import ROOT
from rcqueue.server.config_values import longest_match
from rcqueue.server.store import tables as t
from rcqueue.server.store.journal import Draft
from rcqueue.server.store.rows import Needs, Rows
from rcqueue.server.store.writer import Decision


def customer_of(rows: Rows, address: str) -> str | None:
    """The customer that an address's domain is named for; None: no customer's."""
    domains: dict[str, str] = {row["domain"]: row["customer"] for row in rows.tables["customer_domain"].values()}
    return longest_match(domains, address)


@dataclass(frozen=True, slots=True)
class SetCustomers:
    """The tree is now this: (path, domains, claim_locks_body) each. A customer that goes keeps its mail."""

    customers: Sequence[tuple[str, Sequence[str], bool]]

    @property
    def needs(self) -> Needs:
        return Needs(customers=True)

    @property
    def weight(self) -> int:
        return 1000

    def decide(self, rows: Rows, now: int, seq: int) -> Decision:
        before = _tree(rows)
        tree = {path: (tuple(sorted(domains)), locks) for path, domains, locks in self.customers}
        tree.setdefault(ROOT, ((), False))
        if tree == before:
            return Decision()
        for path, (_, locks) in tree.items():
            rows.put(t.customer, (path,), {"path": path, "claim_locks_body": locks})
        for (path,) in list(rows.tables["customer"]):
            if path not in tree:
                rows.drop(t.customer, (path,))
        wanted = {domain: path for path, (domains, _) in tree.items() for domain in domains}
        for (domain,) in list(rows.tables["customer_domain"]):
            if domain not in wanted:
                rows.drop(t.customer_domain, (domain,))
        for domain, path in wanted.items():
            rows.put(t.customer_domain, (domain,), {"domain": domain, "customer": path})
        return Decision(entries=[Draft("customer.set", facts={"paths": sorted(tree)})])


def _tree(rows: Rows) -> dict[str, tuple[tuple[str, ...], bool]]:
    domains: dict[str, list[str]] = {}
    for row in rows.tables["customer_domain"].values():
        domains.setdefault(row["customer"], []).append(row["domain"])
    return {
        path: (tuple(sorted(domains.get(path, ()))), row["claim_locks_body"])
        for (path,), row in rows.tables["customer"].items()
    }
