"""`make faults`: the tests of safety at their full counts, group by group.

Results are filed by commit in build/faults/; a group that passed at this commit is not run again, so a run that was
interrupted goes on where it was. Exit status 1 if any group failed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

GROUPS = {
    "durable": ["tests/server/test_durable.py"],
    "machine": ["tests/server/test_machine.py", "tests/server/test_mutants.py", "tests/server/test_races.py"],
    "delivery": ["tests/server/test_delivery.py"],
    "mailpath": [
        "tests/server/test_mail_path.py",
        "tests/server/test_smuggling.py",
        "tests/server/test_mail_path_killed.py",
    ],
    "canary": ["tests/server/test_canary.py"],
    "reading": ["tests/reading"],
    "hostile": ["tests/server/test_hostile_end_to_end.py"],
    "terminal": ["tests/app", "tests/terminal"],
    "many": ["tests/test_ssh_drop.py"],
}


def commit() -> str:
    """The commit that is tested; with "+" when the tree differs from it."""
    name = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run(["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    return name.stdout.strip() + ("+" if changed.stdout.strip() else "")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(f"no group {unknown[0]!r}; any of {', '.join(GROUPS)} was expected", file=sys.stderr)
        return 2
    at = commit()
    file = Path("build/faults") / f"{at}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    done = json.loads(file.read_text()) if file.exists() and not at.endswith("+") else {}
    for name in names or GROUPS:
        if done.get(name, {}).get("passed"):
            print(f"{name}: passed at {at} before, {done[name]['seconds']} s")
            continue
        began = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", *GROUPS[name]]
        status = subprocess.run(command, env=os.environ | {"RCQUEUE_FULL": "1"}).returncode
        done[name] = {"passed": status == 0, "seconds": round(time.monotonic() - began)}
        file.write_text(json.dumps(done, indent=1) + "\n")
        print(f"{name}: {'passed' if status == 0 else 'FAILED'}, {done[name]['seconds']} s, filed in {file}")
    return 0 if all(done[name]["passed"] for name in names or GROUPS) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
