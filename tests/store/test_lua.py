"""The scripts as files: their headers are their contracts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import docket
from docket.store.lua import script

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
