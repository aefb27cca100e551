"""Keys of the docket under which somebody keeps something else (I9): one by one, as `Keys` has them.

What concerns one task harms that task; what concerns the whole docket is an outage that names the key, and is over when
the key is removed. No worker ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import anyio
import pytest

from docket import (
    ConcurrencyLimit,
    Cooldown,
    Debounce,
    Docket,
    Execution,
    ExecutionState,
    Perpetual,
    Progress,
    RateLimit,
    Retry,
    Worker,
)
from docket.errors import KeyUnreadable
from docket.store import Keys
from docket.store.misuse import KINDS
from tests.durations import ms
from tests.where import one_loop, slow
from tests.worker.conftest import a_worker, at_most, working

pytestmark = [pytest.mark.anyio, slow, one_loop]

#: What is kept under the names that `Keys` makes, beyond those of the whole docket (`KINDS`).
OF_ONE = {
    "parked": "hash", "kept_apart": "hash", "plain_parked": "hash", "run": "hash", "progress": "hash",
    "slots": "zset", "rate": "zset", "cooldown": "string", "debounce": "string", "result_envelope": "string",
    "result_bare": "string", "worker_tasks": "set", "task_workers": "zset",
}  # fmt: skip
#: What is kept for people: no task needs it.
FOR_PEOPLE = {
    "failures": "zset", "retrying": "zset", "failure_totals": "hash", "failure": "hash", "draining": "zset",
}  # fmt: skip
#: What is no key, or none that docket reads.
NO_KEYS = {
    "cancel_channel",
    "cancellations",
    "state_channel",
    "wake",
    "results_collection",
    "pause",
    "queue_of",
    "safeguard",
}
NO_KEYS |= {"known", "stream_id"}
#: What only the ledger of a worker writes, which ends with it where it is of another type (test_ledger.py).
NO_KEYS |= {"ended_tasks", "written", "history", "counted", "depths", "depths_turn"}
#: What only describes tasks for people, and what is known of one task group.
NO_KEYS |= {"chains", "described_tasks", "seen_tasks", "recurrences", "group"}

#: Of those who use levels, shares and successors alone; what is there in place of it is told as they are used.
NO_KEYS |= {"lane", "lanes", "row", "turns", "successor", "successors", "value_named"}

#: A hint: without it what expires is ended as it is taken (tests/store/test_expire.py).
NO_KEYS |= {"expiring"}


def test_each_key_has_its_type_here() -> None:
    """So none that is new is forgotten: what is kept there is tried below with another type."""
    names = {name for name in dir(Keys("d")) if not name.startswith("_")} - {"prefix", "name"}
    known = KINDS.keys() | OF_ONE.keys() | FOR_PEOPLE.keys() | NO_KEYS
    assert {name for name in names if name not in known} == {"is_reserved", "on_cluster", "tagged"}
    assert names >= KINDS.keys()


async def misuse(docket: Docket, name: str | bytes, kind: str) -> None:
    """Keep something else under a name than docket would: a list, or, where ``kind`` is no string, a string."""
    async with docket.redis() as redis:
        await redis.delete(name)
        if kind == "string":
            await redis.rpush(name, "mine")
        else:
            await redis.set(name, "mine")


async def fine() -> str:
    return "fine"


async def again(retry: Retry = Retry(attempts=2)) -> None:
    raise ValueError("again")


async def said(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Wait for a line of the log. There is no event for it."""
    while text not in caplog.text:
        await anyio.sleep(0.005)


# What concerns the whole docket ----------------------------------------------------------------------------

#: Keys that `fine` needs to be added, taken or ended; without the others tasks run while the outage lasts.
STOPS = {"stream", "pauses"}


@pytest.mark.parametrize("member", sorted(KINDS.keys() - {"strikes", "dead"}))
async def test_a_misused_key_of_the_docket_is_an_outage_that_names_it(
    docket: Docket, member: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def tick(perpetual: Perpetual = Perpetual(every=timedelta(days=1), automatic=True)) -> None: ...

    name = str(getattr(docket.keys, member))
    if member in ("sweep_lease", "groups_lease") and docket.client.is_memory:
        pytest.skip("there is no such lease in one process")
    for task in (fine, again, tick):
        docket.register(task)
    if member == "groups_lease":  # nobody takes it until a group is due
        await docket.store.groups.open("", "1", None, look_after=ms(1))
    await misuse(docket, name, KINDS[member])
    worker = a_worker(docket, redelivery_timeout=ms(400), reconnection_delay=ms(50))
    async with working(worker):
        if member == "waiting":  # nobody looks at it until somebody waits
            await wait_for_limits(docket)
        if member == "limits":
            await docket.add(limited, key="limited")("x")
        await said(caplog, f"the key '{name}' holds ")
        if member not in STOPS:
            assert await (await docket.add(fine)()).get_result() == "fine"
        await docket.client.delete(name)
        await said(caplog, "can be used again after")
        assert await (await docket.add(fine)()).get_result() == "fine"
        assert await (await docket.add(fine, when=datetime.now(UTC) + ms(20))()).get_result() == "fine"
    assert caplog.text.count(f"the key '{name}' holds ") == 1
    assert [line.partition(":")[0][:9] for line in caplog.messages if "Handing back" not in line] == [
        "Redis at "
    ] * 2


async def test_a_misused_row_of_a_paused_task_is_an_outage_that_names_it(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    docket.register(fine)
    name = f"{docket.keys.pause('fine')}:waiters"
    await misuse(docket, name, "stream")
    await docket.pause(fine)
    execution = await docket.add(fine, key="k")()
    async with working(a_worker(docket, redelivery_timeout=ms(400), reconnection_delay=ms(50))):
        await said(caplog, f"the key '{name}' holds ")
        await docket.client.delete(name)
        await said(caplog, "can be used again after")
        await docket.resume(fine)
        assert await execution.get_result() == "fine"


async def limited(who: Annotated[str, ConcurrencyLimit()]) -> str:
    return who


async def wait_for_limits(docket: Docket) -> None:
    async def waits(who: Annotated[str, ConcurrencyLimit()]) -> None:
        if who == "x" and not released.is_set():
            released.set()
            await anyio.sleep(0.05)

    released = anyio.Event()
    docket.register(waits)
    for key in ("first", "second"):
        await docket.add(waits, key=key)("x")


@pytest.mark.parametrize("member", FOR_PEOPLE)
async def test_a_misused_key_of_what_is_kept_for_people_disturbs_nobody(docket: Docket, member: str) -> None:
    name = docket.keys.failure("a") if member == "failure" else getattr(docket.keys, member)
    await misuse(docket, name, FOR_PEOPLE[member])
    for task in (fine, again):
        docket.register(task)
    failing, ending = await docket.add(again, key="a")(), await docket.add(fine)()
    async with at_most():
        await Worker(docket).run_until_finished()
        assert await ending.get_result() == "fine"
        with pytest.raises(ValueError, match="again"):
            await failing.get_result()
    assert await docket.client.get(name) == b"mine"


async def test_a_misused_stream_of_dead_letters_is_an_outage_that_names_it(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    docket.register(fine)
    await misuse(docket, docket.keys.dead, "stream")
    async with working(a_worker(docket, reconnection_delay=ms(50))):
        async with docket.redis() as redis:
            await redis.xadd(docket.stream_key, {"nothing": "we know"})
            await said(caplog, f"'{docket.keys.dead}' holds a string, where docket keeps a stream")
            assert await (await docket.add(fine)()).get_result() == "fine"
            await redis.delete(docket.keys.dead)
            await said(caplog, "can be used again after")
            assert await redis.xlen(docket.keys.dead) == 1


async def test_a_retry_is_placed_when_the_queue_is_one_again(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of the run is lost meanwhile."""
    begun: list[int] = []

    async def later(retry: Retry = Retry(attempts=2, delay=ms(700))) -> str:
        begun.append(len(begun))
        if len(begun) == 1:
            await misuse(docket, docket.keys.queue, "zset")
            raise ValueError("again")
        return "done"

    execution = await docket.add(later)()
    async with working(a_worker(docket, reconnection_delay=ms(50))):
        await said(caplog, f"'{docket.keys.queue}' holds a string, where docket keeps a sorted set")
        await docket.client.delete(docket.keys.queue)
        assert await execution.get_result() == "done"


async def test_a_task_of_pydockets_may_lie_where_the_strikes_should_be(docket: Docket) -> None:
    await misuse(docket, docket.keys.strikes, "stream")
    execution = await docket.add(fine)()
    async with at_most():
        await Worker(docket).run_until_finished()
        assert await execution.get_result() == "fine"


@pytest.mark.parametrize("member", ["sweep_lease", "groups_lease", "perpetual_lock"])
async def test_a_lease_that_does_not_expire_is_nobodys(
    docket: Docket, member: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def tick(perpetual: Perpetual = Perpetual(every=timedelta(days=1), automatic=True)) -> None: ...

    if member in ("sweep_lease", "groups_lease") and docket.client.is_memory:
        pytest.skip("there is no such lease in one process")
    docket.register(tick)
    if member == "groups_lease":  # nobody takes it until a group is due
        await docket.store.groups.open("", "1", None, look_after=ms(1))
    name = str(getattr(docket.keys, member))
    await docket.client.set(name, "mine")
    async with working(a_worker(docket, redelivery_timeout=ms(400), reconnection_delay=ms(50))):
        await said(caplog, f"'{name}' holds something without an end")
        await docket.client.delete(name)
        await said(caplog, "can be used again after")


@pytest.mark.parametrize("member", ["stream", "queue"])
@pytest.mark.parametrize("state", ["new", "waiting", "queued"])
async def test_whoever_writes_is_told_which_key_it_is_and_nothing_is_lost(
    docket: Docket, member: str, state: str
) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    if state != "new":
        await docket.add(fine, when=soon if state == "waiting" else None, key="k")()
    name = str(getattr(docket.keys, member))
    async with docket.redis() as redis:
        kept = await redis.hgetall(docket.runs_key("k")), await redis.hgetall(docket.parked_task_key("k"))
        aside = f"{name}-aside"
        if await redis.exists(name):
            await redis.rename(name, aside)
        await misuse(docket, name, KINDS[member])
        with pytest.raises(KeyUnreadable, match=f"'{name}' holds a string"):
            await docket.replace(fine, soon if member == "queue" else datetime.now(UTC), "k")()
        if state == "queued":
            with pytest.raises(KeyUnreadable, match=f"'{name}' holds a string"):
                await docket.cancel("k")
        found = await redis.hgetall(docket.runs_key("k")), await redis.hgetall(docket.parked_task_key("k"))
        assert found == kept
        await redis.delete(name)
        if await redis.exists(aside):
            await redis.rename(aside, name)
    if state != "new":
        await docket.replace(fine, datetime.now(UTC), "k")()
        async with at_most():
            await Worker(docket).run_until_finished()
        execution = await docket.get_execution("k")
        assert execution is not None
        assert execution.state is ExecutionState.COMPLETED


@pytest.mark.parametrize("member", ["stream", "queue", "reserved_queue", "waiting"])
async def test_whoever_clears_is_told_which_key_it_is(docket: Docket, member: str) -> None:
    name = str(getattr(docket.keys, member))
    await misuse(docket, name, KINDS[member])
    with pytest.raises(KeyUnreadable, match=f"'{name}' holds a string"):
        await docket.clear()


async def test_whoever_strikes_is_told_that_something_else_lies_there(docket: Docket) -> None:
    await misuse(docket, docket.keys.strikes, "stream")
    with pytest.raises(KeyUnreadable, match=f"'{docket.keys.strikes}' holds something else"):
        await docket.strike("fine")


# What concerns one task ------------------------------------------------------------------------------------


@asynccontextmanager
async def beside_innocents(docket: Docket, **settings: Any) -> AsyncGenerator[Worker]:
    """A worker; at the end it runs other tasks as if nothing were."""
    docket.register(fine)
    worker = a_worker(docket, **settings)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run_forever)
            yield worker
            for when in (None, datetime.now(UTC) + ms(20)):
                assert await (await docket.add(fine, when=when)()).get_result() == "fine"
            worker.hand_back()


@pytest.mark.parametrize("member", ["run", "parked", "kept_apart"])
@pytest.mark.parametrize("due", ["at once", "later"])
async def test_a_misused_key_of_a_task_sets_that_task_aside_with_the_reason(
    docket: Docket, member: str, due: str
) -> None:
    key = "stream" if member == "kept_apart" else "k"
    docket.register(fine)
    await docket.add(fine, when=datetime.now(UTC) + ms(100) if due == "later" else None, key=key)()
    name = docket.keys.parked(key) if member == "kept_apart" else getattr(docket.keys, member)(key)
    if due == "at once" and member in ("parked", "kept_apart"):
        await misuse(docket, name, "hash")
        async with beside_innocents(docket):
            pass
        execution = await docket.get_execution(key)
        assert execution is not None
        assert execution.state is ExecutionState.COMPLETED
        return
    async with docket.client.pubsub() as pubsub:
        await pubsub.subscribe(docket.keys.state_channel(key))
        await misuse(docket, name, "hash")
        async with beside_innocents(docket):
            event = b""
            while member != "run" and b'"failed"' not in event:
                event = (await pubsub.receive()).payload
            if member != "run":
                assert b"DeliveryUnreadable: " in event
            else:
                async with docket.redis() as redis:
                    while not await redis.xlen(docket.keys.dead):
                        await anyio.sleep(0.005)
    async with docket.redis() as redis:
        if member == "run":
            assert await redis.get(name) == b"mine"
            [dead] = await redis.xrange(docket.keys.dead)
            assert b"WRONGTYPE" in dead[1][b"dead:reason"]
        assert not await redis.xlen(docket.keys.stream)


async def test_what_is_no_progress_is_gone_when_the_task_runs(docket: Docket) -> None:
    docket.register(fine)
    execution = await docket.add(fine, key="k")()
    await misuse(docket, docket.keys.progress("k"), "hash")
    async with beside_innocents(docket):
        await execution.get_result(timeout=timedelta(seconds=20))
    async with docket.redis() as redis:
        assert not await redis.exists(docket.keys.progress("k"))


async def test_a_misused_progress_key_under_a_body_that_reports_harms_nobody_else(docket: Docket) -> None:
    async def reports(progress: Progress = Progress()) -> str:
        await misuse(docket, docket.keys.progress("k"), "hash")
        await progress.increment()
        return "reported"

    execution = await docket.add(reports, key="k")()
    async with beside_innocents(docket):
        with anyio.fail_after(20):
            async with anyio.create_task_group():
                events = execution.subscribe()
                async for _ in events:
                    pass
    assert execution.state in (ExecutionState.COMPLETED, ExecutionState.FAILED)


RULES: dict[str, Any] = {
    "slots": ConcurrencyLimit(1), "rate": RateLimit(1, per=timedelta(hours=1)),
    "cooldown": Cooldown(timedelta(hours=1)), "debounce": Debounce(ms(10)),
}  # fmt: skip
SIDES = ["slots", "slots:owners", "slots:waiters", "slots:woken", "rate", "rate:reserved", "cooldown"]
SIDES += ["debounce:winner", "debounce:last_seen"]


def names_of(docket: Docket, side: str) -> str:
    rule, _, beside = side.partition(":")
    name = getattr(docket.keys, rule)("ruled")
    if isinstance(name, tuple):
        return str(name[0 if beside == "winner" else 1])
    return f"{name}:{beside}" if beside else str(name)


@pytest.mark.parametrize("side", SIDES)
async def test_a_misused_key_of_a_limit_harms_its_own_tasks_alone(docket: Docket, side: str) -> None:
    rule = RULES[side.partition(":")[0]]
    going = anyio.Event()

    async def ruled(rule: Any = rule) -> None:
        going.set()
        await anyio.sleep(0.05)

    docket.register(ruled)
    kind = {"owners": "hash", "waiters": "stream", "winner": "string", "last_seen": "string"}
    await misuse(
        docket, names_of(docket, side), kind.get(side.partition(":")[2], OF_ONE[side.partition(":")[0]])
    )
    async with beside_innocents(docket, redelivery_timeout=ms(400)):
        executions = [await docket.add(ruled)() for _ in range(2)]
        ended = [await end_of(each) for each in executions]
    if side in ("slots", "slots:owners", "rate", "rate:reserved", "cooldown", "debounce:winner"):
        assert set(ended) == {ExecutionState.FAILED}
    assert set(ended) <= {ExecutionState.COMPLETED, ExecutionState.FAILED, ExecutionState.CANCELLED}


async def end_of(execution: Execution[Any]) -> ExecutionState:
    async for event in execution.subscribe():
        if event["type"] == "state" and event["state"] in ("failed", "completed", "cancelled"):
            break
    return execution.state


async def test_whoever_knows_a_task_whose_list_is_misused_runs_it(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    name = docket.keys.task_workers("fine")
    await misuse(docket, name, "zset")
    async with beside_innocents(docket):
        await said(
            caplog, f"Cannot publish that worker 'worker' knows a task: the key '{name}' holds something else"
        )
        with pytest.raises(KeyUnreadable, match=name):
            await docket.task_workers("fine")
        assert [worker.name for worker in await docket.workers()] == ["worker"]


async def test_a_task_that_nobody_knows_and_whose_list_is_misused_waits_as_any_other(docket: Docket) -> None:
    async def mystery() -> None: ...

    await misuse(docket, docket.keys.task_workers("mystery"), "zset")
    execution = await docket.add(mystery)()
    del docket.tasks["mystery"]
    async with beside_innocents(docket, unknown_task_patience=ms(50)):
        assert await end_of(execution) is ExecutionState.FAILED


async def test_a_misused_list_of_a_workers_tasks_is_an_outage_that_names_it(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    name = docket.keys.worker_tasks("worker")
    await misuse(docket, name, "set")
    async with beside_innocents(docket, reconnection_delay=ms(50)):
        await said(caplog, f"'{name}' holds a string, where docket keeps a set")
        await docket.client.delete(name)
        await said(caplog, "can be used again after")


@pytest.mark.parametrize("member", ["result_envelope", "result_bare"])
async def test_what_lies_where_a_result_goes_is_written_over(docket: Docket, member: str) -> None:
    execution = await docket.add(fine, key="k")()
    await misuse(docket, getattr(docket.keys, member)("k:1"), "string")
    async with at_most():
        await Worker(docket).run_until_finished()
        assert await execution.get_result() == "fine"


async def test_an_automatic_task_whose_record_is_misused_keeps_no_other_from_running(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    ran = anyio.Event()

    async def broken(perpetual: Perpetual = Perpetual(every=timedelta(days=1), automatic=True)) -> None: ...

    async def tick(perpetual: Perpetual = Perpetual(every=timedelta(days=1), automatic=True)) -> None:
        ran.set()

    for task in (broken, tick):
        docket.register(task)
    await misuse(docket, docket.runs_key("broken"), "hash")
    async with beside_innocents(docket):
        await ran.wait()
    assert "Automatic task 'broken' cannot be scheduled: the key" in caplog.text


@pytest.mark.parametrize("member", sorted(OF_ONE.keys() - {"slots", "rate", "cooldown", "debounce"}))
async def test_clear_and_the_pictures_pass_over_what_is_misused(docket: Docket, member: str) -> None:
    for number, key in enumerate(("k", "other", "stream")):
        await docket.add(fine, when=datetime.now(UTC) + timedelta(hours=number), key=key)()
    await misuse(docket, getattr(docket.keys, member)("k"), OF_ONE[member])
    assert len((await docket.snapshot()).future) >= 2
    assert await docket.workers() == []
    assert await docket.concurrency() == []
    await docket.clear()
    async with docket.redis() as redis:
        assert not await redis.xlen(docket.stream_key)
        assert not await redis.zcard(docket.queue_key)
