"""What waits while a task, or a docket, is paused; and what happens once it is resumed."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from docket import (
    ConcurrencyLimit,
    CurrentExecution,
    Docket,
    Execution,
    ExecutionState,
    Perpetual,
    Retry,
    Worker,
)
from docket.store import Claims, Pauses
from docket.worker.intake import reader
from tests.durations import ms
from tests.where import asyncio_and_trio
from tests.worker.conftest import at_most, working

pytestmark = [pytest.mark.anyio, asyncio_and_trio]


class Runs:
    """Two tasks that note their runs: ``job`` and ``other``; each may be made to wait in its body."""

    def __init__(self, docket: Docket) -> None:
        self.docket = docket
        self.all: list[int | str] = []
        self.gate: anyio.Event | None = None
        docket.register(self.job)
        docket.register(self.other)

    async def job(self, number: int) -> None:
        self.all.append(number)
        if self.gate is not None:
            await self.gate.wait()

    async def other(self, name: str) -> None:
        self.all.append(name)

    async def add(self, *numbers: int) -> None:
        await self.docket.add_many([self.docket.call(self.job, key=f"job-{n}")(n) for n in numbers])

    async def have(self, *expected: int | str) -> None:
        await until(lambda: len(self.all) >= len(expected))
        assert self.all == [*expected]


@pytest.fixture
def runs(docket: Docket) -> Runs:
    return Runs(docket)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something is so that nobody announces."""
    async with at_most():
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await anyio.sleep(0.005)


async def waiting(docket: Docket, count: int) -> None:
    """Wait until so many tasks wait for what is paused."""

    async def is_so() -> bool:
        return sum(each.waiting for each in await docket.pauses()) == count

    await until(is_so)


async def test_a_paused_task_waits_in_its_order_while_others_run(docket: Docket, runs: Runs) -> None:
    assert await docket.pause(runs.job, reason="provider down", by="ops")
    async with working(Worker(docket, concurrency=1)):
        await runs.add(1, 2, 3)
        await docket.add(runs.other)("other")
        await waiting(docket, 3)
        await runs.have("other")
        (pause,) = await docket.pauses()
        assert (pause.task, pause.reason, pause.by) == ("job", "provider down", "ops")
        assert await docket.resume("job") == 3
        await runs.have("other", 1, 2, 3)
    assert await docket.pauses() == []


async def test_it_is_in_force_once_it_has_returned_for_readers_that_wait(docket: Docket, runs: Runs) -> None:
    async with working(Worker(docket, concurrency=1)):
        await docket.add(runs.other)("first")
        await runs.have("first")  # now the reader waits in the server
        await docket.pause()
        await runs.add(1, 2, 3)
        await waiting(docket, 3)
        await anyio.sleep(0.05)
        assert runs.all == ["first"]
        await docket.resume()
        await runs.have("first", 1, 2, 3)


async def test_what_runs_goes_on_and_is_settled_while_all_are_paused(docket: Docket, runs: Runs) -> None:
    runs.gate = anyio.Event()
    async with working(Worker(docket, concurrency=2)):
        execution = await docket.add(runs.job)(1)
        await runs.have(1)
        await docket.pause()
        await docket.add(runs.other)("waits")
        await waiting(docket, 1)
        runs.gate.set()
        async with at_most():
            await execution.get_result()
        await execution.sync()
        assert execution.state is ExecutionState.COMPLETED
        assert runs.all == [1]


async def test_what_a_take_has_brought_before_goes_on(
    docket: Docket, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Claims.take_settling

    async def then_paused(claims: Claims, count: int, ended: Sequence[Any], *, asked: str = "") -> Any:
        reply = await take(claims, count, ended, asked=asked)
        if reply[0]:
            await docket.pause("job")
        return reply

    monkeypatch.setattr(Claims, "take_settling", then_paused)
    await runs.add(1, 2)
    async with working(Worker(docket, concurrency=1)):
        await waiting(docket, 1)
        await runs.have(1)


async def test_a_retry_waits_and_is_the_next_attempt(docket: Docket) -> None:
    attempts: list[int] = []

    async def flaky(
        execution: Execution[None] = CurrentExecution(), retry: Retry = Retry(attempts=3, delay=ms(1))
    ) -> None:
        attempts.append(execution.attempt)
        if len(attempts) == 1:
            await docket.pause("flaky")
            raise ValueError("once")

    docket.register(flaky)
    execution = await docket.add(flaky, key="k")()
    async with working(Worker(docket)):
        await waiting(docket, 1)
        found = await docket.get_execution("k")
        assert found is not None
        assert (found.attempt, found.last_error, found.is_paused) == (2, "ValueError: once", True)
        await docket.resume("flaky")
        async with at_most():
            await execution.get_result()
    assert attempts == [1, 2]


async def test_a_strike_is_judged_after_the_resume(docket: Docket, runs: Runs) -> None:
    await docket.pause("job")
    async with working(Worker(docket)):
        await runs.add(1, 2)
        await waiting(docket, 2)
        await docket.strike("job", "number", "==", 1)
        await docket.resume("job")
        await runs.have(2)
        found = await docket.get_execution("job-1")
        assert found is not None
        await until(lambda: _is(docket, "job-1", ExecutionState.CANCELLED))


async def _is(docket: Docket, key: str, state: ExecutionState) -> bool:
    found = await docket.get_execution(key)
    return found is not None and found.state is state


async def test_a_paused_task_takes_no_slot(docket: Docket, runs: Runs) -> None:
    async def alone(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(max_concurrent=1)) -> None:
        runs.all.append(number)
        if runs.gate is not None:
            await runs.gate.wait()

    docket.register(alone)
    runs.gate = anyio.Event()
    async with working(Worker(docket)):
        await docket.add(alone)(0)
        await runs.have(0)
        await docket.add_many([docket.call(alone)(n) for n in (1, 2, 3)])

        async def all_wait() -> bool:
            return [each.waiting for each in await docket.concurrency()] == [3]

        await until(all_wait)
        await docket.pause(alone)
        runs.gate.set()
        await waiting(docket, 3)
        assert await docket.concurrency() == []
        await docket.resume(alone)
        await runs.have(0, 1, 2, 3)


async def test_what_workers_died_of_still_counts(docket: Docket, runs: Runs) -> None:
    await runs.add(1)
    dead = docket.store.claims("dead")
    await dead.create_group()
    assert len(await dead.take(1)) == 1
    await docket.pause("job")
    async with working(Worker(docket, redelivery_timeout=ms(200), max_deliveries=1)):
        await waiting(docket, 1)
        await docket.resume("job")
        await until(lambda: _is(docket, "job-1", ExecutionState.FAILED))
    found = await docket.get_execution("job-1")
    assert found is not None
    assert found.error is not None
    assert "DeliveryLimitExceeded" in found.error
    assert runs.all == []


async def test_what_a_dead_worker_holds_is_not_taken_over_before_the_resume(
    docket: Docket, runs: Runs
) -> None:
    await runs.add(1)
    dead = docket.store.claims("dead")
    await dead.create_group()
    assert len(await dead.take(1)) == 1
    await docket.pause()
    async with working(Worker(docket, redelivery_timeout=ms(200))):
        await anyio.sleep(0.5)
        assert runs.all == []
        (pending,) = await dead.sweeping.look()
        assert (pending.holder, pending.deliveries) == (b"dead", 1)
        await docket.resume()
        await runs.have(1)


@pytest.mark.parametrize("paused", ["job", None])
async def test_a_worker_until_finished_waits_and_says_so_once(
    docket: Docket, runs: Runs, paused: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    await docket.pause(paused)
    await runs.add(1, 2)

    def said() -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if "waits for what is paused" in record.getMessage()
        ]

    with caplog.at_level(logging.INFO):
        async with at_most(), anyio.create_task_group() as group:
            group.start_soon(Worker(docket, "w", minimum_check_interval=ms(1)).run_until_finished)
            await until(lambda: len(said()) == 1)
            await runs.add(3)
            await waiting(docket, 3)
            assert runs.all == []
            await docket.resume(paused)
    assert sorted(map(str, runs.all)) == ["1", "2", "3"]
    (line,) = said()
    assert line == f"Worker 'w' waits for what is paused to be resumed: {paused or 'all tasks'} (2 waiting)"


@pytest.mark.parametrize("paused", ["job", None])
async def test_a_worker_until_finished_ends_where_nothing_waits(
    docket: Docket, runs: Runs, paused: str | None
) -> None:
    await docket.pause(paused)
    async with at_most():
        await Worker(docket).run_until_finished()


async def test_what_is_cancelled_meanwhile_finishes_the_docket(docket: Docket, runs: Runs) -> None:
    await docket.pause("job")
    await runs.add(1)
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(Worker(docket).run_until_finished)
        await waiting(docket, 1)
        assert await docket.cancel("job-1")
    assert runs.all == []


async def test_a_worker_stops_while_its_docket_is_paused(docket: Docket, runs: Runs) -> None:
    worker = Worker(docket)
    await docket.pause()
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await runs.add(1)
        await waiting(docket, 1)
        worker.stop()
    assert runs.all == []


async def test_what_is_handed_back_waits(docket: Docket, runs: Runs) -> None:
    runs.gate = anyio.Event()
    worker = Worker(docket)
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await runs.add(1)
        await runs.have(1)
        await docket.pause("job")
        worker.hand_back()
    async with working(Worker(docket)):
        await waiting(docket, 1)
        assert runs.all == [1]
        runs.gate = None
        await docket.resume("job")
        await runs.have(1, 1)


async def test_what_a_resume_has_left_is_moved_by_a_worker(
    docket: Docket, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await docket.pause("job")
    async with working(Worker(docket, concurrency=1, redelivery_timeout=ms(300))):
        await runs.add(*range(5))
        await waiting(docket, 5)
        monkeypatch.setattr("docket.store.pauses.RESUME_CHUNK", 2)
        assert await Pauses._step(docket.store.pauses, "job", begins=True) == (True, 2, 3)
        await runs.have(0, 1, 2, 3, 4)


async def test_what_waits_says_that_it_is_paused(docket: Docket, runs: Runs) -> None:
    await runs.add(1)
    await docket.add(runs.other, key="other")("x")

    async def paused() -> list[str]:
        found = [each.key for each in (await docket.snapshot()).future if each.is_paused]
        for key in "job-1", "other":
            execution = await docket.get_execution(key)
            assert execution is not None
            assert execution.is_paused == (key in found)
        return sorted(found)

    assert await paused() == []
    await docket.pause("job")
    assert await paused() == ["job-1"]
    await docket.pause()
    assert await paused() == ["job-1", "other"]
    await docket.resume()
    async with working(Worker(docket)):
        await waiting(docket, 1)
        assert await paused() == ["job-1"]
        execution = await docket.get_execution("job-1")
        assert execution is not None
        await docket.resume("job")
        await runs.have("x", 1)
        await execution.sync()
        assert not execution.is_paused


async def test_a_word_that_was_lost_is_made_up_for(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, anyio_backend: Any
) -> None:
    """A reader that waits for a resume looks every few seconds."""
    monkeypatch.setattr(reader, "PAUSE_LOOK", ms(50))
    async with Docket("lost-word", redis_url) as docket:
        runs = Runs(docket)
        await docket.pause()
        async with working(Worker(docket)):
            await runs.add(1)
            await waiting(docket, 1)
            await docket.client.call("HDEL", docket.keys.pauses, "*")
            await runs.have(1)


async def test_the_worker_says_nothing_about_pauses_that_do_not_concern_it(docket: Docket) -> None:
    ran: list[int] = []

    async def beat(perpetual: Perpetual = Perpetual(every=ms(1))) -> None:
        ran.append(1)
        if len(ran) == 3:
            perpetual.cancel()

    docket.register(beat)
    await docket.pause("another")
    await docket.add(beat)()
    async with at_most():
        await Worker(docket).run_until_finished()
    assert len(ran) == 3


async def test_a_worker_until_finished_ends_wherever_its_reader_is_as_all_tasks_are_resumed() -> None:
    """On memory:// nobody asks again: what it missed there, it missed for ever."""
    for turns in range(40):
        async with Docket("d", f"memory://resumed-{turns}") as docket:

            async def pauses(turns: int = turns, docket: Docket = docket) -> None:
                await docket.pause()
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                await docket.resume()

            await docket.add(pauses)()
            with anyio.fail_after(10):
                await Worker(docket, "w").run_until_finished()
