"""What the help says of each option, what the documents say of it, and what is true, agree."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from docket import Docket, Worker
from docket.cli.app import docket_app
from docket.cli.worker import work
from tests.cli.test_surface import COMMANDS, arguments
from tests.house.tree import ROOT

UNITS = {"ms": 0.001, "s": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600} | {
    "d": 86400,
    "day": 86400,
}


def table(page: str, headings: str) -> list[list[str]]:
    """The rows of the table of a page that has these headings, as cells."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    _, found, rest = text.partition(f"| {headings} |\n")
    assert found, headings
    rows = rest.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def means(text: str, default: object) -> bool:
    """Whether the words of a document mean this default."""
    words = text.strip().partition("; ")[0].strip("`")
    if default is None or default is inspect.Parameter.empty:
        return not re.match(r"\d", words)
    if isinstance(default, timedelta):
        match = re.fullmatch(r"([\d.]+) ?(ms|s|min|m|h|d|second|minute|hour|day)s?", words)
        return match is not None and timedelta(seconds=float(match[1]) * UNITS[match[2]]) == default
    if isinstance(default, tuple):
        return words == (" ".join(default) or "none")
    return words == (str(default).lower() if isinstance(default, bool) else str(default))


def options() -> dict[str, tuple[list[str], str]]:
    """The variables and the default of each option of the worker, as documented; a row may have several options."""
    found: dict[str, tuple[list[str], str]] = {}
    for names, variables, default in table("command-line.md", "option | variable | default"):
        each, known = re.findall(r"`(--[^`]+)`", names), re.findall(r"`(\w+)`", variables)
        for number, name in enumerate(each):
            own = known if len(each) == 1 else known[number : number + 1]
            for no in ("", "no-"):
                found[name.replace("[no-]", no)] = own, default
    return found


OPTIONS = options()


def test_every_option_of_the_worker_is_in_the_table() -> None:
    assert OPTIONS.keys() == {name for name in arguments("worker") if name.startswith("--")}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_table_has_its_variable_and_its_default(name: str) -> None:
    argument, (variables, words) = arguments("worker")[name], OPTIONS[name]
    assert variables == list(argument.parameter.env_var or ())
    default = argument.field_info.default
    if name.endswith("parent-task-spans"):
        default = False  # None leaves it to the docket, whose default that is
    assert means(words, default), (words, default)


def test_the_commands_default_is_the_libraries() -> None:
    """But for the interval that pydocket's own command sets, too."""
    theirs = inspect.signature(Worker.run).parameters
    for name, parameter in inspect.signature(work).parameters.items():
        if (own := theirs.get(name)) is not None and not isinstance(parameter.default, tuple):
            assert parameter.default == own.default, name


@pytest.mark.parametrize(
    ("page", "function"), [("workers.md", Worker.__init__), ("dockets.md", Docket.__init__)]
)
def test_the_tables_of_settings_have_their_defaults(page: str, function: Callable[..., Any]) -> None:
    parameters = inspect.signature(function).parameters
    rows = table(page, "setting | default | meaning")
    for name, default, _ in rows:
        assert means(default, parameters[name.strip("`")].default), name


@pytest.mark.parametrize("path", COMMANDS)
def test_the_page_names_every_option_of_a_command(path: str) -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8").replace("[no-]", "no-")
    for name in arguments(path):
        if name.startswith("--") and not name.startswith("--no-"):
            assert re.search(rf"{name}\b", page) or f"--no-{name[2:]}" in page, name


def test_the_help_spells_a_default_as_it_is_typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    docket_app()(["worker", "--help"], result_action="return_value")
    lines = {
        line.split()[1]: line for line in capsys.readouterr().out.splitlines() if line.startswith("│ --")
    }
    assert len(lines) > 15
    for name, argument in arguments("worker").items():
        default = argument.field_info.default
        shown = re.search(r"\[default: ([^\]]*)\]", lines.get(name, ""))
        if shown is not None:
            assert means(shown[1].lower() if isinstance(default, bool) else shown[1], default), name
        else:
            assert default in (None, ()) or name not in lines, name
