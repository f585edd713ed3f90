"""The person's own settings: what is kept and read again, what can't be used and is named, keys in force everywhere."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from rcqueue import settings
from rcqueue.model.actions import ACTIONS, named
from rcqueue.screens.columns import Columns
from rcqueue.screens.dialogs import Told
from rcqueue.settings import Settings, SettingsError, with_value
from rcqueue.widgets import columns, keymap
from tests.screens.terminal import queue, terminal


def written(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "terminal.toml").write_text(text)
    return settings.load(tmp_path / "terminal.toml")


def test_without_a_file_everything_is_as_it_is_for_nobody(tmp_path: Path) -> None:
    found = settings.load(tmp_path / "none" / "terminal.toml")
    assert found == Settings(found.path) and not found.wrong


def test_what_is_in_it_is_taken(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        'theme = "light"\ncolumns = ["who", "size", "from"]\ncopy = true\nbell = ["verdict:virus claim:me"]\n'
        '[keys]\nmail.release = "r,ctrl+y"\n"view.theme" = "f5"\n',
    )
    assert (found.theme, found.columns, found.copy) == ("light", ("who", "size", "from"), True)
    assert found.bell == ("verdict:virus claim:me",)
    assert found.keys["mail.release"] == "r,ctrl+y" and found.keys["view.theme"] == "f5"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("theme = dark", "expected TOML"),
        ("theme = 3", 'theme: expected the name of a theme, such as "dark"'),
        ('columns = ["who", "when"]', "columns: 'when' is no column; expected a list of some of who, age"),
        ('columns = ["who", "who"]', "columns: expected a list of some of who"),
        ("columns = []", "columns: expected a list of some of who"),
        ('columns = [["who"]]', "columns: \"['who']\" is no column"),
        ('copy = "yes"', "copy: expected true or false"),
        ('bell = ["fom:x"]', "bell, 1: fom:x (character 1): no field 'fom'; expected from"),
        ("bell = [1]", "bell, 1: expected a filter such as verdict:virus"),
        ('tehme = "dark"', "tehme: unknown; expected one of theme, columns"),
        ("keys = 1", "keys: expected a table of actions with their keys"),
        ('[keys]\nmail.relase = "r"', "keys.mail.relase: no such action; expected mail.release"),
        ("[keys]\nmail.release = 1", 'keys.mail.release: expected keys by comma, such as "r,ctrl+y"'),
        ('[keys]\nmail.release = "hyper+r"', "keys.mail.release: 'hyper+r' is no key that can be given"),
        ('[keys]\nmail.release = "ctrl+c"', "keys.mail.release: 'ctrl+c' is no key that can be given"),
        ('[keys]\nmail.release = "r,"', "keys.mail.release: '' is no key that can be given"),
        ('[keys]\nmail.release = "d"', "keys.mail.release: d is the key of mail.delete there; expected another one"),
        ('[keys]\nview.down = "ctrl+p"', "keys.view.down: ^p is the key of view.palette there"),
    ],
)
def test_what_cannot_be_used_is_named_and_what_stands_without_it_stays(tmp_path: Path, text: str, says: str) -> None:
    found = written(tmp_path, text)
    assert len(found.wrong) == 1, found.wrong
    assert found.wrong[0].startswith(f"{tmp_path}/terminal.toml: ") and says in found.wrong[0]
    assert found == Settings(found.path, wrong=found.wrong)


def test_keys_can_be_changed_for_each_other() -> None:
    keys, wrong = keymap.choose({"mail.release": "d", "mail.delete": "r"})
    assert not wrong and keys == {"mail.release": "d", "mail.delete": "r"}


def test_no_key_of_the_registry_is_given_twice_where_both_work() -> None:
    given = {a.name: a.key for a in ACTIONS if a.key and a.contexts}
    assert keymap.choose(given) == (given, [])


@pytest.mark.parametrize(
    "before",
    [
        "",
        "# mine\n[keys]\nmail.release = 'r'\n",
        'bell = ["a", "b"]\ntheme = "light" # at night\n\n[keys]\n',
        'columns = [\n  "who", # first\n  "age",\n]\ncopy = true\n',
    ],
)
def test_what_is_kept_changes_its_own_line_alone(before: str) -> None:
    after = with_value(with_value(before, "theme", "high-contrast"), "columns", ["who", "from"])
    assert tomllib.loads(after) == tomllib.loads(before) | {"theme": "high-contrast", "columns": ["who", "from"]}
    assert all(comment in after for comment in ("# mine", "# at night") if comment in before)


def test_a_file_that_only_a_person_can_change_is_left_alone(tmp_path: Path) -> None:
    text = 'theme = """light"""\n'
    mine = written(tmp_path, text)
    with pytest.raises(SettingsError, match=r"terminal.toml: theme can't be kept there: "):
        mine.keep("theme", "dark")
    assert mine.path is not None and mine.path.read_text() == text


# -- at the screen


async def test_settings_that_cannot_be_used_are_named_before_anything_else() -> None:
    store = queue()
    mine = Settings(wrong=["terminal.toml: keys.mail.release: d is the key of mail.delete there"])
    async with terminal(store, settings=mine, signed_in=False) as t:
        await t.shows("d is the key of mail.delete there")
        assert isinstance(t.app.screen, Told)
        await t.press("enter")
        await t.until(lambda: t.at == "win@lucky.example")


async def test_chosen_keys_act_and_are_shown_and_the_old_ones_do_nothing() -> None:
    keys, _ = keymap.choose({"mail.release": "D,f6", "mail.rescan": "E", "view.help": "f1", "mail.recall": "B"})
    async with terminal(queue(), size=(120, 70), settings=Settings(keys=keys)) as t:
        assert " D release" in t.shown[-1] and " f1 help" in t.shown[-1]
        await t.press("r")
        await t.press("f6")
        await t.until(lambda: t.calls("act"))
        assert [call[2] for call in t.calls("act")] == ["release"]
        await t.shows("recall with B")
        await t.press("j", "E")
        await t.until(lambda: len(t.calls("act")) == 2)
        assert t.calls("act")[1][2] == "rescan"
        await t.press("f1")
        await t.until(lambda: any(" ".join(line.split()) == "D f6 release it to the next hop" for line in t.shown))
    keymap.use({})


async def test_columns_are_chosen_sorted_and_kept(tmp_path: Path) -> None:
    mine = Settings(tmp_path / "terminal.toml")
    async with terminal(queue(), settings=mine) as t:
        await t.press("O")
        await t.until(lambda: isinstance(t.app.screen, Columns))
        await t.press("space", "j", "K")  # not who; age before it, where it is already the first that is shown
        await t.press("G", *["j"] * 9, "space", "s", *["K"] * 8)  # size, the largest first, moved up
        await t.press("enter")
        await t.until(lambda: t.shown[2].split()[:2] == ["AGE", "-SIZE"])
        assert "WHO" not in t.shown[2] and t.calls("page")[-1][2] == "-size"
    kept = settings.load(mine.path)
    assert kept.columns[:2] == ("age", "size") and "who" not in kept.columns


async def test_columns_that_are_left_are_as_before() -> None:
    async with terminal(queue()) as t:
        await t.press("O")
        await t.until(lambda: isinstance(t.app.screen, Columns))
        await t.press("space", "j", "space", "escape")
        await t.until(lambda: t.at == "win@lucky.example")
        assert t.app.settings.columns == columns.DEFAULT and "WHO" in t.shown[2]


async def test_a_click_on_a_heading_sorts_by_it_and_another_turns_it_round() -> None:
    async with terminal(queue()) as t:
        x = t.shown[2].index("FROM")
        await t.pilot.click("QueueTable", offset=(x, 0))
        await t.until(lambda: "+FROM" in t.shown[2] and t.at == "a@b.example")
        await t.pilot.click("QueueTable", offset=(x, 0))
        await t.until(lambda: "-FROM" in t.shown[2] and t.at == "win@lucky.example")
        await t.pilot.click("QueueTable", offset=(t.shown[2].index("WHO"), 0))
        await t.shows("the list is not sorted by WHO")


async def test_an_order_by_a_column_that_is_not_shown_is_said_below() -> None:
    async with terminal(queue(), settings=Settings(columns=("from", "subject"))) as t:
        assert t.shown[2].split() == ["FROM", "SUBJECT"]
        await t.press("o")
        await t.shows("by AGE+")


@pytest.mark.parametrize("width", [20, 40, 79, 80, 120, 200])
@pytest.mark.parametrize("chosen", [columns.DEFAULT, tuple(columns.TITLES), ("who", "age"), ("rules",), ("to", "from")])
def test_columns_have_the_width_that_there_is(width: int, chosen: tuple[str, ...]) -> None:
    layout = columns.Layout.at(width, chosen)
    assert list(layout.widths) == [name for name in chosen if name in layout.widths]
    assert columns.MARK + len(layout.widths) + sum(layout.widths.values()) <= max(width, 60)
    assert set(named("view.sort").contexts) == {"queue"}
