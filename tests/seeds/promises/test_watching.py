"""What the texts say of their examples about logs, state, progress and results comes true."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, Execution, clock
from docket.execution import ExecutionState
from tests.seeds.stage import NOW, PHASES, Stage

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)


# Logs.


async def test_only_arguments_that_may_be_shown_are_shown(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await stage.perform("logging: Which arguments are shown")
    task = stage.names["process_payment"]
    await stage.docket.add(task, key="k")("12345", credit_card="4111", amount=150.0, trace_id="abc-123")
    await stage.go_on(NOW)
    shown = "process_payment('12345', credit_card=..., amount=150.0, trace_id='abc-123'){k}"
    assert [
        line.split("] ")[1] for line in caplog.messages if "process_payment" in line and "] " in line
    ] == [
        shown,
        shown,
    ]
    assert "4111" not in caplog.text


async def test_of_collections_only_the_length_is_shown(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await stage.perform("logging: Only the length is shown")
    await stage.docket.add(stage.names["bulk_update_users"], key="k")(
        ["u"] * 150, metadata=dict.fromkeys("abcde", ""), options={"x", "y", "z"}
    )
    await stage.go_on(NOW)
    shown = "bulk_update_users([len 150], metadata={len 5}, options={len 3}){k}"
    assert sum(line.endswith(shown) for line in caplog.messages) == 2


@pytest.mark.parametrize("fails", [False, True])
async def test_a_task_logs_with_its_name_and_key(
    stage: Stage, caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    caplog.set_level(logging.INFO)

    async def refuse(_: str) -> None:
        raise LookupError("no such data")

    await stage.perform("logging: A logger for the task")
    if fails:
        stage.names["transform_data"] = refuse
    await stage.docket.add(stage.names["complex_data_pipeline"], key="k")("d1")
    await stage.go_on(MINUTE)
    logged = [record for record in caplog.records if record.name.startswith("docket.task.")]
    rest = ["Pipeline failed"] if fails else ["Data transformation completed", "Data loading completed"]
    assert [record.message for record in logged] == [
        "Starting data pipeline",
        "Data extraction completed",
        *rest,
    ]
    assert vars(logged[-1]).get("error") == ("no such data" if fails else None)
    assert {record.name for record in logged} == {"docket.task.complex_data_pipeline"}
    assert [run.ended for run in stage.runs] == ["failed" if fails else "succeeded"]


async def test_docket_brings_tasks_that_trace_and_fail(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await stage.perform("logging: Tasks that docket brings along")
    await stage.go_on(NOW)
    assert sorted((run.task, run.ended) for run in stage.runs) == [
        ("fail", "failed"),
        ("fail", "failed"),  # it tries again once
        ("trace", "succeeded"),
        ("trace", "succeeded"),
    ]
    for told in "System startup completed", "Processing batch 123", "Testing error notification system":
        assert told in caplog.text


# State and progress.


@pytest.mark.parametrize("worked", [False, True])
async def test_the_state_is_that_of_the_last_look(
    stage: Stage, worked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "progress: Asking for the state"
    if worked:
        async with stage.at_work():
            await stage.perform(name)
    else:
        await stage.perform(name)
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "State: ExecutionState.QUEUED"
    assert second in {
        f"State: ExecutionState.{state}" for state in (["RUNNING", "QUEUED"] if worked else ["QUEUED"])
    }
    await stage.go_on(NOW)
    execution: Execution[Any] = stage.names["execution"]
    async with execution.docket:  # the text has left it
        await execution.sync()
    assert execution.state is ExecutionState.COMPLETED
    assert stage.notes.args("process_order") == [(12345, "", 0, "medium")]


async def test_an_import_is_followed_to_its_end(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    async with stage.at_work():
        await stage.perform("progress: Following it")
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "State changed to: ExecutionState.RUNNING"
    assert told[-2:] == [
        "Progress: 4/4 (100.0%) - Import complete",
        "State changed to: ExecutionState.COMPLETED",
    ]
    imported = [f"Progress: {n}/4 ({25 * n}.0%) - Imported record {n}/4" for n in (1, 2, 3, 4)]
    assert [line for line in told if line in imported] == imported
    names = [("Ann",), ("Bob",), ("Cid",), ("Dan",)]
    assert sorted(stage.notes.args("import_record")) == sorted(names * 2)  # another import runs beside it


async def followed(stage: Stage, task: str, *args: Any) -> list[tuple[int | None, int, str | None]]:
    """What a run reports: current, total, message."""
    execution = await stage.add(task, *args)
    reports: list[tuple[int | None, int, str | None]] = []

    async def follow(ready: anyio.Event) -> None:
        async for event in execution.progress.subscribe(ready=ready):
            reports.append((event["current"], event["total"], event["message"]))

    async with anyio.create_task_group() as group:
        ready = anyio.Event()
        group.start_soon(follow, ready)
        await ready.wait()
        await stage.go_on(timedelta(hours=1))
    return reports


async def test_each_item_is_a_step(stage: Stage) -> None:
    await stage.perform("progress: One step after the other")
    steps = await followed(stage, "process_batch", 1)
    assert [(current, total) for current, total, _ in steps][-4:] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert stage.notes.args("process_item") == [("a",), ("b",), ("c",)]


async def test_a_hundred_records_are_a_step_and_so_is_the_rest(stage: Stage) -> None:
    await stage.perform("progress: A hundred steps at once")
    steps = await followed(stage, "process_large_dataset", "d1")
    assert steps[-5:] == [
        (100, 250, None),
        (100, 250, "Processed 100 records"),
        (200, 250, "Processed 100 records"),
        (200, 250, "Processed 200 records"),
        (250, 250, "Processed 200 records"),
    ]
    assert len(stage.notes.of("process_record")) == 250


async def test_four_phases_make_one_whole(stage: Stage) -> None:
    await stage.perform("progress: Phases with progress of their own")
    steps = await followed(stage, "data_migration", "db")
    messages = [f"Phase: {name}" for name in ("extract", "transform", "load", "verify")]
    assert [step for step in steps if step[2]] == [
        (100 * number + done, 400, message)
        for number, message in enumerate(messages)
        for done in (0, 30, 100)
    ]
    assert [note.name for note in stage.notes.all] == [phase for phase in PHASES for _ in (30, 100)]


# Results.


@pytest.mark.parametrize(
    ("example", "told"),
    [
        ("A task that returns something", "Mean: 124.5, Count: 250"),
        ("Waiting for the result", "Retrieved 3 records"),
        ("A task that raises", "Validation failed: Invalid data provided"),
        ("The result of one for the next", "Statistics: {'count': 3, 'sum': 6}"),
    ],
)
async def test_results_and_errors_come_to_who_waits(
    stage: Stage, example: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with stage.at_work():
        await stage.perform(f"results: {example}")
    assert capsys.readouterr().out == f"{told}\n"


async def test_who_does_not_wait_long_enough_is_told(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is at work."""
    stage.names["execution"] = await stage.docket.add(stage.names["fetch_external_data"])("")
    began = clock.now()
    await stage.perform("results: Waiting so long and no longer", alone=True)
    assert round((clock.now() - began) / timedelta(seconds=1)) == 30 + 5 * 60
    assert capsys.readouterr().out.splitlines() == [
        "Task didn't complete in 30 seconds",
        "Task didn't complete by deadline",
    ]


async def test_who_waits_long_enough_has_the_result_twice(stage: Stage) -> None:
    async with stage.at_work():
        await stage.perform("results: Waiting so long and no longer")
    assert stage.names["result"] == ["one", "two", "three"]


async def test_without_state_everything_runs_and_nothing_is_left(stage: Stage) -> None:
    await stage.perform("results: Without state and results")
    await stage.go_on(NOW)
    assert sorted(stage.notes.args("send_notification")) == [(user_id,) for user_id in range(100)]
    docket: Docket = stage.names["docket"]
    assert (docket.name, docket.execution_ttl) == ("high-throughput", timedelta(0))
    async with docket, docket.redis() as redis:
        assert await redis.keys("high-throughput:runs:*") == []
        assert await redis.keys("high-throughput:results:*") == []
