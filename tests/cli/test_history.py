"""``docket history``, ``throughput`` and ``status``."""

from __future__ import annotations

import json
import re
from typing import Any

from docket import Docket, Worker
from tests.cli.office import Office
from tests.cli.test_commands import SPAN, said


async def charge(account: str) -> None: ...


async def run_some(docket: Docket) -> None:
    docket.register(charge)
    for n in range(3):
        await docket.add(charge, key=f"c-{n}")(f"n-{n}")
    await docket.add("fail", key="f")("no rows")
    await Worker(docket, "w1").run_until_finished()
    await docket.add(charge, key="waits")("n")


def test_ended_runs_are_listed(here: Office, capsys: Any) -> None:
    here.ask(run_some)
    lines = said(capsys, "history", "--task", "charge").splitlines()
    assert lines[0] == "Runs of docket 'docket' that have ended, the latest first: 3"
    row = next(line for line in lines if " c-1 " in line)
    assert re.fullmatch(rf"{SPAN} ago +charge +c-1 +completed +1 +{SPAN} +{SPAN} +w1", row)
    assert (
        said(capsys, "history", "--task", "charge", "--since", "1h", "--limit", "2")
        .splitlines()[0]
        .endswith(": 2")
    )
    (one,) = json.loads(said(capsys, "history", "--state", "failed", "--key", "f", "--json"))["history"]
    assert (one["key"], one["state"], one["worker"]) == ("f", "failed", "w1")
    all_of_them = json.loads(said(capsys, "history", "--json"))["history"]
    ends = [each["ended_at"] for each in all_of_them]
    assert ends == sorted(ends, reverse=True)
    assert len(ends) == 5


def test_minutes_and_hours_are_counted(here: Office, capsys: Any) -> None:
    here.ask(run_some)
    lines = said(capsys, "throughput", "--task", "charge", "--per", "hour", "--since", "2d").splitlines()
    assert lines[0] == "Runs of docket 'docket' that have ended: 3"
    assert lines[1].split() == ["At", "Completed", "Failed", "Retried", "Cancelled", "Mean", "P95", "Late"]
    seen = json.loads(said(capsys, "throughput", "--task", "charge", "--json"))["throughput"]
    assert sum(one["completed"] for one in seen) == 3


def test_the_status_counts_what_is_there(here: Office, capsys: Any) -> None:
    here.ask(run_some)
    assert re.search(r"^due +1, the first one .* ago$", said(capsys, "status"), re.MULTILINE)
    assert json.loads(said(capsys, "status", "--json"))["counts"]["due"] == 1


def test_one_task_is_shown(here: Office, capsys: Any) -> None:
    here.ask(run_some)
    lines = said(capsys, "show", "f").splitlines()
    assert "state: failed" in lines
    assert any(line.startswith("error: ") and "no rows" in line for line in lines)
    shown = json.loads(said(capsys, "show", "c-1", "--json"))
    assert shown["execution"]["state"] == "completed"
    assert [one["state"] for one in shown["history"]] == ["completed"]
    assert said(capsys, "strikes") == "Strikes on docket 'docket': 0\n"
    said(capsys, "strike", "charge", "account", "==", "n-1")
    assert "n-1" in said(capsys, "strikes").splitlines()[1]
    assert said(capsys, "limits") == "Limits in use on docket 'docket': 0\n"
