"""Workers of both kinds on one docket: sharing the work, taking over from the dead, and what they must not lose."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

import pytest

from tests.where import one_loop

from .sides import RemoteDocket, from_now
from .table import Table, start_ours, start_pydocket

pytestmark = pytest.mark.anyio

TASKS = 2000
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


async def test_a_mixed_fleet_runs_each_of_two_thousand_tasks_exactly_once(table: Table) -> None:
    first = await table.ours.add_many("tally", [[n] for n in range(TASKS // 2)])
    later = await table.pydocket.add_many(
        "tally", [[n] for n in range(TASKS // 2, TASKS)], when=from_now(0.3)
    )
    assert len({*first, *later}) == TASKS
    await table.pydocket.start_worker("theirs", concurrency=20)
    await table.ours.drain("ours", concurrency=20)
    await table.pydocket.stop_worker("theirs")
    assert table.runs() == {str(n).encode(): b"1" for n in range(TASKS)}
    shares = table.redis.hgetall(f"tally-workers:{table.name}")
    assert set(shares) == {b"ours", b"theirs"}, shares
    table.assert_left_clean()


async def test_the_tasks_of_a_killed_pydocket_worker_are_taken_over_by_ours(
    table: Table, pydocket_python: str
) -> None:
    with closing(start_pydocket(pydocket_python)) as program:
        victim = RemoteDocket(program, table.name, table.url)
        await victim.start_worker("victim", redelivery_timeout=0.5)
        await table.ours.add("hold", key="k")
        assert await table.begun("k") == "victim"
        program.kill()
    table.release()
    await table.ours.drain("heir", redelivery_timeout=0.5)
    assert await table.pydocket.outcome("k") == {"result": "heir"}
    assert (await table.ours.execution("k"))["worker"] == "heir"
    table.assert_left_clean()


@one_loop  # the one that is killed runs on asyncio anyway
async def test_the_tasks_of_our_killed_worker_are_taken_over_by_pydocket(table: Table) -> None:
    with closing(start_ours()) as program:
        victim = RemoteDocket(program, table.name, table.url)
        await victim.start_worker("victim", redelivery_timeout=0.5)
        await table.pydocket.add("hold", key="k")
        assert await table.begun("k") == "victim"
        program.kill()
    table.release()
    await table.pydocket.drain("heir", redelivery_timeout=0.5)
    assert await table.ours.outcome("k") == {"result": "heir"}
    assert (await table.pydocket.execution("k"))["worker"] == "heir"
    table.assert_left_clean()


@pytest.mark.parametrize(("holder", "waiter"), [("ours", "pydocket"), ("pydocket", "ours")])
async def test_a_lease_that_is_renewed_is_respected_by_the_other_side(
    table: Table, holder: str, waiter: str
) -> None:
    await table.side(holder).start_worker("holder", redelivery_timeout=0.4)
    await table.side(waiter).add("hold", key="k")
    assert await table.begun("k") == "holder"
    await table.side(waiter).start_worker("waiter", redelivery_timeout=0.4)
    # Three times the redelivery timeout: without renewals somebody would have taken it over by now.
    await table.side(waiter).add("echo", "late", key="late", when=from_now(1.2))
    assert await table.side(waiter).outcome("late") == {"result": "late"}
    assert table.redis.llen(f"began:{table.name}:k") == 0
    table.release()
    assert await table.side(waiter).outcome("k") == {"result": "holder"}
    await table.side(holder).stop_worker("holder")
    await table.side(waiter).stop_worker("waiter")
    table.assert_left_clean()


@pytest.mark.parametrize(("leaver", "stayer"), [("ours", "pydocket"), ("pydocket", "ours")])
async def test_a_worker_that_leaves_finishes_what_it_has_and_leaves_the_rest_to_the_other(
    table: Table, leaver: str, stayer: str
) -> None:
    await table.side(leaver).start_worker("leaver", concurrency=1)
    await table.side(leaver).add("hold", key="held")
    await table.begun("held")
    await table.side(leaver).add("tally", 1, key="waiting")
    table.release()
    await table.side(leaver).stop_worker("leaver")
    assert await table.side(stayer).outcome("held") == {"result": "leaver"}
    await table.side(stayer).drain("stayer")
    assert await table.side(stayer).outcome("waiting") == {"result": "waiting"}
    assert table.runs() == {b"1": b"1"}
    table.assert_left_clean()


async def test_a_worker_of_ours_that_drains_is_for_pydocket_one_that_lives_until_it_has_left(
    table: Table,
) -> None:
    for name in "ours", "theirs":
        await table.side("ours" if name == "ours" else "pydocket").start_worker(name, concurrency=1)
    await table.ours.add("hold", key="a")
    await table.pydocket.add("hold", key="b")
    assert {await table.begun("a"), await table.begun("b")} == {"ours", "theirs"}
    await table.ours.drains("ours")
    listed = await table.pydocket.list_workers("hold")
    assert listed.keys() == {"ours", "theirs"}
    assert listed["ours"][0] == listed["theirs"][0]
    assert [worker.draining for worker in await table.ours.docket.workers() if worker.name == "theirs"] == [
        False
    ]
    table.release()
    await table.ours.stop_worker("ours")
    assert (await table.pydocket.list_workers("hold")).keys() == {"theirs"}
    assert await table.pydocket.outcome("a") == await table.ours.outcome("a")
    await table.pydocket.stop_worker("theirs")
    table.assert_left_clean()


@pytest.mark.parametrize(("first", "second"), [("ours", "pydocket"), ("pydocket", "ours")])
async def test_a_perpetual_task_goes_on_with_the_other_side_until_the_first_cancels_it(
    table: Table, first: str, second: str
) -> None:
    await table.side(first).start_worker("first")
    await table.side(first).add("tick", key="tick")
    await table.ticks("first", 2)
    await table.side(first).stop_worker("first")
    assert (await table.side(second).snapshot())["total"] == 1
    await table.side(second).start_worker("second")
    await table.ticks("second", 2)
    await table.reaches("tick", "scheduled")  # pydocket does not stop what it hears of while a run ends
    await table.side(first).cancel("tick")
    assert (await table.side(second).execution("tick"))["state"] == "cancelled"
    await table.side(second).stop_worker("second")
    table.assert_left_clean()


async def test_ours_starts_what_pydocket_adds_for_later_on_time_once_it_knows_that_the_docket_is_shared(
    table: Table,
) -> None:
    """pydocket's clients wake nobody: the first such task is found by the heartbeat (0.2 s here), then ours looks
    every ``scheduling_resolution`` (0.05 s here)."""
    await table.ours.start_worker("ours")
    await table.pydocket.add("echo", 1, key="first", when=from_now(0.1))
    assert await table.ours.outcome("first") == {"result": 1}
    lateness = []
    for n in range(5):
        moment = from_now(0.1)
        await table.pydocket.add("echo", n, key=f"next-{n}", when=moment)
        assert await table.ours.outcome(f"next-{n}") == {"result": n}
        started = table.redis.hget(f"{table.name}:runs:next-{n}", "started_at").decode()
        lateness.append(seconds_between(moment, started))
    assert sorted(lateness)[2] < 0.1, lateness
    await table.ours.stop_worker("ours")


async def test_trace_context_and_foreign_fields_survive_our_scheduler(table: Table) -> None:
    await table.pydocket.add("echo", key="k", when=from_now(0.3))
    extra = {b"traceparent": TRACEPARENT.encode(), b"baggage": b"a=1", b"of a later version": b"\xff"}
    table.redis.hset(f"{table.name}:k", mapping=extra)
    await table.ours.start_worker("ours", concurrency=1)
    await table.ours.add("hold", key="busy")
    await table.begun("busy")
    await table.reaches("k", "queued")
    entries = [fields for _, fields in table.redis.xrange(f"{table.name}:stream") if fields[b"key"] == b"k"]
    assert [{name: fields.get(name) for name in extra} for fields in entries] == [extra]
    table.release()
    await table.pydocket.drain("theirs")
    assert await table.ours.outcome("k") == {"result": None}
    await table.ours.stop_worker("ours")


async def test_foreign_fields_survive_a_retry_that_ours_writes(table: Table) -> None:
    await table.pydocket.add("patient", key="k", when=from_now(0.2))
    table.redis.hset(f"{table.name}:k", "traceparent", TRACEPARENT)
    await table.ours.start_worker("ours")
    await table.reaches("k", "2", field="generation")
    await table.ours.stop_worker("ours")
    parked = table.redis.hgetall(f"{table.name}:k")
    assert (parked[b"traceparent"], parked[b"attempt"], parked[b"generation"]) == (
        TRACEPARENT.encode(),
        b"2",
        b"2",
    )
    assert (await table.pydocket.snapshot())["future"] == ["k"]
