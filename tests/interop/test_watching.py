"""What one side sees of the other: events, snapshots, workers."""

from __future__ import annotations

from typing import Any

import pytest

from .sides import Side, from_now
from .table import Table
from .tasks import TASKS

pytestmark = pytest.mark.anyio

NAMES = sorted(task.__name__ for task in TASKS)
both_ways = pytest.mark.parametrize(
    ("watcher", "worker"),
    [("pydocket", "ours"), ("ours", "pydocket")],
    ids=["pydocket-watches", "ours-watches"],
)


async def states(side: Side, key: str) -> list[Any]:
    return [event for event in await side.events(key) if event["type"] == "state"]


@both_ways
@pytest.mark.parametrize("adder", ["pydocket", "ours"])
async def test_every_change_of_a_future_task_is_seen_by_the_other_side(
    table: Table, watcher: str, worker: str, adder: str
) -> None:
    await table.side(adder).add("echo", 1, key="k", when=from_now(0.3))
    await table.side(watcher).subscribe("k")
    await table.side(worker).drain("w")
    seen = await states(table.side(watcher), "k")
    assert [event["state"] for event in seen] == ["scheduled", "queued", "running", "completed"]
    scheduled, queued, running, completed = seen
    assert {event["key"] for event in seen} == {"k"}
    assert queued["when"] == scheduled["when"]
    assert running["worker"] == "w"
    assert running["started_at"] < completed["completed_at"]


@both_ways
async def test_a_failure_is_seen_with_its_error(table: Table, watcher: str, worker: str) -> None:
    await table.side(watcher).add("fail", 'say "no"\nü', key="k", when=from_now(0.2))
    await table.side(watcher).subscribe("k")
    await table.side(worker).drain("w")
    last = (await states(table.side(watcher), "k"))[-1]
    assert (last["state"], last["error"]) == ("failed", 'ValueError: say "no"\nü')


@both_ways
async def test_a_key_that_needs_escaping_is_seen(table: Table, watcher: str, worker: str) -> None:
    key = 'a "quoted" \\ key\n\twith ünïcode and \x01'
    await table.side(watcher).add("echo", 1, key=key, when=from_now(0.2))
    await table.side(watcher).subscribe(key)
    await table.side(worker).drain("w")
    seen = await states(table.side(watcher), key)
    assert [event["state"] for event in seen][-2:] == ["running", "completed"]
    assert {event["key"] for event in seen} == {key}


@both_ways
async def test_every_retry_is_seen(table: Table, watcher: str, worker: str) -> None:
    await table.side(watcher).add("flaky", key="k", when=from_now(0.2))
    await table.side(watcher).subscribe("k")
    await table.side(worker).drain("w")
    seen = [event["state"] for event in await states(table.side(watcher), "k")]
    assert seen.count("running") == 3
    assert seen[-1] == "completed"


async def test_a_snapshot_is_the_same_on_both_sides(table: Table) -> None:
    await table.ours.start_worker("our worker", concurrency=1)
    await table.ours.add("hold", key="held by ours")
    assert await table.begun("held by ours") == "our worker"
    await table.pydocket.start_worker("their worker", concurrency=1)
    await table.pydocket.add("hold", key="held by theirs")
    assert await table.begun("held by theirs") == "their worker"
    await table.ours.add("echo", key="our later", when=from_now(60))
    await table.pydocket.add("echo", key="their later", when=from_now(60))
    await table.ours.add("echo", key="our next")
    await table.pydocket.add("echo", key="their next")
    expected = {
        "total": 6,
        "future": ["our later", "our next", "their later", "their next"],
        "running": [["held by ours", "our worker"], ["held by theirs", "their worker"]],
        "workers": ["our worker", "their worker"],
    }
    assert await table.ours.snapshot() == expected
    assert await table.pydocket.snapshot() == expected
    table.release()
    await table.ours.cancel("our later")
    await table.pydocket.cancel("their later")
    await table.ours.stop_worker("our worker")
    await table.pydocket.stop_worker("their worker")


async def test_workers_of_both_kinds_see_each_other_and_leave_the_list_when_they_stop(table: Table) -> None:
    await table.ours.start_worker("our worker")
    await table.pydocket.start_worker("their worker")
    for side in (table.ours, table.pydocket):
        for listed in (await side.list_workers(), await side.list_workers("tally")):
            assert set(listed) == {"our worker", "their worker"}
            assert all(set(NAMES) <= set(tasks) for tasks, _ in listed.values())
            assert all(seconds < 1 for _, seconds in listed.values())
        assert await side.list_workers("no such task") == {}
    await table.ours.stop_worker("our worker")
    assert list(await table.pydocket.list_workers()) == ["their worker"]
    assert list(await table.pydocket.list_workers("echo")) == ["their worker"]
    await table.pydocket.stop_worker("their worker")
    assert await table.ours.list_workers() == {}
    assert await table.ours.list_workers("echo") == {}
