"""The scripts as files: their headers are their contracts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import docket
from docket.rules import LEVELS, Priority
from docket.store import Keys
from docket.store.lua import script
from tests.store.script_calls import MODULE, function, module, names

FOLDER = Path(docket.__file__).parent / "store" / "scripts"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.lua"))
by_name = pytest.mark.parametrize("name", SCRIPTS)


@by_name
def test_a_script_says_what_it_does_and_what_it_takes(name: str) -> None:
    text = (FOLDER / f"{name}.lua").read_text()
    assert re.match(r"-- [A-Z].*[.:]", text)
    for word in "KEYS", "ARGV", "REPLY":
        assert f"\n-- {word} " in text


@by_name
def test_the_lines_of_a_script_keep_their_numbers(name: str) -> None:
    """So the server's error messages point into the file."""
    source = (FOLDER / f"{name}.lua").read_text().splitlines()
    loaded = script(name).text.splitlines()
    assert len(loaded) == len(source)
    assert [line for line in source if not line.startswith("-- ")] == [
        line for line, original in zip(loaded, source, strict=True) if not original.startswith("-- ")
    ]


@by_name
def test_a_script_has_a_test_file(name: str) -> None:
    assert (Path(__file__).parent / f"test_{name}.py").exists()


def test_no_library_is_unused() -> None:
    used = {word for path in FOLDER.rglob("*.lua") for line in path.read_text().splitlines()
            if line.lstrip().startswith("-- USE ") for word in line.split()[2:]}  # fmt: skip
    assert used == {path.stem for path in (FOLDER / "lib").glob("*.lua")}


def header(name: str, table: str) -> list[str]:
    """The names that the header of a script declares as KEYS or ARGV."""
    return [each.removesuffix("...") for each in names((FOLDER / f"{name}.lua").read_text(), table)]


@by_name
def test_whatever_a_header_names_is_used_and_by_its_name(name: str) -> None:
    body = re.sub(r"--.*", "", (FOLDER / f"{name}.lua").read_text())
    for each in header(name, "KEYS") + header(name, "ARGV"):
        assert re.search(rf"\b{each}\b", body), f"{name}.lua does not use {each}"
    assert not re.search(r"\b(KEYS|ARGV)\b", body)


@by_name
def test_no_function_of_a_library_hides_a_name_of_a_header(name: str) -> None:
    functions = set(re.findall(r"local function (\w+)", script(name).text))
    assert not functions & {*header(name, "KEYS"), *header(name, "ARGV")}


def test_the_functions_that_call_scripts_are_those_of_the_headers() -> None:
    """Else run ``python -m tests.store.script_calls``."""
    assert MODULE.read_text("utf-8") == module()


@pytest.mark.parametrize(
    ("was", "changed"),
    [
        ("KEYS stream queue", "KEYS queue stream"),
        ("started_at wake_channel", "wake_channel started_at"),
        ("KEYS stream queue", "KEYS stream"),
        ("asked count", "asked count until"),
        ("ended...", "ended"),
    ],
    ids=["swapped keys", "swapped arguments", "one missing", "one too many", "one of many"],
)
def test_a_header_cannot_change_by_itself(was: str, changed: str) -> None:
    text = (FOLDER / "take.lua").read_text()
    assert was in text
    assert function("take", text) in MODULE.read_text("utf-8")
    assert function("take", text.replace(was, changed)) not in MODULE.read_text("utf-8")


def test_names_that_scripts_make_are_those_of_keys() -> None:
    """So that none of them can be parked over (`Keys.is_reserved`)."""
    keys = Keys("d")
    known = {getattr(keys, each) for each in vars(Keys) | vars(Keys.__base__) if not each.startswith("_")
             and not callable(getattr(keys, each))}  # fmt: skip
    known |= {make("") for make in (keys.run, keys.progress, keys.state_channel, keys.safeguard, keys.parked,
                                  keys.failure, keys.successor, keys.group,
                                      keys.cancel_channel)}  # fmt: skip
    known.add(keys.pause("").removesuffix(":"))
    known |= {keys.turns(""), keys.row("", "")[:-2], keys.lane("")}
    known |= {keys.run("") + "__safeguard__:", keys.history(""), keys.depths(""), keys.chains("")}
    known |= {keys.lane(level.value) for level in LEVELS if level is not Priority.NORMAL}
    known |= {keys.counted(kind, "", "")[:-1] for kind in ("minutes", "hours")}
    made = {
        made
        for path in FOLDER.rglob("*.lua")
        for made in re.findall(r"prefix \.\. '([^']+)'", path.read_text())
    }
    assert made
    assert {f"d{name}" for name in made} <= known
