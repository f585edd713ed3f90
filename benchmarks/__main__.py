"""`python -m benchmarks [--quick] [NAME ...]`: runs them, prints what was measured beside what must be reached, and
files it by commit in benchmarks/results. Exit status 1 if a figure is missed, but with --quick, which only shows that
they still run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from benchmarks import machine
from benchmarks.figures import Figure

NAMES = ("start", "paging", "claims", "pages", "million", "idle", "campaigns", "shift", "scanning", "ways_in", "many")
ROOT = Path(__file__).parent.parent


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; all if none is named")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: little of everything; its figures say nothing"
    )
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results", help="where the figures are filed")
    args = parser.parse_args(arguments)
    if unknown := [name for name in args.names if name not in NAMES]:
        parser.error(f"{', '.join(unknown)}: expected some of {', '.join(NAMES)}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is started is compiled once, as where it is installed

    on = machine.described()
    commit = machine.commit(ROOT)
    said = [f"rcqueue {commit}, {datetime.now(UTC):%Y-%m-%d %H:%M}Z{', quick' if args.quick else ''}", machine.line(on)]
    print("\n".join(said), flush=True)
    found: dict[str, list[Figure]] = {}
    for name in args.names or NAMES:
        found[name] = import_module(f"benchmarks.{name}").run(quick=args.quick)
        part = ["", f"{name} (load {os.getloadavg()[0]:.1f})", *map(str, found[name])]
        print("\n".join(part), flush=True)
        said += part
    figures = [figure for some in found.values() for figure in some]
    missed = [figure for figure in figures if not figure.reached]
    said += ["", f"{len(figures)} figures, {len(missed)} missed"]
    print("\n".join(said[-2:]))

    args.results.mkdir(parents=True, exist_ok=True)
    data = {"commit": commit, "at": datetime.now(UTC).isoformat(), "quick": args.quick, "machine": on}
    data["figures"] = {
        name: [dataclasses.asdict(figure) | {"reached": figure.reached} for figure in some]
        for name, some in found.items()
    }
    (args.results / f"{commit}.json").write_text(json.dumps(data, indent=1) + "\n")
    (args.results / f"{commit}.txt").write_text("\n".join(said) + "\n")
    return 1 if missed and not args.quick else 0


if __name__ == "__main__":
    sys.exit(main())
