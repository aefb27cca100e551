"""What workers keep of ended runs, and what programs read of that."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, FairShare, Perpetual, Retry, Worker
from docket.errors import DeliveryUnreadable
from docket.store import Unreadable
from docket.worker.reports import ledger
from docket.worker.reports.ledger import Ledger, Noted, in_batches, task_ends
from tests.durations import ms
from tests.proxy import Proxy
from tests.where import asyncio_and_trio, few_pairs, one_loop, slow
from tests.worker.conftest import at_most

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

NOON = datetime(2026, 11, 28, 12, 0, 30, tzinfo=UTC)


async def fine(n: int = 0) -> None: ...


async def failing() -> None:
    raise ValueError("a\tb")


async def flaky(retry: Retry = Retry(attempts=2)) -> None:
    raise KeyError("x")


async def tick(again: Perpetual = Perpetual(every=ms(1))) -> None:
    again.cancel()


async def work(docket: Docket) -> None:
    for task in fine, failing, flaky, tick:
        docket.register(task)
    async with at_most():
        await Worker(docket, "w").run_until_finished()


@pytest.fixture
async def full(docket: Docket) -> Docket:
    """A docket on which runs have ended in every way."""
    for key in "a", "b", "c":
        await docket.add(fine, key=key)()
    await docket.add(failing, key="f")()
    await docket.add(flaky, key="r")()
    await docket.add(tick, key="t")()
    await work(docket)
    return docket


async def test_every_end_of_a_run_is_in_the_history(full: Docket) -> None:
    ends = [(one.key, one.function, one.state, one.attempt, one.error) for one in await full.history()]
    assert sorted(ends) == [
        ("a", "fine", "completed", 1, None),
        ("b", "fine", "completed", 1, None),
        ("c", "fine", "completed", 1, None),
        ("f", "failing", "failed", 1, "ValueError: a\tb"),
        ("r", "flaky", "failed", 2, "KeyError: 'x'"),
        ("r", "flaky", "retried", 1, "KeyError: 'x'"),
        ("t", "tick", "completed", 1, None),
    ]


class Declined(Exception):
    """There may be others of this name."""


async def test_an_error_is_named_by_its_class_with_the_module(docket: Docket) -> None:
    async def charge(retry: Retry = Retry(attempts=2)) -> None:
        raise Declined("Declined: no cover")

    docket.register(charge)
    await docket.add(charge, key="k")()
    await work(docket)
    assert {one.state: one.error for one in await docket.history(charge)} == dict.fromkeys(
        ("failed", "retried"), "tests.worker.test_ledger.Declined: Declined: no cover"
    )
    (failure,) = await docket.failures()
    assert failure.type == "tests.worker.test_ledger.Declined"


async def test_the_history_can_be_asked_for_a_part(full: Docket) -> None:
    async def keys(*task: Any, **filters: Any) -> list[str]:
        return [one.key for one in await full.history(*task, **filters)]

    assert sorted(await keys(fine)) == ["a", "b", "c"]
    assert await keys("failing") == ["f"]
    assert await keys("unknown") == []
    assert await keys(key="r") == ["r", "r"]
    assert sorted(await keys(state="failed")) == ["f", "r"]
    now = datetime.now(UTC)
    assert await keys(since=now + timedelta(minutes=1)) == []
    assert await keys(until=now - timedelta(minutes=1)) == []
    pages = list[str]()
    last = None
    while page := await full.history(limit=2, before=last):
        pages += [one.key for one in page]
        last = page[-1]
    assert pages == await keys()


async def test_minutes_and_hours_are_counted_for_each_task_and_for_all(full: Docket) -> None:
    for per in "minute", "hour":
        seen = await full.throughput(per=per)  # type: ignore[arg-type]
        assert [sum(one.completed for one in seen), sum(one.failed for one in seen)] == [4, 2]
        assert sum(one.retried for one in seen) == 1
        assert sum(one.completed for one in await full.throughput(fine, per=per)) == 3  # type: ignore[arg-type]
    assert max(one.percentile(0.95) for one in await full.throughput()) < timedelta(seconds=1)
    assert sum(one.ended for one in await full.throughput("unknown")) == 0


async def test_the_busiest_tasks_of_the_last_hour_come_first(full: Docket) -> None:
    busiest = await full.busiest()
    assert {task: sum(one.ended for one in minutes) for task, minutes in busiest.items()} == {
        "fine": 3, "flaky": 2, "failing": 1, "tick": 1,
    }  # fmt: skip
    assert list(busiest) == ["fine", "flaky", "failing", "tick"]
    assert busiest["flaky"] == await full.throughput("flaky")
    assert list(await full.busiest(limit=1)) == ["fine"]
    for wrong in 0, 101, "all":
        with pytest.raises((ValueError, TypeError)):
            await full.busiest(limit=wrong)  # type: ignore[arg-type]


@one_loop
async def test_which_tasks_are_the_busiest_is_told_by_some_ten_commands(redis_url: str) -> None:
    """However many there are: that is for a page that is read every two seconds."""
    async with Docket("d", redis_url) as docket:
        kept = Ledger(docket.store.ledger, "w")
        why = DeliveryUnreadable("why")
        for task in [*range(500), 77]:
            kept.note_dead(Unreadable(message_id=b"1-0", key="k", reason=why, task=f"f{task}"))
        await kept.write_last()
        await docket.client.call("CONFIG", "RESETSTAT")
        assert next(iter(await docket.busiest())) == "f77"
        stats = await docket.client.info("commandstats")
        assert sum(each["calls"] for name, each in stats.items() if name != "cmdstat_config|resetstat") <= 14


async def test_the_depths_are_noted(full: Docket) -> None:
    assert len(await full.depths()) >= 1


@few_pairs
@pytest.mark.parametrize(
    "asked",
    [
        {"limit": 0},
        {"limit": 1001},
        {"state": "gone"},
        {"since": datetime(2026, 1, 1)},
        {"key": 1},
        {"task": 5},
        {"task": ""},
    ],
)
async def test_a_history_that_cannot_be_is_refused(docket: Docket, asked: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        await docket.history(**asked)


@few_pairs
async def test_durations_that_are_not_counted_are_refused(docket: Docket) -> None:
    hours, days = timedelta(hours=25), timedelta(days=32)
    for wrong in {"since": hours}, {"since": days, "per": "hour"}, {"per": "day"}, {"task": 5}, {"task": ""}:
        with pytest.raises((ValueError, TypeError)):
            await docket.throughput(**wrong)  # type: ignore[arg-type]


@few_pairs
@pytest.mark.parametrize(
    ("settings", "rows", "figures"), [({"history_ttl": timedelta(0)}, 0, 0), ({"history_kept": 0}, 0, 1)]
)
async def test_zero_switches_it_off(
    url: str, anyio_backend: Any, settings: dict[str, Any], rows: int, figures: int
) -> None:
    async with Docket("off", url, **settings) as docket:
        await docket.add(fine)()
        await work(docket)
        assert len(await docket.history()) == rows
        assert sum(one.completed for one in await docket.throughput()) == figures
        if not figures:
            described = {b"off:ops:seen", b"off:ops:tasks", b"off:ops:recurrences"}
            assert not {name async for name in docket.client.scan_iter("off:ops:*")} - described


async def test_rows_come_in_time_while_the_worker_runs_on(docket: Docket) -> None:
    docket.register(fine)
    async with at_most(), anyio.create_task_group() as group:
        worker = Worker(docket, "w")
        group.start_soon(worker.run_forever)
        await docket.add(fine, key="k")()
        while not await docket.history():
            await anyio.sleep(0.05)
        worker.stop()


# the worker's side ----------------------------------------------------------------------------------------


@pytest.fixture
async def far(proxy: Proxy, anyio_backend: Any) -> AsyncGenerator[Docket]:
    async with Docket("far", proxy.url) as docket:
        yield docket


def noted(count: int, state: str = "completed", task: str = "f", at: datetime = NOON) -> list[Noted]:
    return [
        (task, state, 0.01 * n, at, at - timedelta(seconds=1), f"{state}{n}", 1, 1, None, "")
        for n in range(count)
    ]


@one_loop
def test_of_a_busy_task_the_first_and_the_last_runs_of_each_state_have_rows() -> None:
    task, everything = task_ends([*noted(50), *noted(3, "failed")], "w", 0.0, rows=True)
    keys = [row.split("\t")[8] for row in task.rows]
    completed = [key for key in keys if key.startswith("completed")]
    assert completed == [f"completed{n}" for n in (*range(10), *range(40, 50))]
    assert len(keys) == 23
    assert [row.split("\t")[6] for row in task.rows if row.split("\t")[6] != "0"] == ["30"]
    (counts,) = everything.counts.values()
    assert counts.states == [50, 3, 0, 0]
    assert sum(counts.parts) == 53
    assert counts.late == pytest.approx(53)


@one_loop
def test_runs_count_for_the_minute_in_which_they_ended() -> None:
    (task, _) = task_ends([*noted(1), *noted(2, at=NOON + timedelta(seconds=31))], "w", 0.0, rows=True)
    minute = int(NOON.timestamp()) // 60
    assert {at - minute: counts.states[0] for at, counts in task.counts.items()} == {0: 1, 1: 2}


@one_loop
def test_what_is_written_at_once_is_bounded() -> None:
    ends = task_ends([one for n in range(45) for one in noted(30, task=f"f{n}")], "w", 0.0, rows=True)
    batches = list(in_batches(ends))
    assert [len(batch) for batch in batches] == [20, 20, 6]
    assert all(sum(len(task.rows) for task in batch) <= 400 for batch in batches)


@slow
async def test_rows_wait_while_redis_is_away_and_nothing_counts_twice(
    far: Docket, proxy: Proxy, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "WAIT_SECONDS", 0.05)
    async with Docket("far", redis_url) as near, at_most(), anyio.create_task_group() as group:
        far.register(fine)
        worker = Worker(far, "w", reconnection_delay=ms(50))
        group.start_soon(worker.run_forever)
        for n in range(5):
            await near.add(fine, key=f"{n}")()
            if n == 2:
                proxy.cut()
        while len(await near.history()) < 5:
            await anyio.sleep(0.05)
        worker.stop()
        assert sum(one.completed for one in await near.throughput()) == 5


@slow
async def test_a_server_that_refuses_switches_it_off_with_one_warning(
    redis_url: str, caplog: pytest.LogCaptureFixture, anyio_backend: Any
) -> None:
    async with Docket("d", redis_url) as docket:
        await docket.client.set(docket.keys.ended_tasks, "no sorted set")
        for _ in range(2):
            await docket.add(fine)()
            await work(docket)
        warnings = [one for one in caplog.records if one.levelno == logging.WARNING]
        assert [one.getMessage().partition(":")[0] for one in warnings] == [
            "Worker 'w' keeps no history of its runs from now on"
        ] * 2  # one for each worker
        assert (await docket.counts()).due == 0


@one_loop
@few_pairs
async def test_a_misused_key_of_one_task_costs_its_history_alone(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    async def other() -> None: ...

    docket.register(fine)
    docket.register(other)
    name = docket.keys.history("fine")
    await docket.client.set(name, "mine")
    for _ in range(2):
        await docket.add_many([docket.call(task)() for task in (fine, other, fine)])
    await work(docket)
    assert len(await docket.history("other")) == 2
    assert sum(one.completed for one in await docket.throughput()) == 6
    (warning,) = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert warning.startswith(
        f"Worker 'w' cannot write all of the history of task 'fine': the key '{name}' holds"
    )


@one_loop
async def test_of_too_many_rows_the_oldest_go(anyio_backend: Any) -> None:
    async with Docket("m", "memory://ledger-bound") as docket:
        kept = Ledger(docket.store.ledger, "w")
        for _ in range(10_001):
            kept.note_dead(Unreadable(message_id=b"1-0", key="k", reason=DeliveryUnreadable("why"), task="f"))
        await kept.write_last()
        assert [one.failed for one in await docket.throughput(since=ms(1))][-1] == 10_000


async def test_a_row_says_at_which_level_and_with_whom_in_turns_a_run_has_waited(docket: Docket) -> None:
    async def shared(tenant: str, share: FairShare = FairShare("tenant")) -> None: ...

    await docket.add(fine, key="plain")()
    await docket.add(fine, key="low", priority="low")()
    await docket.add(shared, key="in turns", priority="high")("acme corp")
    await docket.add(shared, key="normal")("a\tb")
    async with at_most():
        await Worker(docket, "w").run_until_finished()
    said = {one.key: (one.priority.value, one.took_turns) for one in await docket.history()}
    assert said == {
        "plain": ("normal", None),
        "low": ("low", None),
        "in turns": ("high", "tenant:acme corp"),
        "normal": ("normal", "tenant:a\tb"),
    }
