"""What repeats itself, as the dashboard shows it; and the tasks that workers know."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import anyio
import pytest

from docket import Cron, Docket, Perpetual, Retry, Worker, clock
from docket.execution import ExecutionState
from docket.web import Dashboard, anybody
from tests import where
from tests.web.caller import Caller
from tests.web.test_markup import Read

pytestmark = [pytest.mark.anyio, where.few_pairs]


async def tick(again: Perpetual = Perpetual(every=timedelta(hours=1), automatic=True)) -> None:
    """Say that an hour is over."""
    raise LookupError("no <clock>")


async def daily(cron: Cron = Cron("0 3 * * *", tz=ZoneInfo("Europe/Berlin"), automatic=False)) -> None: ...


async def flaky(retry: Retry = Retry(attempts=4)) -> None: ...


@pytest.fixture
async def scheduled(docket: Docket) -> Docket:
    """``tick`` has run once and goes on; ``daily`` waits for its first run; their worker has left."""
    for task in tick, daily, flaky:
        docket.register(task)
    await docket.add(daily, when=clock.now() + timedelta(hours=2), key="daily-berlin")()
    async with Worker(docket) as worker, anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        with anyio.fail_after(20):
            while not await docket.history("tick"):
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    return docket


async def test_schedules_are_listed_with_their_next_and_last_runs(scheduled: Docket, web: Caller) -> None:
    page = Read((await web.get("schedules")).text)
    for words in ("every 1 h", "automatic", "0 3 * * *", "Europe/Berlin", "no <clock>", "failed", "none yet"):
        assert words in page.said, words
    assert page.said.count("no worker") == 2
    document = (await web.get("schedules?format=json")).json
    assert {each["key"]: each["cron"] for each in document["schedules"]} == {
        "tick": None, "daily-berlin": "0 3 * * *",
    }  # fmt: skip
    assert "tick" not in Read((await web.get("schedules?contains=BERLIN")).text).said
    assert "Nothing here matches the filter." in (await web.get("schedules?task=nobody")).text
    assert (await web.get("schedules?after=%3F")).status == 400


async def test_a_schedule_runs_now_is_paused_and_is_cancelled(scheduled: Docket, web: Caller) -> None:
    form = {"key": ["tick", "daily-berlin"], "back": "schedules"}
    started = await web.post("run-now", {**form, "only": "daily-berlin"})
    assert started.headers["location"] == "schedules?done=started&n=1&what=task"
    assert [each.key for each in (await scheduled.executions("due")).executions] == ["daily-berlin"]
    await web.post("pause", {**form, "task": "tick"})  # the button of a row, beside rows that are checked
    assert [each.task for each in await scheduled.pauses()] == ["tick"]
    assert 'formaction="resume"' in (await web.get("schedules")).text
    await web.post("resume", {**form, "task": "tick"})
    assert not await scheduled.pauses()
    assert "Cancel 2 tasks?" in (await web.post("cancel", form)).text
    await web.post("cancel", {**form, "sure": "1"})
    for key in "tick", "daily-berlin":
        execution = await scheduled.get_execution(key)
        assert execution is None or execution.state is ExecutionState.CANCELLED
    left = Read((await web.get("schedules")).text).said
    assert "daily-berlin" not in left  # it has had no run, and will have none
    assert "cancelled" in left


async def test_who_may_only_look_gets_no_buttons(scheduled: Docket) -> None:
    web = Caller(Dashboard(scheduled, authorize=anybody, read_only=True))
    for page in "schedules", "task?name=tick", "tasks":
        answer = await web.get(page)
        assert "tick" in answer.text
        assert 'method="post"' not in answer.text, page
        assert "formaction" not in answer.text, page
    assert (await web.post("pause", {"task": "tick"})).status == 403


async def test_a_task_is_known_when_its_workers_are_gone(scheduled: Docket, web: Caller) -> None:
    listed = Read((await web.get("tasks")).text).said
    assert "Say that an hour is over." in listed
    assert "no worker" in listed
    one = Read((await web.get("task?name=flaky")).text).said
    assert "up to 4" in one
    assert "No live worker knows it" in one
    document = (await web.get("task?name=tick&format=json")).json
    assert document["task"]["last_hour"]["failed"] == 1
    assert [each["key"] for each in document["history"]] == ["tick"]
    names = [each["name"] for each in (await web.get("tasks?format=json")).json["tasks"]]
    assert {"daily", "flaky", "tick"} <= set(names)


async def test_a_task_that_nobody_knows_is_not_there(docket: Docket, web: Caller) -> None:
    await docket.pause("nobody", reason="until it is there")
    answer = await web.get("task?name=nobody")
    assert answer.status == 404
    assert "No worker has known a task of this name" in answer.text
    assert "until it is there" in answer.text
    assert 'action="resume"' in answer.text
