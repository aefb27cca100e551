"""heartbeat.lua: which workers live, and for which tasks."""

from __future__ import annotations

import math

import pytest

from docket.errors import KeyUnreadable
from docket.store.listing import Listing
from tests.store.conftest import FUTURE, Store, message

pytestmark = pytest.mark.anyio


async def test_a_beat_names_the_worker_and_its_tasks(store: Store) -> None:
    beat = await store.liveness.beat("w", ["f", "g"], tasks_too=True)
    assert (beat.first_due, beat.seen) == (None, None)
    memory = store.client.is_memory
    everything = await store.everything()
    seen = everything["d:workers"]["w"]  # type: ignore[index]
    assert seen == beat.at
    assert seen == math.inf if memory else seen > 1_000_000_000
    ends = "" if memory else " (expires)"
    assert everything == {
        "d:workers": {"w": seen},
        "d:task-workers:f" + ends: {"w": seen},
        "d:task-workers:g" + ends: {"w": seen},
        "d:worker-tasks:w" + ends: ["f", "g"],
    }


async def test_the_tasks_may_be_left_out(store: Store) -> None:
    await store.liveness.beat("w", ["f"], tasks_too=False)
    assert set(await store.everything()) == {"d:workers"}


async def test_dead_workers_are_pruned(store: Store) -> None:
    for name in "d:workers", "d:task-workers:f":
        await store.client.zadd(name, {"dead": 1_000_000_000})
    await store.liveness.beat("w", ["f"], tasks_too=True)
    everything = await store.everything()
    assert list(everything["d:workers"]) == ["w"]  # type: ignore[call-overload]
    names = "d:task-workers:f" if store.client.is_memory else "d:task-workers:f (expires)"
    assert list(everything[names]) == ["w"]  # type: ignore[call-overload]


async def test_a_beat_tells_when_the_first_task_is_due(store: Store) -> None:
    await store.schedule.place(message("k", FUTURE), replace=False)
    assert (await store.liveness.beat("w", [], tasks_too=False)).first_due == FUTURE.timestamp()
    await store.schedule.place(message("stream", FUTURE.replace(year=2060)), replace=False)
    earlier = FUTURE.replace(year=2060)
    assert (await store.liveness.beat("w", [], tasks_too=False)).first_due == earlier.timestamp()


async def test_a_beat_finds_the_one_before(store: Store) -> None:
    first = await store.liveness.beat("w", [], tasks_too=False)
    assert (await store.liveness.beat("w", [], tasks_too=False)).seen == first.at


async def test_a_worker_leaves_without_a_trace(store: Store) -> None:
    await store.liveness.beat("w", ["f"], tasks_too=True)
    await store.liveness.leave("w", ["f"])
    assert await store.everything() == {}


async def test_the_live_workers_are_told(store: Store) -> None:
    await store.client.zadd("d:workers", {"dead": 1_000_000_000})
    await store.liveness.beat("w", ["f"], tasks_too=True)
    await store.liveness.beat("v", ["f", "g"], tasks_too=True)
    assert {(worker.name, *sorted(worker.tasks)) for worker in await store.liveness.workers()} == {
        ("v", "f", "g"),
        ("w", "f"),
    }
    assert [worker.name for worker in await store.liveness.workers("g")] == ["v"]
    assert await store.liveness.workers("h") == []


async def test_a_worker_may_know_thousands_of_tasks(store: Store) -> None:
    names = [f"task {n}" for n in range(9000)]
    await store.liveness.beat("w", names, tasks_too=True)
    (worker,) = await store.liveness.workers()
    assert worker.tasks == set(names)


async def test_which_part_of_the_fleet_knows_a_task_is_told_to_one_that_does_not(store: Store) -> None:
    for worker, tasks in {"v": ["f", "g"], "w": ["g"], "x": [], "y": []}.items():
        await store.liveness.beat(worker, tasks, tasks_too=True)
    await store.client.zadd("d:task-workers:f", {"dead": 1_000_000_000})
    shares = [await store.liveness.share_knowing(task, but="w") for task in ("f", "g", "h")]
    assert shares == [0.25, 0.25, 0.0]  # "w" has forgotten "g" since its last heartbeat


async def test_the_tasks_of_a_worker_of_one_task_end_by_themselves(store: Store) -> None:
    await store.liveness.beat("w", ["f"], tasks_too=True)
    ends = not store.client.is_memory  # there one beat lasts until the worker leaves
    for name in "d:worker-tasks:w", "d:task-workers:f":
        assert (await store.client.pttl(name) > 0) is ends


async def test_a_beat_names_the_lists_of_workers_that_are_none(store: Store) -> None:
    """I9: and goes on with the others."""
    await store.client.set("d:task-workers:f", "something else")
    beat = await store.liveness.beat("w", ["f", "g"], tasks_too=True)
    (problem,) = beat.problems
    assert "'d:task-workers:f' holds something else, where docket keeps a sorted set" in str(problem)
    assert [worker.name for worker in await store.liveness.workers("g")] == ["w"]


async def test_a_further_beat_is_two_commands_and_one_for_each_task_it_names(store: Store) -> None:
    first = await store.liveness.beat("w", ["f", "g"], tasks_too=True)
    await store.schedule.place(message("k", FUTURE), replace=False)
    before = await store.everything()
    for tasks in (), ("f", "g"):
        beat = await store.liveness.beat_again(
            "w", first.at if store.client.is_memory else first.at + 1.5, tasks
        )
        assert (beat.first_due, beat.was_forgotten, beat.problems) == (FUTURE.timestamp(), False, [])
    after = await store.everything()
    assert before.keys() == after.keys()
    assert after["d:workers"] == {"w": beat.at}
    assert [value for name, value in after.items() if "task-workers:" in name] == [{"w": beat.at}] * 2


async def test_a_further_beat_tells_that_the_server_has_forgotten_and_which_lists_are_none(
    store: Store,
) -> None:
    first = await store.liveness.beat("w", ["f"], tasks_too=True)
    await store.client.flushall()
    assert (await store.liveness.beat_again("w", first.at)).was_forgotten
    assert (await store.liveness.beat_again("w", first.at, ["f"])).was_forgotten
    await store.client.set("d:task-workers:g", "something else")
    beat = await store.liveness.beat_again("w", first.at, ["f", "g"])
    assert ["'d:task-workers:g' holds something else" in str(problem) for problem in beat.problems] == [True]
    await store.client.set("d:queue", "something else")
    with pytest.raises(KeyUnreadable, match="d:queue"):
        await store.liveness.beat_again("w", first.at)


@pytest.mark.pairs(("asyncio", "redis"))  # on memory:// a worker lives until it leaves
async def test_the_list_of_tasks_is_not_that_of_a_dead_process_of_the_same_name(store: Store) -> None:
    await store.liveness.beat("w", ["f", "of a former version"], tasks_too=True)
    await store.client.zadd("d:workers", {"w": 1_000_000_000})
    await store.liveness.beat("w", ["f"], tasks_too=True)
    await store.liveness.beat("w", ["g"], tasks_too=True)  # a namesake that lives may know others
    (worker,) = await store.liveness.workers()
    assert worker.tasks == {"f", "g"}


async def drain_of(store: Store) -> set[str]:
    """The workers that drain; as many are counted."""
    found = {worker.name for worker in await store.liveness.workers() if worker.draining}
    assert (await Listing(store.client, store.keys, store.liveness.expiry).counts()).draining == len(found)
    return found


async def test_a_worker_that_drains_is_told_from_the_others_until_it_has_left(store: Store) -> None:
    for name in "v", "w":
        await store.liveness.beat(name, ["f"], tasks_too=True)
    assert await drain_of(store) == set()
    at = (await store.liveness.beat("w", ["f"], tasks_too=False, drains=True)).at
    before = await store.everything()
    assert not (await store.liveness.beat_again("w", at, drains=True)).was_forgotten
    assert await store.everything() == before
    assert await drain_of(store) == {"w"}
    assert (await store.client.pttl("d:ops:draining") > 0) is not store.client.is_memory
    await store.liveness.leave("w", ["f"])
    assert "ops:draining" not in str(await store.everything())


@pytest.mark.pairs(("asyncio", "redis"))  # on memory:// a worker lives until it leaves
async def test_a_worker_that_was_killed_as_it_drained_is_gone_and_the_next_of_its_name_does_not_drain(
    store: Store,
) -> None:
    await store.liveness.beat("w", ["f"], tasks_too=True, drains=True)
    for name in "d:workers", "d:ops:draining":
        await store.client.zadd(name, {"w": 1_000_000_000})
    assert await drain_of(store) == set()
    await store.liveness.beat("w", ["f"], tasks_too=True, drains=True)
    await store.liveness.beat("w", ["f"], tasks_too=True)
    assert await drain_of(store) == set()


async def test_what_is_no_list_of_those_that_drain_costs_the_mark_alone(store: Store) -> None:
    """I9."""
    await store.client.set("d:ops:draining", "something else")
    at = (await store.liveness.beat("w", ["f"], tasks_too=True, drains=True)).at
    assert not (await store.liveness.beat_again("w", at, drains=True)).was_forgotten
    assert [worker.name for worker in await store.liveness.workers()] == ["w"]
    assert await drain_of(store) == set()
