"""What is counted, under which labels; read as Prometheus would."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import anyio
import pytest
from opentelemetry.metrics import CallbackOptions
from prometheus_client.parser import text_string_to_metric_families

from docket import (
    ConcurrencyLimit,
    CurrentDocket,
    Docket,
    Execution,
    Perpetual,
    Retry,
    Worker,
    instrumentation,
)
from docket.client import signature_cache
from docket.instrumentation.metrics import BUCKETS, WAITERS
from tests.instrumentation.conftest import drained, hello
from tests.instrumentation.exposition import Scrape
from tests.servers import Server

pytestmark = pytest.mark.anyio

FUTURE = datetime(2099, 1, 1, tzinfo=UTC)


async def refuse(retry: Retry = Retry(attempts=2)) -> None:
    raise ValueError("no")


def ended(found: dict[str, float], task: str, worker: str = "w") -> dict[str, float]:
    """What is said of the runs of one task by one worker; not sums of seconds, nor the zeros with which it begins."""
    labels = f"{{task={task},worker={worker}}}"
    return {
        name.removesuffix(labels): value
        for name, value in found.items()
        if name.endswith(labels) and "_sum" not in name and (value or name.startswith("tasks_running"))
    }


async def test_what_is_asked_of_a_docket(docket: Docket, scrape: Scrape) -> None:
    await docket.add(hello, FUTURE, "a")("Jane")
    await docket.add(hello, FUTURE, "a")("Jane")  # it is there
    await docket.replace(hello, FUTURE, "a")("Joan")
    await docket.add_many([docket.call(hello, FUTURE, key)("Jane") for key in ("b", "c")])
    await docket.cancel("a")
    await docket.cancel("nothing of that name")
    await docket.clear()
    await docket.strike(hello)
    await docket.add(hello)("Jane")
    found = scrape.of(docket.name)
    assert found == {
        "tasks_added{task=hello}": 4,
        "tasks_scheduled{task=hello}": 4,
        "tasks_replaced{task=hello}": 1,
        "tasks_cancelled{task=hello}": 1,
        "tasks_cancelled": 3,
        "tasks_stricken{task=hello,where=docket}": 1,
        "strikes_in_effect{task=hello}": 1,
    }


async def test_an_automatic_task_that_a_worker_schedules_is_one_that_was_added(
    docket: Docket, scrape: Scrape
) -> None:
    async def by_itself(perpetual: Perpetual = Perpetual(automatic=True)) -> None:
        perpetual.cancel()

    docket.register(by_itself)
    await drained(docket)
    found = scrape.of(docket.name)
    assert (found["tasks_added{task=by_itself}"], found["tasks_scheduled{task=by_itself}"]) == (1, 1)


async def test_an_execution_that_is_scheduled_by_hand_is_one_that_was_added(
    docket: Docket, scrape: Scrape
) -> None:
    for how in ("by itself", "by the docket"):
        execution: Execution[str] = Execution(docket, hello, ("Jane",), {}, how, FUTURE, 1)
        await (execution.schedule() if how == "by itself" else docket.schedule(execution))
    assert scrape.of(docket.name) == {"tasks_added{task=hello}": 2, "tasks_scheduled{task=hello}": 2}


async def test_a_run_that_succeeds(docket: Docket, scrape: Scrape) -> None:
    await docket.add(hello, datetime.now(UTC) - timedelta(seconds=100))("Jane")
    await drained(docket)
    found = scrape.of(docket.name)
    assert ended(found, "hello") == {
        "tasks_started": 1,
        "tasks_running": 0,
        "tasks_completed": 1,
        "tasks_succeeded": 1,
        "task_duration_seconds_count": 1,
        "task_punctuality_seconds_count": 1,
    }
    assert 100 <= found["task_punctuality_seconds_sum{task=hello,worker=w}"] < 130
    assert 0 <= found["task_duration_seconds_sum{task=hello,worker=w}"] < 20


async def test_runs_that_fail_and_are_repeated(docket: Docket, scrape: Scrape) -> None:
    await docket.add(refuse)()
    await drained(docket)
    assert ended(scrape.of(docket.name), "refuse") == {
        "tasks_started": 2,
        "tasks_running": 0,
        "tasks_completed": 2,
        "tasks_failed": 2,
        "tasks_retried": 1,
        "task_duration_seconds_count": 2,
        "task_punctuality_seconds_count": 2,
    }


async def test_a_perpetual_task(docket: Docket, scrape: Scrape) -> None:
    runs = 0

    async def again(perpetual: Perpetual = Perpetual()) -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            perpetual.cancel()

    await docket.add(again)()
    await drained(docket)
    found = ended(scrape.of(docket.name), "again")
    assert (found["tasks_succeeded"], found["tasks_perpetuated"]) == (3, 2)


async def test_a_task_counts_as_running_for_as_long_as_it_runs(docket: Docket, scrape: Scrape) -> None:
    begun = anyio.Event()

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    await docket.add(endless, key="k")()
    async with anyio.create_task_group() as group:
        group.start_soon(drained, docket)
        await begun.wait()
        assert ended(scrape.of(docket.name), "endless")["tasks_running"] == 1
        await docket.cancel("k")
    found = ended(scrape.of(docket.name), "endless")
    assert (found["tasks_running"], found["tasks_completed"]) == (0, 1)
    assert not found.keys() & {"tasks_succeeded", "tasks_failed"}


async def test_a_task_that_waits_for_its_turn_counts_when_it_runs(docket: Docket, scrape: Scrape) -> None:
    async def one_at_a_time(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None: ...

    for _ in range(3):
        await docket.add(one_at_a_time)()
    await drained(docket)
    found = ended(scrape.of(docket.name), "one_at_a_time")
    assert (found["tasks_started"], found["tasks_succeeded"]) == (3, 3)
    assert "tasks_failed" not in found


async def test_a_strike_that_a_worker_finds(docket: Docket, scrape: Scrape) -> None:
    await docket.add(hello)("Jane")
    await docket.strike(hello, "name", "==", "Jane")
    await drained(docket)
    found = scrape.of(docket.name)
    assert found["tasks_stricken{task=hello,where=worker,worker=w}"] == 1
    assert found["strikes_in_effect{operator===,parameter=name,task=hello,value='Jane'}"] == 1
    assert ended(found, "hello") == {"tasks_running": 0}
    await docket.restore(hello, "name", "==", "Jane")
    found = scrape.of(docket.name)
    assert found["strikes_in_effect{operator===,parameter=name,task=hello,value='Jane'}"] == 0


async def test_a_task_that_a_dead_worker_left(docket: Docket, scrape: Scrape) -> None:
    await docket.add(hello)("Jane")
    async with docket.redis() as redis:
        await redis.xgroup_create(docket.stream_key, docket.worker_group_name, "0-0", mkstream=True)
        group, stream = docket.worker_group_name, docket.stream_key
        [(_, [(message, _)])] = await redis.xreadgroup(group, "dead", {stream: ">"})
        await redis.xclaim(stream, group, "dead", 0, [message], idle=3_600_000)
    await drained(docket)
    found = ended(scrape.of(docket.name), "hello")
    assert (found["tasks_started"], found["tasks_redelivered"]) == (1, 1)


async def test_a_delivery_that_a_newer_one_has_replaced(docket: Docket, scrape: Scrape) -> None:
    await docket.add(hello, key="k")("Jane")
    async with docket.redis() as redis:
        [(_, fields)] = await redis.xrange(docket.stream_key)
        await docket.replace(hello, datetime.now(UTC), "k")("Joan")
        await redis.xadd(docket.stream_key, fields)  # as if it had been on its way
    await drained(docket)
    found = scrape.of(docket.name)
    assert found["tasks_superseded{task=hello,where=worker,worker=w}"] == 1
    assert ended(found, "hello")["tasks_started"] == 1


async def test_how_full_the_docket_is(docket: Docket, scrape: Scrape) -> None:
    docket.heartbeat_interval = timedelta(milliseconds=20)
    seen: dict[str, float] = {}

    async def look(docket: Docket = CurrentDocket()) -> None:
        await docket.add(look, FUTURE, "later")()
        await docket.add(look, FUTURE, "wake")()  # a key that is kept apart from docket's own
        while seen.get("schedule_depth") != 2:
            await anyio.sleep(0.01)  # a gauge must be looked at
            seen.update(scrape.of(docket.name))
        await docket.clear()

    await docket.add(look)()
    await drained(docket, concurrency=1)
    assert (seen["queue_depth"], seen["schedule_depth"]) == (1, 2)
    # What nobody measures any more is not shown as it was: the worker has ended.
    assert not [name for name in scrape.of(docket.name) if "depth" in name]


async def test_how_much_is_due_of_each_level_and_what_nobody_serves(docket: Docket, scrape: Scrape) -> None:
    docket.heartbeat_interval = timedelta(milliseconds=20)
    seen: dict[str, float] = {}

    async def look(docket: Docket = CurrentDocket()) -> None:
        for name in "Jane", "Joan", "June":
            await docket.add(hello, priority="low")(name)
        while seen.get("level_depth{priority=low}") != 3:
            await anyio.sleep(0.01)  # a gauge must be looked at
            seen.update(scrape.of(docket.name))
        await docket.clear()

    await docket.add(look, priority="high")()
    await drained(docket, concurrency=1, lanes=("high", "normal"))
    assert {name: value for name, value in seen.items() if "level" in name or "unserved" in name} == {
        "level_depth{priority=high}": 1,  # it runs
        "level_depth{priority=normal}": 0,
        "level_depth{priority=low}": 3,
        "unserved_depth{priority=low}": 3,
    }
    assert not [name for name in scrape.of(docket.name) if "depth" in name]


async def test_seconds_are_counted_in_buckets_from_5_ms_to_10_min(docket: Docket, scrape: Scrape) -> None:
    await docket.add(hello)("Jane")
    await drained(docket)
    for metric in "docket_task_duration_seconds", "docket_task_punctuality_seconds":
        [family] = [one for one in text_string_to_metric_families(scrape.text()) if one.name == metric]
        bounds = [
            sample.labels["le"]
            for sample in family.samples
            if sample.name.endswith("_bucket") and sample.labels["docket_name"] == docket.name
        ]
        assert [float(bound) for bound in bounds] == [*BUCKETS, math.inf]
    assert (BUCKETS[0], BUCKETS[-1]) == (0.005, 600)


async def test_how_many_wait_for_a_limit(docket: Docket, scrape: Scrape) -> None:
    docket.heartbeat_interval = timedelta(milliseconds=20)
    seen: dict[str, float] = {}

    async def look(customer: Annotated[int, ConcurrencyLimit(1)]) -> None:
        while not seen and customer == 1:
            await anyio.sleep(0.01)  # a gauge must be looked at
            found = scrape.of(docket.name)
            if (found.get("queue_depth"), found.get("schedule_depth")) == (1, 2):
                seen.update(found)

    for _ in range(3):
        await docket.add(look)(1)
    await drained(docket)
    assert {name: value for name, value in seen.items() if "depth" in name or "limit" in name} == {
        "queue_depth": 1,
        "schedule_depth": 2,
        f"limit_waiters{{limit={docket.name}:concurrency:customer:1}}": 2,
    }
    assert not [name for name in scrape.of(docket.name) if "limit_waiters" in name]


async def test_how_many_failures_are_kept_and_what_is_paused(docket: Docket, scrape: Scrape) -> None:
    docket.heartbeat_interval = timedelta(milliseconds=20)
    expected = {"failures_kept": 1, "pauses_in_effect{task=*}": 1, "pauses_in_effect{task=hello}": 1}
    seen: dict[str, float] = {}

    async def refuse() -> None:
        raise ValueError("no")

    async def look() -> None:
        await docket.pause(hello)
        await docket.pause()
        while not expected.items() <= seen.items():
            await anyio.sleep(0.01)  # a gauge must be looked at
            seen.update(scrape.of(docket.name))
        await docket.resume()

    await docket.add(refuse)()
    await drained(docket)
    await docket.add(look)()
    await drained(docket)
    assert not [name for name in scrape.of(docket.name) if "kept" in name or "pauses" in name]


def test_only_the_limits_with_most_waiters_have_series_of_their_own() -> None:
    WAITERS.keep("many", {f"l{n:03}": 1 + n % 2 for n in range(120)})
    try:
        found = [
            o for o in WAITERS.observe(CallbackOptions()) if (o.attributes or {})["docket.name"] == "many"
        ]
    finally:
        WAITERS.keep("many", {})
    assert [o.value for o in found] == [2] * 50 + [10 * 2 + 60]
    assert (found[-1].attributes or {})["docket.limit"] == "(others)"


async def test_what_goes_wrong_with_redis(anyio_backend: Any, scrape: Scrape) -> None:
    with Server() as server:
        async with Docket("disrupted", server.url) as docket, anyio.create_task_group() as group:
            worker = Worker(docket, f"worker-{anyio_backend}", reconnection_delay=timedelta(milliseconds=10))
            group.start_soon(worker.run_forever)
            with anyio.fail_after(20):
                await docket.add(hello)("Jane")
                server.kill()
                name = f"redis_disruptions{{worker={worker.name}}}"
                while name not in scrape.of(docket.name):
                    await anyio.sleep(0.01)  # a counter must be looked at
            group.cancel_scope.cancel()


async def test_what_is_cached(docket: Docket, scrape: Scrape) -> None:
    docket.heartbeat_interval = timedelta(milliseconds=20)

    async def until_told() -> None:
        while cached(scrape).get("signature") != len(signature_cache):
            await anyio.sleep(0.01)  # a gauge must be looked at

    await docket.add(until_told)()
    await drained(docket)


def cached(scrape: Scrape) -> dict[str, float]:
    """Caches and their sizes."""
    families = text_string_to_metric_families(scrape.text())
    samples = [sample for family in families for sample in family.samples]
    return {s.labels["cache"]: s.value for s in samples if s.name == "docket_cache_size"}


def test_everything_that_pydocket_exports_is_there() -> None:
    assert set(dir(instrumentation)) == set(instrumentation.__all__) == {
        "CACHE_SIZE", "QUEUE_DEPTH", "REDIS_DISRUPTIONS", "SCHEDULE_DEPTH", "STRIKES_IN_EFFECT", "TASKS_ADDED",
        "TASKS_CANCELLED", "TASKS_COMPLETED", "TASKS_FAILED", "TASKS_PERPETUATED", "TASKS_REDELIVERED",
        "TASKS_REPLACED", "TASKS_RETRIED", "TASKS_RUNNING", "TASKS_SCHEDULED", "TASKS_STARTED", "TASKS_STRICKEN",
        "TASKS_SUCCEEDED", "TASKS_SUPERSEDED", "TASK_DURATION", "TASK_PUNCTUALITY", "Message", "MessageGetter",
        "MessageSetter", "healthcheck_server", "message_getter", "message_setter", "meter", "metrics_server",
    }  # fmt: skip
