"""Every example runs as it is written, on both loops, and so do the tasks that it defines; the promises are apart."""

from __future__ import annotations

import importlib
from collections import Counter
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import testing
from tests.seeds.stage import NOW, Stage, staged, tasks_defined_by
from tests.seeds.standins import File
from tests.seeds.texts import Example, examples

pytestmark = pytest.mark.anyio

#: What is given to tasks that a text defines and does not call.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "adaptive_rate_limiter": ("/orders",),
    "analyze_user_behavior": ("risk",),
    "bulk_update_users": (["u"] * 150, dict.fromkeys("abcde", ""), {"x", "y", "z"}),
    "complex_data_pipeline": ("d1",),
    "data_migration": ("db",),
    "download_data": ("https://example.com/data.csv",),
    "faily": (),
    "find_pending_orders": (),
    "monitor_concurrency_usage": (),
    "poll_for_changes": (File(),),
    "monitor_deployment": ("d1",),
    "my_first_task": (),
    "my_second_task": (),
    "process_batch": (1,),
    "process_global_data": ("prices",),
    "process_large_dataset": ("d1",),
    "process_payment": ("12345", "4111-1111"),
    "process_tenant_data": ("t1", "import"),
    "process_user_export": (1, "csv", "eu"),
    "resilient_sync": ("https://example.com",),
}

#: Functions that are no tasks: the texts call them.
CALLED = {"monitor_task_progress"}

#: Tasks that are about failing, and for how many of their runs; resilient_sync for every second.
FAILING = {"faily": 3, "fail": 2, "risky_operation": 1}

#: Examples that wait for a moment of the future, or for as long as they are let.
FOR_EVER = "readme: A worker that knows a collection"
LATER = {"readme: A worker that greets"}

EVERY = pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
TODAY = pytest.mark.parametrize(
    "example",
    [example for example in examples() if example.name not in LATER],
    ids=lambda example: example.name,
)


async def play(example: Example, stage: Stage, *, then: timedelta) -> None:
    """Perform an example while a worker is at work; then let time pass for what it left and for what it defined."""
    if example.name == FOR_EVER:
        await play_for_ever(example, stage)
        return
    async with stage.at_work():
        await stage.perform(example.name)
    placed = {task for task, _ in stage.ledger.placed_tasks}
    for task in [task for task in tasks_defined_by(example) if task in ARGUMENTS and task not in placed]:
        await stage.add(task, *ARGUMENTS[task])
    await stage.go_on(then)


async def play_for_ever(example: Example, stage: Stage) -> None:
    """The text's worker runs the collection until it is stopped."""
    collection = importlib.import_module("my_tasks").my_task_collection
    executions = [await stage.docket.add(task)() for task in collection]
    async with anyio.create_task_group() as group:
        group.start_soon(stage.perform, example.name)
        for execution in executions:
            await execution.get_result()
        group.cancel_scope.cancel()


def nothing_failed(stage: Stage) -> None:
    failed = Counter(run.task for run in stage.runs if run.ended != "succeeded")
    assert failed.pop("resilient_sync", 0) == len(stage.runs_of("resilient_sync")) // 2
    assert failed == {task: FAILING[task] for task in failed if task in FAILING}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@EVERY
def test_every_example_runs_and_so_do_its_tasks(
    example: Example, backend: str, memory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For so long that every perpetual task comes back."""
    until = timedelta(minutes=61 if "hours=1),\n        automatic" in example.code else 16)

    async def twice() -> None:
        async with staged(memory_url, monkeypatch) as stage:
            await play(example, stage, then=until)
            nothing_failed(stage)
            for task, perpetual in tasks_defined_by(example).items():
                if task not in CALLED and "tomorrow" not in example.code:
                    assert len(stage.runs_of(task)) >= (2 if perpetual else 1), task

    testing.run(twice, backend=backend)


@pytest.mark.chaos
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_at_full_length(backend: str, memory_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one example that is shortened elsewhere."""

    async def ten_thousand() -> None:
        async with staged(memory_url, monkeypatch) as stage:
            stage.names["range"] = range
            await stage.perform("results: Without state and results")
            await stage.go_on(NOW)
            assert sorted(stage.notes.args("send_notification")) == [(user_id,) for user_id in range(10_000)]
            assert len(stage.runs_of("send_notification")) == 10_000

    testing.run(ten_thousand, backend=backend)


@TODAY
async def test_every_example_runs_on_a_real_server(
    example: Example, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due later stays on the docket."""
    async with staged(redis_url, monkeypatch) as stage:
        await play(example, stage, then=NOW)
        if example.name not in ("readme: Trying again", "readme: Trying again with growing pauses"):
            nothing_failed(stage)
        for task in tasks_defined_by(example).keys() - CALLED:
            assert stage.runs_of(task) or await stage.waiting(task), task
