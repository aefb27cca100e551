"""``docket schedules`` and ``docket tasks ls``."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import anyio
import pytest

from docket import Cron, Docket, Perpetual, Worker, clock
from tests.cli.office import Office
from tests.cli.test_commands import SPAN, complaint, said

DAY = timedelta(days=1)


async def poll(customer: int, every: Perpetual = Perpetual(every=DAY)) -> None: ...


async def report(line: Cron = Cron("0 5 * * *")) -> None: ...


async def repeat(docket: Docket) -> None:
    """A chain that has had a run, one that waits for its first, and an automatic one."""
    for task in poll, report:
        docket.register(task)
    await docket.add(poll, key="p-1")(1)
    await docket.add(poll, key="p-2", when=clock.now() + DAY)(2)
    worker = Worker(docket, "w1")
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        while not await is_noted(docket):
            await anyio.sleep(0.02)  # what a worker writes beside its work is told to nobody
        worker.stop()


async def is_noted(docket: Docket) -> bool:
    found = {each.key: each for each in (await docket.schedules()).schedules}
    described = await docket.store.catalogue.recurrences()
    return "report" in described and found["report"].is_live and found["p-1"].last_ended is not None


def test_schedules_are_listed(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    here.ask(repeat)
    title, headings, one, two, three = said(capsys, "schedules").splitlines()
    assert title == "Schedules of docket 'docket': 3"
    assert headings.split() == ["Task", "Key", "Schedule", "Next", "Last", "Ended", "Remark"]
    day = r"every 1 day, 0:00:00"
    assert re.fullmatch(rf"poll +p-1 +{day} +in \d+:\S+ +{SPAN} ago +completed +no worker knows it", one)
    assert re.fullmatch(r"report +report +0 5 \* \* \* UTC +in \d+:\S+ +no worker knows it", two)
    assert re.fullmatch(rf"poll +p-2 +{day} +in \d+:\S+ +no worker knows it", three)
    (only,) = said(capsys, "schedules", "--contains", "p-2").splitlines()[2:]
    assert only.split()[:2] == ["poll", "p-2"]


def test_schedules_are_printed_as_json_page_by_page(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    here.ask(repeat)
    first = json.loads(said(capsys, "schedules", "--json", "--limit", "2"))
    assert [each["key"] for each in first["schedules"]] == ["p-1", "report"]
    one, two = first["schedules"]
    assert (one["every"], one["last_state"], one["is_live"], one["is_broken"]) == (
        86400.0,
        "completed",
        True,
        False,
    )
    assert (two["cron"], two["tz"], two["automatic"], two["workers"]) == ("0 5 * * *", "UTC", True, 0)
    assert two["next_run"].endswith("+00:00")
    rest = json.loads(said(capsys, "schedules", "--json", "--after", first["next"]))
    assert ([each["key"] for each in rest["schedules"]], rest["next"]) == (["p-2"], None)


def test_an_unknown_docket_has_no_schedules(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no docket 'typo'" in complaint(capsys, 1, "schedules", "--docket", "typo")


def test_a_place_of_no_page_is_refused(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is no place in a list" in complaint(capsys, 2, "schedules", "--after", "x")


def test_tasks_are_listed_with_their_last_hour(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    here.ask(repeat)
    here.ask(lambda docket: docket.pause("poll"))
    title, headings, *rows = said(capsys, "tasks", "ls").splitlines()
    assert title == "Tasks of docket 'docket': 6 of 6"
    assert headings.split() == ["Task", "Workers", "Completed", "Failed", "Retried", "Remark"]
    found = {row.split()[0]: row for row in rows}
    assert re.fullmatch(r"poll +0 +1 +0 +0  paused, every 1 day, 0:00:00", found["poll"])
    page = json.loads(said(capsys, "tasks", "ls", "--contains", "PO", "--limit", "1", "--json"))
    assert ([each["name"] for each in page["tasks"]], page["total"], page["next"]) == (["poll"], 2, "poll")
    assert page["tasks"][0]["last_hour"]["completed"] == 1
    rest = json.loads(said(capsys, "tasks", "ls", "--contains", "PO", "--after", page["next"], "--json"))
    assert [each["name"] for each in rest["tasks"]] == ["report"]
    assert rest["tasks"][0]["description"]["recurrence"]["cron"] == "0 5 * * *"
