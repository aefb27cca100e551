"""Durations and moments at the ends of what there is: refused where they are given, or carried and read back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from docket import (
    Agenda,
    Cooldown,
    Cron,
    Debounce,
    Docket,
    ExponentialRetry,
    Perpetual,
    RateLimit,
    Retry,
    Timeout,
    Worker,
)
from docket.dependencies import AdmissionBlocked, TaskOutcome
from docket.errors import BadSetting, UsageError
from docket.execution import Execution, ExecutionState, TaskCall
from docket.moments import LONGEST
from docket.rules import Reschedule
from docket.store import epoch
from tests.docket.conftest import add, later, nothing, work
from tests.where import one_loop, slow

pytestmark = [pytest.mark.anyio, one_loop, slow]

EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
TOO_LONG = [timedelta.max, LONGEST + timedelta(microseconds=1), timedelta(days=3_650_000)]


class Blocked:
    key = "k"


def of_worker(name: str) -> Callable[[timedelta], Any]:
    return lambda duration: Worker(Docket(url="memory://settings"), **{name: duration})  # type: ignore[arg-type]


OF_WORKERS = (
    "redelivery_timeout",
    "reconnection_delay",
    "minimum_check_interval",
    "scheduling_resolution",
    "shutdown_timeout",
    "unknown_task_patience",
)
OPTIONS: dict[str, Callable[[timedelta], Any]] = {
    "heartbeat_interval": lambda d: Docket(heartbeat_interval=d, missed_heartbeats=1),
    "execution_ttl": lambda d: Docket(execution_ttl=d),
    **{name: of_worker(name) for name in OF_WORKERS},
    "delay": lambda d: Retry(delay=d),
    "minimum_delay": lambda d: ExponentialRetry(minimum_delay=d, maximum_delay=d),
    "maximum_delay": lambda d: ExponentialRetry(maximum_delay=d),
    "maximum_age": lambda d: Retry(maximum_age=d),
    "Timeout": lambda d: Timeout(d),
    "extend": lambda d: Timeout(timedelta(1)).extend(d),
    "every": lambda d: Perpetual(every=d),
    "window": lambda d: Cooldown(d),
    "settle": lambda d: Debounce(d),
    "per": lambda d: RateLimit(1, per=d),
    "retry_delay": lambda d: AdmissionBlocked(Blocked(), retry_delay=d),
}
CALLS: dict[str, Callable[[timedelta], Any]] = {
    "Retry.after": lambda d: Retry().after(d),
    "Retry.in_": lambda d: Retry().in_(d),
    "Perpetual.after": lambda d: Perpetual().after(d),
    "Perpetual.every": lambda d: setattr(Perpetual(), "every", d),
}


@pytest.mark.parametrize("duration", TOO_LONG, ids=str)
@pytest.mark.parametrize("name", OPTIONS)
def test_a_duration_that_is_too_long_is_refused_by_name(name: str, duration: timedelta) -> None:
    with pytest.raises(UsageError, match=f"{name} takes a duration up to 36525 days") as raised:
        OPTIONS[name](duration)
    assert str(duration) in str(raised.value)


@pytest.mark.parametrize("duration", TOO_LONG, ids=str)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_so_is_one_that_a_task_asks_for(call: Callable[[timedelta], Any], duration: timedelta) -> None:
    with pytest.raises(UsageError, match="takes a duration up to 36525 days"):
        call(duration)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_longest_duration_is_taken(name: str) -> None:
    OPTIONS[name](LONGEST)


def test_a_worker_that_is_gone_is_noticed_within_a_hundred_years() -> None:
    for missed in 10**6, 10**30:
        with pytest.raises(BadSetting, match="missed_heartbeats"):
            Docket(heartbeat_interval=timedelta(days=1), missed_heartbeats=missed)


async def test_a_pause_that_was_computed_may_be_below_zero() -> None:
    assert AdmissionBlocked(Blocked(), retry_delay=timedelta(-1)).retry_delay == timedelta(0)
    with pytest.raises(TypeError, match="retry_delay takes a timedelta"):
        AdmissionBlocked(Blocked(), retry_delay=5)  # type: ignore[arg-type]


async def test_a_window_of_an_agenda_is_no_longer_than_that(docket: Docket) -> None:
    agenda = Agenda()
    agenda.add(nothing)()
    for over in timedelta.max, LONGEST + timedelta(1):
        with pytest.raises(UsageError, match="over takes a duration up to"):
            await agenda.scatter(docket, over=over)
        with pytest.raises(UsageError, match="jitter takes a duration up to"):
            await agenda.scatter(docket, over=timedelta(1), jitter=over)
    assert (await docket.snapshot()).total_tasks == 0


async def test_an_agenda_ends_within_the_calendar(docket: Docket) -> None:
    agenda = Agenda()
    for _ in range(3):
        agenda.add(nothing)()
    last = datetime.max.replace(tzinfo=UTC)
    with pytest.raises(UsageError, match="is beyond the last moment that there is"):
        await agenda.scatter(docket, over=timedelta(1), start=last - timedelta(hours=23))
    with pytest.raises(UsageError, match="has no date in UTC"):
        await agenda.scatter(docket, over=timedelta(1), start=datetime.max.replace(tzinfo=WEST))
    placed = await agenda.scatter(
        docket, over=timedelta(1), start=last - timedelta(1), jitter=timedelta(1), seed=1
    )
    assert all(last - timedelta(1) <= execution.when <= last for execution in placed)


async def test_many_calls_in_the_longest_window_are_spread_evenly(docket: Docket) -> None:
    agenda = Agenda()
    for _ in range(101):
        agenda.add(nothing)()
    start = later()
    placed = await agenda.scatter(docket, over=LONGEST, start=start)
    assert [execution.when - start for execution in placed] == [LONGEST * at / 100 for at in range(101)]


BEYOND = [datetime.max.replace(tzinfo=WEST), datetime.min.replace(tzinfo=EAST)]
EXTREMES = [
    datetime.max.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=EAST),
    datetime.min.replace(tzinfo=UTC),
    datetime.min.replace(tzinfo=WEST),
    datetime(9000, 1, 1, microsecond=1, tzinfo=EAST),
]


@pytest.mark.parametrize("when", BEYOND, ids=str)
async def test_a_moment_without_a_date_in_utc_is_refused(docket: Docket, when: datetime) -> None:
    for attempt in (
        lambda: docket.add(add, when=when),
        lambda: docket.replace(add, when, "k"),
        lambda: docket.call(add, when=when),
        lambda: Retry().at(when),
        lambda: Perpetual().at(when),
        lambda: Reschedule(when=when, attempt=1),
    ):
        with pytest.raises(UsageError, match="has no date in UTC"):
            attempt()
    for call in (
        docket.add_many([TaskCall(nothing, (), {}, "k", when)]),
        docket.schedule(Execution(docket, nothing, (), {}, "k", when, 1)),
        (await docket.add(nothing, when=later())()).get_result(deadline=when),
    ):
        with pytest.raises(UsageError, match="has no date in UTC"):
            await call
    assert (await docket.snapshot()).total_tasks == 1


@pytest.mark.parametrize("when", EXTREMES, ids=str)
async def test_the_first_and_the_last_moments_are_carried_and_read_back(
    docket: Docket, when: datetime
) -> None:
    execution = await docket.add(add, when=when, key="k")(1, 2)
    await execution.sync()
    assert (execution.when, execution.when.utcoffset()) == (when, when.utcoffset())
    found = await docket.get_execution("k")
    assert found is not None
    assert epoch(found.when) == epoch(when)
    async with aclosing(found.subscribe()) as events:
        event = await anext(events)
        assert event["type"] == "state"
    if when.year == 1:
        await work(docket)
        assert await execution.get_result() == 3
        return
    [seen] = (await docket.snapshot()).future
    assert (seen.when, seen.when.utcoffset()) == (when, when.utcoffset())
    replaced = await docket.replace(add, later(), "k")(2, 2)
    await execution.sync()
    assert (execution.when - replaced.when) < timedelta(milliseconds=1)
    await docket.cancel("k")
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED


async def test_a_wait_may_be_of_any_length(docket: Docket) -> None:
    execution = await docket.add(add)(1, 2)
    await work(docket)
    for limit in timedelta.max, timedelta.min, LONGEST:
        assert await execution.get_result(timeout=limit) == 3
    for deadline in EXTREMES:
        assert await execution.get_result(deadline=deadline) == 3
    with pytest.raises(TypeError, match="timeout takes a timedelta, not int"):
        await execution.get_result(timeout=5)  # type: ignore[arg-type]


JUNK = [b"inf", b"-inf", b"nan", b"1e300", b"-1e300", b"soon", b"", b"\xff\x00", b"253402300800"]
ISO_JUNK = [
    b"9999-12-31T23:59:59.999999-12:00",
    b"0001-01-01T00:00:00+14:00",
    b"2026-01-01",
    b"\xff",
    b"",
    b"inf",
]


@pytest.mark.parametrize("when", JUNK, ids=repr)
async def test_a_record_whose_moment_is_anything_is_read(docket: Docket, when: bytes) -> None:
    execution = await docket.add(add, when=later(), key="k")(1)
    async with docket.redis() as client:
        await client.hset("d:runs:k", "when", when)
    await execution.sync()
    found = await docket.get_execution("k")
    assert found is not None
    assert found.when.tzinfo is not None
    async with aclosing(found.subscribe()) as events:
        assert (await anext(events))["type"] == "state"


@pytest.mark.parametrize("text", ISO_JUNK, ids=repr)
async def test_times_that_are_anything_are_read(docket: Docket, text: bytes) -> None:
    execution = await docket.add(add, when=later(), key="k")(1)
    fields = {"started_at": text, "completed_at": text, "state": "running", "worker": "w"}
    async with docket.redis() as client:
        await client.hset("d:runs:k", mapping=fields)
        await client.hset("d:progress:k", mapping={"current": 1, "updated_at": text})
    await execution.sync()
    assert await docket.get_execution("k") is not None
    for each in execution.started_at, execution.completed_at, execution.progress.updated_at:
        assert each is None or each.utcoffset() is not None


@pytest.mark.parametrize(
    "value", [*[text.decode(errors="replace") for text in ISO_JUNK], 5, None, [], {}, 1e300]
)
async def test_events_whose_times_are_anything_are_taken_over(docket: Docket, value: Any) -> None:
    execution = await docket.add(add, when=later(), key="k")(1)
    async with aclosing(execution.subscribe()) as events, docket.redis() as client:
        await anext(events)
        await anext(events)
        for event in (
            {
                "type": "state",
                "key": "k",
                "state": "queued",
                "when": value,
                "started_at": value,
                "completed_at": value,
            },
            {"type": "progress", "key": "k", "current": 1, "total": 2, "updated_at": value},
        ):
            await client.publish(f"d:{event['type']}:k", json.dumps(event))
            seen = await anext(events)
            execution.take_over(seen)
            assert seen["type"] == event["type"]


@pytest.mark.parametrize("seen", ["1e300", "253402300800", "inf"])
async def test_a_worker_that_was_seen_at_the_end_of_time_is_listed(docket: Docket, seen: str) -> None:
    async with docket.redis() as client:
        await client.zadd("d:workers", {"w": seen})
    [worker] = await docket.workers()
    assert worker.last_seen.tzinfo is not None
    assert [worker.name for worker in (await docket.snapshot()).workers] == ["w"]


async def test_what_is_to_be_kept_for_ever_is(url: str) -> None:
    async with Docket("d", url, execution_ttl=None) as docket:
        done = await docket.add(add, key="done")(1, 2)
        failed = await docket.add("fail", key="failed")("why")
        cancelled = await docket.add(add, when=later(), key="cancelled")(1)
        cleared = await docket.add(add, when=later(), key="cleared")(1)
        by_hand = await docket.add(add, when=later(), key="by hand")(1)
        await cancelled.sync()
        await docket.cancel("cancelled")
        await by_hand.mark_as_failed("by hand")
        await docket.clear()
        await done.progress.increment()
        await docket.add(add, key="done")(1, 2)
        await docket.add("fail", key="failed")("why")
        await work(docket)
        async with docket.redis() as client:
            for key in "done", "failed", "cancelled", "cleared", "by hand":
                assert await client.ttl(f"d:runs:{key}") == -1, key
            assert await client.ttl("d:results::done:2") == -1
            assert "expires_at" not in json.loads(await client.get("d:results::done:2"))
            await client.hset("d:progress:nobody", "current", 1)
        for execution in failed, cancelled, cleared, by_hand, done:
            await execution.sync()
        assert await done.get_result() == 3
        with pytest.raises(Exception, match="why"):
            await failed.get_result()


async def test_what_was_reported_by_hand_goes_all_the_same(url: str) -> None:
    """There is no run whose end would remove it."""
    async with Docket("d", url, execution_ttl=None) as docket:
        await Execution(docket, add, (1,), {}, "k", later(), 1).progress.increment()
        async with docket.redis() as client:
            assert 0 < await client.ttl("d:progress:k") <= 900


async def test_results_that_are_kept_elsewhere_are_kept_for_ever_too(url: str) -> None:
    kept: list[float | None] = []

    class Storage:
        async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None: ...

        async def put(
            self, key: str, value: Any, *, collection: str | None = None, ttl: float | None = None
        ) -> None:
            kept.append(ttl)

    for execution_ttl in None, timedelta(minutes=1):
        async with Docket("d", url, execution_ttl=execution_ttl, result_storage=Storage()) as docket:
            await docket.add(add)(1)
            await work(docket)
    assert kept == [None, 60.0]


async def test_a_cron_that_was_due_at_the_end_of_time_goes_on(docket: Docket) -> None:
    when = datetime.max.replace(tzinfo=UTC)
    execution = Execution(docket, nothing, (), {}, "k", when, 1)
    token = Cron.execution.set(execution)
    try:
        assert Cron("@daily").next_time() < when
    finally:
        Cron.execution.reset(token)


async def test_a_handler_that_is_told_of_an_endless_run_answers(docket: Docket) -> None:
    execution = Execution(docket, nothing, (), {}, "k", later(), 1)
    for duration in timedelta.max, timedelta.min:
        perpetual = Perpetual(every=LONGEST)
        assert await perpetual.on_complete(execution, TaskOutcome(duration))
        retry = Retry(attempts=3)
        retry.delay = duration  # a task may set it
        assert await retry.handle_failure(execution, TaskOutcome(duration, exception=ValueError()))


async def test_the_standard_task_that_sleeps_refuses_what_is_no_number(docket: Docket) -> None:
    """A loop of asyncio loses the order of its timers by it."""
    execution = await docket.add("sleep")(math.nan)
    await work(docket)
    with pytest.raises(UsageError, match="not nan"):
        await execution.get_result()
