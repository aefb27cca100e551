"""Concurrency limits: who runs, who waits, who is next."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import anyio
import anyio.to_thread
import pytest

from docket import (
    ConcurrencyLimit,
    CurrentDocket,
    CurrentExecution,
    Depends,
    Docket,
    Execution,
    Perpetual,
    Retry,
    Worker,
)
from docket.execution import ExecutionState
from docket.store import Depths, LimitInUse
from tests.durations import ms
from tests.where import virtual_time
from tests.worker.conftest import at_most, working

pytestmark = pytest.mark.anyio


class Stage:
    """Records who runs, and lets the bodies end when the test says so."""

    def __init__(self) -> None:
        self.began: list[Any] = []
        self.running: Counter[Any] = Counter()
        self.most: Counter[Any] = Counter()
        self._changed = anyio.Event()
        self._may_end = anyio.Event()

    async def play(self, part: Any, under: Any = None) -> None:
        self.began.append(part)
        self.running[under] += 1
        self.most[under] = max(self.most[under], self.running[under])
        self._changed.set()
        self._changed = anyio.Event()
        try:
            await self._may_end.wait()
        finally:
            self.running[under] -= 1

    def end(self) -> None:
        """Let the bodies end, those to come too."""
        self._may_end.set()

    async def until(self, count: int) -> None:
        while len(self.began) < count:
            await self._changed.wait()


async def parked(docket: Docket, count: int) -> LimitInUse:
    """The one limit in use, once so many wait for it. Real time: parking tells its clients by an event per key only."""
    while True:
        limits = await docket.concurrency()
        if limits and sum(limit.waiting for limit in limits) == count:
            return limits[0]
        await anyio.sleep(0.005)


async def nothing_is_left_of_it(docket: Docket) -> None:
    assert await docket.concurrency() == []
    async with docket.redis() as redis:
        kept = [key async for key in redis.scan_iter(match="*concurrency*")]
        assert kept == []
        assert not await redis.exists(docket.keys.limits, docket.keys.waiting)


async def test_runs_with_one_value_take_turns_in_the_order_of_their_arrival(docket: Docket) -> None:
    stage = Stage()
    stage.end()

    async def task(
        customer: int, number: int, limit: ConcurrencyLimit = ConcurrencyLimit("customer")
    ) -> None:
        await stage.play((customer, number), customer)

    for number in range(8):
        await docket.add(task)(1, number)
        await docket.add(task)(2, number)
    async with at_most():
        await Worker(docket).run_until_finished()
    assert stage.most == {1: 1, 2: 1}
    assert [number for customer, number in stage.began if customer == 1] == list(range(8))
    assert [number for customer, number in stage.began if customer == 2] == list(range(8))
    await nothing_is_left_of_it(docket)


@pytest.mark.parametrize("form", ["annotated", "named", "whole task", "scoped"])
async def test_a_limit_is_kept_in_each_of_its_forms(docket: Docket, form: str) -> None:
    stage = Stage()

    async def annotated(a: Annotated[int, ConcurrencyLimit(2)]) -> None:
        await stage.play(a, a)

    async def named(a: int, limit: ConcurrencyLimit = ConcurrencyLimit("a", max_concurrent=2)) -> None:
        await stage.play(a, a)

    async def whole(a: int, limit: ConcurrencyLimit = ConcurrencyLimit(max_concurrent=2)) -> None:
        await stage.play(a, a)

    async def scoped(a: int = 1, limit: ConcurrencyLimit = ConcurrencyLimit("a", 2, scope="s")) -> None:
        await stage.play(a, a)

    task = {"annotated": annotated, "named": named, "whole task": whole, "scoped": scoped}[form]
    for _ in range(3):
        await docket.add(task)(1)
    name = {"whole task": "concurrency:whole", "scoped": "s:concurrency:a:1"}.get(form, "concurrency:a:1")
    async with working(Worker(docket)):
        limit = await parked(docket, 1)
        assert (limit.key, limit.limit, len(limit.holders)) == (f"{docket.prefix}:{name}", 2, 2)
        stage.end()
        await stage.until(3)
    assert stage.most == {1: 2}


async def test_the_value_of_an_argument_that_is_left_out_is_its_default(docket: Docket) -> None:
    keys: list[str] = []

    async def task(a: str = "usual", limit: ConcurrencyLimit = ConcurrencyLimit("a")) -> None:
        keys.append(limit.concurrency_key)

    await docket.add(task)()
    async with at_most():
        await Worker(docket).run_until_finished()
    assert keys == [f"{docket.prefix}:concurrency:a:usual"]


async def test_a_waiting_task_has_nothing_open_and_is_scheduled_meanwhile(docket: Docket) -> None:
    stage, opened = Stage(), list[str]()

    def resource(execution: Execution[Any] = CurrentExecution()) -> str:
        opened.append(execution.key)
        return execution.key

    async def task(limit: ConcurrencyLimit = ConcurrencyLimit(1), it: str = Depends(resource)) -> None:
        await stage.play(it)

    await docket.add(task, key="first")()
    second = await docket.add(task, key="second")()
    async with working(Worker(docket)):
        limit = await parked(docket, 1)
        assert (limit.holders, limit.waiters) == (("first",), ("second",))
        assert opened == ["first"]
        await second.sync()
        assert second.state is ExecutionState.SCHEDULED
        snapshot = await docket.snapshot()
        assert [(waits.key, waits.state) for waits in snapshot.future] == [
            ("second", ExecutionState.SCHEDULED)
        ]
        depths = await docket.store.records.depths()
        assert depths == Depths(due=1, later=1, waiting={limit.key: 1})
        stage.end()
        await second.get_result()
        async with docket.redis() as redis:
            assert await redis.hget(docket.runs_key("second"), "generation") == b"3"
    assert opened == ["first", "second"]


async def test_several_limits_are_taken_together_or_not_at_all(docket: Docket) -> None:
    stage = Stage()

    async def export(
        user: int,
        kind: str,
        per_user: ConcurrencyLimit = ConcurrencyLimit("user", 1),
        per_kind: ConcurrencyLimit = ConcurrencyLimit("kind", 1),
    ) -> None:
        await stage.play((user, kind))

    await docket.add(export, key="a")(1, "x")
    async with working(Worker(docket)):
        await stage.until(1)
        await docket.add(export, key="b")(1, "y")
        await parked(docket, 1)
        await docket.add(export, key="c")(2, "y")  # "b" holds nothing of "y" while it waits for user 1
        await stage.until(2)
        assert stage.began == [(1, "x"), (2, "y")]
        stage.end()
        await stage.until(3)
    assert stage.began[2] == (1, "y")


@pytest.mark.parametrize("ending", ["success", "failure", "retry", "perpetual", "cancel"])
async def test_however_a_run_ends_the_next_one_begins(docket: Docket, ending: str) -> None:
    stage, hour = Stage(), timedelta(hours=1)

    async def first(slot: int, limit: ConcurrencyLimit = ConcurrencyLimit("slot")) -> None:
        await stage.play("first")
        if ending == "failure":
            raise ValueError

    async def retried(
        slot: int,
        limit: ConcurrencyLimit = ConcurrencyLimit("slot"),
        retry: Retry = Retry(attempts=2, delay=hour),
    ) -> None:
        await stage.play("first")
        raise ValueError

    async def repeated(
        slot: int,
        limit: ConcurrencyLimit = ConcurrencyLimit("slot"),
        again: Perpetual = Perpetual(every=hour),
    ) -> None:
        await stage.play("first")

    async def second(slot: int, limit: ConcurrencyLimit = ConcurrencyLimit("slot")) -> str:
        return "done"

    await docket.add({"retry": retried, "perpetual": repeated}.get(ending, first), key="first")(1)
    async with working(Worker(docket)):
        await stage.until(1)
        waits = await docket.add(second)(1)
        await parked(docket, 1)
        if ending == "cancel":
            await docket.cancel("first")
        else:
            stage.end()
        assert await waits.get_result() == "done"
    await nothing_is_left_of_it(docket)


async def test_what_a_worker_hands_back_gives_its_slot_to_who_waits(docket: Docket) -> None:
    stage = Stage()

    async def task(name: str, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> str:
        await stage.play(name)
        return name

    await docket.add(task)("first")
    async with working(Worker(docket, "leaves")):
        await stage.until(1)
        await docket.add(task)("second")
        await parked(docket, 1)
    stage.end()
    async with at_most():
        await Worker(docket, "stays").run_until_finished()
    assert stage.began[0] == "first"
    assert sorted(stage.began) == ["first", "first", "second"]
    assert stage.most == {None: 1}
    await nothing_is_left_of_it(docket)


async def test_a_replaced_run_keeps_its_slot_until_it_ends(docket: Docket) -> None:
    stage = Stage()

    async def task(name: str, limit: ConcurrencyLimit = ConcurrencyLimit(2)) -> None:
        await stage.play(name)

    await docket.add(task, key="k")("old")
    async with working(Worker(docket)):
        await stage.until(1)
        await docket.replace(task, datetime.now(UTC), "k")("new")
        await parked(docket, 1)
        stage.end()
        await stage.until(2)
    assert stage.began == ["old", "new"]
    assert stage.most == {None: 1}


@pytest.mark.parametrize("how", ["cancel", "replace", "clear", "add"])
async def test_who_waits_can_be_cancelled_replaced_cleared_and_not_added_twice(
    docket: Docket, how: str
) -> None:
    stage = Stage()

    async def task(name: str, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await stage.play(name)

    await docket.add(task, key="first")("first")
    async with working(Worker(docket)):
        await stage.until(1)
        await docket.add(task, key="second")("second")
        await parked(docket, 1)
        match how:
            case "cancel":
                await docket.cancel("second")
            case "replace":
                await docket.replace(task, datetime.now(UTC), "second")("replaced")
                await parked(docket, 1)
            case "clear":
                assert await docket.clear() == 1
            case _:
                execution = await docket.add(task, key="second")("again")
                assert execution.disposition.value == "already_scheduled"
        await docket.add(task, key="third")("third")
        await parked(docket, 1 if how in ("cancel", "clear") else 2)
        stage.end()
        last = {"replace": ["replaced"], "add": ["second"]}.get(how, [])
        await stage.until(2 + len(last))
    assert stage.began == ["first", *last, "third"]


async def test_run_until_finished_waits_for_those_who_wait(docket: Docket) -> None:
    """A worker with nothing to do does not end while another one's task holds back a third."""
    stage, ended = Stage(), anyio.Event()

    async def task(name: str, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await stage.play(name)

    async def finish() -> None:
        await Worker(docket, "idle").run_until_finished()
        ended.set()

    await docket.add(task)("first")
    async with working(Worker(docket, "busy", concurrency=1)), anyio.create_task_group() as group:
        await stage.until(1)
        await docket.add(task)("second")
        group.start_soon(finish)
        await parked(docket, 1)
        assert not ended.is_set()
        stage.end()
        await ended.wait()
    assert stage.began == ["first", "second"]


@virtual_time
async def test_slots_are_renewed_with_the_leases(docket: Docket) -> None:
    stage = Stage()

    async def task(name: str, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await stage.play(name)

    settings: dict[str, Any] = {"redelivery_timeout": ms(2000)}
    await docket.add(task)("first")
    async with working(Worker(docket, "one", **settings), Worker(docket, "two", **settings)):
        await stage.until(1)
        await docket.add(task)("second")
        await parked(docket, 1)
        await anyio.sleep(6)
        assert stage.began == ["first"]
        stage.end()
        await stage.until(2)
    assert stage.most == {None: 1}


DIES = """
    import sys, anyio
    from datetime import timedelta
    from docket import ConcurrencyLimit, Docket, Worker
    async def task(name, limit=ConcurrencyLimit(1)):
        print("begun", flush=True)
        await anyio.sleep_forever()
    async def main():
        async with Docket(sys.argv[1], sys.argv[2]) as docket:
            docket.register(task)
            await Worker(docket, "dies", redelivery_timeout=timedelta(seconds=0.3)).run_forever()
    anyio.run(main)
"""


async def test_the_slot_of_a_killed_worker_is_free_after_its_lease(redis_url: str) -> None:
    stage = Stage()
    stage.end()

    async def task(name: str, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await stage.play(name)

    async with Docket("killed", redis_url) as docket:
        await docket.add(task)("first")
        command = [sys.executable, "-c", textwrap.dedent(DIES), "killed", redis_url]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert await anyio.to_thread.run_sync(process.stdout.readline) == b"begun\n"
                await docket.add(task)("second")
                await parked(docket, 1)
            finally:
                process.send_signal(signal.SIGKILL)
        async with at_most():
            await Worker(docket, "heir", redelivery_timeout=ms(300)).run_until_finished()
        assert sorted(stage.began) == ["first", "second"]
        assert stage.most == {None: 1}
        await nothing_is_left_of_it(docket)


async def test_a_limit_whose_key_is_something_else_fails_its_tasks_only(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    """I9."""

    async def task(a: int, limit: ConcurrencyLimit = ConcurrencyLimit("a")) -> int:
        return a

    async with docket.redis() as redis:
        await redis.set(f"{docket.prefix}:concurrency:a:1", "a string")
    bad, good = await docket.add(task)(1), await docket.add(task)(2)
    async with at_most():
        await Worker(docket).run_until_finished()
    assert await good.get_result() == 2
    await bad.sync()
    assert bad.state is ExecutionState.FAILED
    assert "WRONGTYPE" in (bad.error or "")
    (said,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert said.getMessage().endswith(f"task(...){{{bad.key}}}")
    assert "WRONGTYPE" in caplog.text


# bad input ------------------------------------------------------------------------------------------------


def test_a_limit_below_one_is_refused() -> None:
    for wrong in (lambda: ConcurrencyLimit(0), lambda: ConcurrencyLimit("a", max_concurrent=-1)):
        with pytest.raises(ValueError, match="max_concurrent takes a whole number from 1, not"):
            wrong()
    with pytest.raises(TypeError, match="max_concurrent takes a whole number, not str: '2'"):
        ConcurrencyLimit("a", "2")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="takes one maximum, not 1 and 2"):
        ConcurrencyLimit(1, max_concurrent=2)  # type: ignore[call-overload]
    with pytest.raises(RuntimeError, match="ConcurrencyLimit not initialized - use within task context"):
        repr(ConcurrencyLimit("a").concurrency_key)


async def test_an_argument_that_the_task_does_not_have_is_refused_where_it_is_registered(
    docket: Docket,
) -> None:
    async def task(a: int, limit: ConcurrencyLimit = ConcurrencyLimit("b")) -> None: ...

    async def supplied(a: Annotated[int, ConcurrencyLimit(1)] = Depends(lambda: 1)) -> None: ...

    said = r"ConcurrencyLimit argument 'b' not found in task arguments. Available: \['a'\]"
    with pytest.raises(ValueError, match=said):
        docket.register(task)
    with pytest.raises(ValueError, match=said):
        docket.add(task)
    with pytest.raises(ValueError, match="so it cannot be about 'a', which a dependency supplies"):
        docket.register(supplied)


async def test_a_limit_of_something_that_the_task_depends_on_counts_too(docket: Docket) -> None:
    stage = Stage()

    async def client(limit: ConcurrencyLimit = ConcurrencyLimit(1, scope="client")) -> str:
        return limit.concurrency_key

    async def task(key: str = Depends(client)) -> None:
        await stage.play(key)

    await docket.add(task)()
    await docket.add(task)()
    async with working(Worker(docket)):
        await parked(docket, 1)
        stage.end()
        await stage.until(2)
    assert stage.began == [f"{docket.prefix}:client:concurrency:task"] * 2
    assert stage.most == {None: 1}


class CannotBeNamed:
    def __format__(self, spec: str) -> str:
        raise ValueError("no text")


class UntilSet:
    """A result storage that keeps what it is given until the event."""

    def __init__(self, may_end: anyio.Event) -> None:
        self.may_end = may_end

    async def put(self, key: str, value: Any, **_: Any) -> None:
        await self.may_end.wait()

    async def get(self, key: str, **_: Any) -> None:
        return None

    async def delete(self, key: str, **_: Any) -> bool:
        return False


async def test_a_claim_that_never_asks_for_its_slot_keeps_nobody_waiting(docket: Docket) -> None:
    """Its end may take long to write."""
    others = anyio.Event()
    docket.result_storage = UntilSet(others)

    async def limited(number: int, who: Annotated[object, ConcurrencyLimit(5)]) -> None:
        others.set()

    await docket.add(limited)(0, CannotBeNamed())
    await docket.add(limited)(1, "x")
    async with Worker(docket) as worker:
        async with at_most(10):
            await worker.run_until_finished()
    assert others.is_set()


async def test_those_who_keep_a_slot_while_their_children_run_are_named(docket: Docket) -> None:
    asked, seen = anyio.Event(), list[LimitInUse]()

    async def held(
        is_parent: bool,
        docket: Docket = CurrentDocket(),
        limit: ConcurrencyLimit = ConcurrencyLimit(max_concurrent=2),
    ) -> None:
        if is_parent:
            async with docket.task_group():
                seen.extend(await docket.concurrency())
            asked.set()
        await asked.wait()

    await docket.add(held, key="plain")(False)
    await docket.add(held, key="parent")(True)
    async with at_most():
        await Worker(docket, "worker").run_until_finished()
    (limit,) = seen
    assert (set(limit.holders), limit.parents) == ({"plain", "parent"}, ("parent",))
