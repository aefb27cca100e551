"""Levels at the command line: giving one, and seeing them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from docket import Docket, Priority
from docket.cli.app import docket_app, run
from tests.cli.office import Office
from tests.cli.test_commands import complaint, said

LATER = datetime.now(UTC) + timedelta(days=1)


async def nothing() -> None: ...


async def levels(docket: Docket) -> dict[str, Priority]:
    return {each.key: each.priority for each in (await docket.snapshot()).future}


def test_add_gives_a_level(here: Office, capsys: Any) -> None:
    said(capsys, "add", "nothing", "--force", "--key", "k", "--priority", "High")
    said(capsys, "add", "nothing", "--force", "--key", "n")
    assert here.ask(levels) == {"k": Priority.HIGH, "n": Priority.NORMAL}


def test_run_now_may_give_another(here: Office, capsys: Any) -> None:
    async def fill(docket: Docket) -> None:
        for key in "a", "b":
            await docket.add(nothing, LATER, key, priority="low")()

    here.ask(fill)
    said(capsys, "run-now", "a", "--priority", "high")
    said(capsys, "run-now", "b")
    assert here.ask(levels) == {"a": Priority.HIGH, "b": Priority.LOW}


@pytest.mark.parametrize("command", ["add", "run-now"])
def test_an_unknown_level_is_refused_with_the_three(here: Office, capsys: Any, command: str) -> None:
    refused = complaint(capsys, 2, command, "nothing", "--priority", "urgent")
    assert "--priority" in refused
    assert "takes high, normal or low, not 'urgent'" in refused


def test_what_is_not_normal_is_shown(here: Office, capsys: Any) -> None:
    async def fill(docket: Docket) -> None:
        await docket.add(nothing, key="h", priority="high")()
        await docket.add(nothing, LATER, "l", priority="low")()
        await docket.add(nothing, key="n")()

    here.ask(fill)
    rows = {line.split()[-1]: line for line in said(capsys, "snapshot").splitlines() if "nothing" in line}
    assert "queued, high priority" in rows["h"]
    assert "scheduled, low priority" in rows["l"]
    assert "priority" not in rows["n"]
    assert "priority: high" in said(capsys, "show", "h").splitlines()
    assert "priority: low" in said(capsys, "show", "l").splitlines()
    assert "priority" not in said(capsys, "show", "n")
    for key, level in {"h": "high", "l": "low", "n": "normal"}.items():
        assert json.loads(said(capsys, "show", key, "--json"))["execution"]["priority"] == level


def test_status_counts_what_is_due_of_each_level_and_names_those_that_nobody_serves(
    here: Office, capsys: Any
) -> None:
    async def fill(docket: Docket) -> None:
        for level in "high", "low", "low", "normal":
            await docket.add(nothing, priority=level)()

    here.ask(fill)
    lines = said(capsys, "status").splitlines()
    assert any(line.startswith("due      4, 1 high, 2 low, the first one ") for line in lines)
    assert not any(
        line.startswith("unserved") for line in lines
    )  # there is no worker at all, and that is said

    async def begin_one(docket: Docket) -> None:
        await docket.store.liveness.beat("w", [], tasks_too=True, serves="high,normal")

    here.ask(begin_one)
    assert "unserved low: no live worker serves that" in said(capsys, "status").splitlines()
    counts = json.loads(said(capsys, "status", "--json"))["counts"]
    assert (counts["levels"], counts["unserved"]) == ({"high": 1, "low": 2}, ["low"])
    assert "serves high and normal only" in said(capsys, "workers", "ls")


def test_a_docket_without_levels_says_nothing_of_them(here: Office, capsys: Any) -> None:
    async def fill(docket: Docket) -> None:
        await docket.add(nothing, key="n")()
        await docket.store.liveness.beat("w", [], tasks_too=True)

    here.ask(fill)
    for command in ("status",), ("snapshot",), ("workers", "ls"), ("show", "n"):
        assert run(docket_app(), command) == 0
    told = capsys.readouterr().out
    assert not any(word in told for word in ("priority", "unserved", "serves", "normal"))
