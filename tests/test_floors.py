"""No import runs up a floor: the contracts of pyproject.toml hold, and each of them sees what it is there for."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

HOUSE = Path(__file__).parent.parent
CONTRACTS = tomllib.loads((HOUSE / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

#: By the contract that must see it: a file, and an import that has no business there.
PLANTED = {
    "house": [
        ("model/ids.py", "rcqueue.safe_text"),
        ("client/view.py", "rcqueue.widgets"),
        ("client/view.py", "rcqueue.terminal.caps"),
        ("widgets/line.py", "rcqueue.screens.queue"),
        ("screens/dialogs.py", "rcqueue.app"),
        ("app.py", "rcqueue.demo.mail"),
        ("server/hub.py", "rcqueue.client.view"),
        ("new.py", "rcqueue.model.ids"),
    ],
    "server": [
        ("server/store/rows.py", "rcqueue.server.marshal"),
        ("server/store/rows.py", "rcqueue.server.reading.scan"),
        ("server/marshal/door.py", "rcqueue.server.identity.sessions"),
        ("server/identity/sessions.py", "rcqueue.server.hub"),
        ("server/routes/mails.py", "rcqueue.server.intake.files"),
        ("server/hub.py", "rcqueue.server.routes"),
        ("server/new.py", "rcqueue.model.ids"),
    ],
    "halves": [("widgets/line.py", "rcqueue.server.config"), ("screens/dialogs.py", "rcqueue.server")],
    "base": [("client/view.py", "sqlalchemy"), ("commands/mail.py", "fastapi")],
    "draws": [("server/routes/mails.py", "textual.app")],
}


def lint(house: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    for contract in contracts:
        command += ["--contract", contract]
    return subprocess.run(command, cwd=house, capture_output=True, text=True, timeout=60)


def test_the_floors_hold():
    done = lint(HOUSE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in done.stdout


def test_there_is_a_plant_for_every_contract():
    assert set(PLANTED) == {contract["id"] for contract in CONTRACTS}


@pytest.mark.parametrize(
    ("contract", "file", "imported"), [(c, *plant) for c, plants in PLANTED.items() for plant in plants]
)
def test_a_planted_import_is_seen(contract: str, file: str, imported: str, tmp_path: Path):
    shutil.copy(HOUSE / "pyproject.toml", tmp_path)
    shutil.copytree(HOUSE / "rcqueue", tmp_path / "rcqueue", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "rcqueue" / file).open("a") as source:
        source.write(f"\n\ndef planted() -> None:\n    import {imported}  # lazily is no excuse\n")
    done = lint(tmp_path, contract)
    assert done.returncode == 1 and "0 kept, 1 broken" in done.stdout, done.stdout + done.stderr


def in_turn(house: grimp.ImportGraph) -> None:
    """Raises CycleError where modules import each other. Screens and the application name each other's types."""
    modules = [module for module in house.modules if not module.startswith(("rcqueue.app", "rcqueue.screens"))]
    TopologicalSorter({module: house.find_modules_directly_imported_by(module) for module in modules}).prepare()


def test_nothing_imports_in_a_circle_not_even_for_types():
    house = grimp.build_graph("rcqueue", cache_dir=None)
    in_turn(house)
    house.add_import(importer="rcqueue.server.marshal.rescan", imported="rcqueue.server.marshal.doing")
    with pytest.raises(CycleError):
        in_turn(house)


def test_safe_text_imports_nothing():
    tree = ast.parse((HOUSE / "rcqueue" / "safe_text.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
