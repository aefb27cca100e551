"""Ends that leave with the next take: fewer scripts, and no end is lost, late or written twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from redis.exceptions import ConnectionError

from docket import Docket, Execution, ExecutionState, Perpetual, Retry
from docket.store import Again, Claims, Delivery, Ended, Settled, Taken
from tests.durations import ms
from tests.where import on_asyncio
from tests.worker.conftest import a_worker, at_most, working

pytestmark = pytest.mark.anyio


class Written:
    """How each end is written, by task key: alone, or with a take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alone, self.together = Counter[str](), Counter[str]()
        settle, reschedule, take_settling = Claims.settle, Claims.reschedule, Claims.take_settling

        async def counted(claims: Claims, delivery: Delivery, ended: Ended) -> Settled:
            self.alone[delivery.message.key] += 1
            return await settle(claims, delivery, ended)

        async def rescheduled(claims: Claims, delivery: Delivery, again: Again) -> Settled:
            self.alone[delivery.message.key] += 1
            return await reschedule(claims, delivery, again)

        async def counted_too(
            claims: Claims, count: int, ended: Sequence[tuple[Delivery, Ended | Again]], **options: Any
        ) -> tuple[list[Taken], list[Settled | None]]:
            self.together.update(delivery.message.key for delivery, _ in ended)
            return await take_settling(claims, count, ended, **options)

        monkeypatch.setattr(Claims, "settle", counted)
        monkeypatch.setattr(Claims, "reschedule", rescheduled)
        monkeypatch.setattr(Claims, "take_settling", counted_too)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    return Written(monkeypatch)


async def echo(value: int) -> int:
    if value % 7 == 3:
        raise ValueError(value)
    return value


async def states(executions: Sequence[Execution[Any]]) -> list[ExecutionState]:
    for execution in executions:
        await execution.sync()
    return [execution.state for execution in executions]


async def test_a_busy_worker_writes_most_ends_with_its_takes(docket: Docket, written: Written) -> None:
    executions = [await docket.add(echo, key=f"{n}")(n) for n in range(60)]
    async with at_most():
        await a_worker(docket, concurrency=5).run_until_finished()
    failed = [ExecutionState.FAILED if n % 7 == 3 else ExecutionState.COMPLETED for n in range(60)]
    assert await states(executions) == failed
    assert [await one.get_result() for one in executions if one.state is ExecutionState.COMPLETED] == [
        n for n in range(60) if n % 7 != 3
    ]
    assert len(written.together) > 40
    assert set((written.alone + written.together).values()) == {1}


async def test_so_it_does_with_what_is_tried_again_and_with_what_repeats_itself(
    docket: Docket, written: Written
) -> None:
    runs = Counter[str]()

    async def flaky(key: str, retry: Retry = Retry(attempts=3)) -> int:
        runs[key] += 1
        if retry.attempt < 3:
            raise ValueError(key)
        return retry.attempt

    async def repeat(key: str, again: Perpetual = Perpetual()) -> None:
        runs[key] += 1
        if runs[key] == 3:
            again.cancel()

    executions = [await docket.add(flaky, key=f"f{n}")(f"f{n}") for n in range(20)]
    for n in range(20):
        await docket.add(repeat, key=f"r{n}")(f"r{n}")
    async with at_most():
        await a_worker(docket, concurrency=5).run_until_finished()
    assert set(runs.values()) == {3}
    assert [await one.get_result() for one in executions] == [3] * 20
    assert written.together.total() > 80
    assert set((written.alone + written.together).values()) == {3}


async def test_a_next_run_whose_cancellation_was_requested_is_none(docket: Docket, written: Written) -> None:
    """The take writes nothing about it then: it is cancelled by itself."""

    async def stubborn(retry: Retry = Retry(attempts=3)) -> None:
        async with docket.redis() as redis:  # as where the request comes while the run ends
            await redis.hset(docket.keys.run("k"), "cancel_requested", 1)
        raise ValueError

    async def other() -> None: ...

    execution = await docket.add(stubborn, key="k")()
    for _ in range(20):
        await docket.add(other)()
    async with at_most():
        await a_worker(docket, concurrency=2).run_until_finished()
    assert await states([execution]) == [ExecutionState.CANCELLED]
    assert (written.together["k"], written.alone["k"]) == (1, 2)  # and once as cancelled


async def test_an_end_does_not_wait_where_the_worker_has_nothing_to_take(
    docket: Docket, written: Written
) -> None:
    worker = a_worker(docket)

    async def task() -> None:
        session = worker._session
        assert session is not None
        await session.reader.wait_idle()

    async with working(worker):
        execution = await docket.add(task, key="k")()
        await execution.get_result()
    assert (written.alone, written.together) == (Counter("k"), Counter())


async def test_an_end_does_not_wait_for_capacity_that_was_withdrawn(docket: Docket, written: Written) -> None:
    worker = a_worker(docket, concurrency=3)
    begun, held, first = list[int](), anyio.Event(), anyio.Event()

    async def task(number: int) -> None:
        begun.append(number)
        await (held if number else first).wait()

    executions = [await docket.add(task, key=f"{n}")(n) for n in range(5)]
    async with working(worker):
        while len(begun) < 3:
            await anyio.sleep(0)
        worker.concurrency = 1
        first.set()
        await executions[0].get_result()
        assert (sorted(begun), written.alone) == ([0, 1, 2], Counter("0"))
        held.set()
        for execution in executions[1:]:
            await execution.get_result()


@on_asyncio  # trio may end each of them after the reader has looked
async def test_ends_leave_together_where_all_there_was_has_been_taken(
    docket: Docket, written: Written
) -> None:
    for n in range(3):
        await docket.add(echo, key=f"{n}")(n)
    async with at_most():
        await a_worker(docket).run_until_finished()
    assert (written.alone, len(written.together)) == (Counter(), 3)


async def test_so_it_does_where_it_came_during_a_take(
    docket: Docket, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = a_worker(docket, concurrency=3)
    begun, ends = list[int](), [anyio.Event() for _ in range(5)]
    on_its_way, goes_on, take = anyio.Event(), anyio.Event(), Claims.take_settling

    async def held_up(claims: Claims, count: int, ended: Sequence[Any], **options: Any) -> Any:
        answer = await take(claims, count, ended, **options)
        if ended and not on_its_way.is_set():
            on_its_way.set()
            await goes_on.wait()
        return answer

    monkeypatch.setattr(Claims, "take_settling", held_up)

    async def task(number: int) -> None:
        begun.append(number)
        await ends[number].wait()

    executions = [await docket.add(task, key=f"{n}")(n) for n in range(5)]
    async with at_most(), working(worker):
        while len(begun) < 3:
            await anyio.sleep(0)
        ends[0].set()
        await on_its_way.wait()
        worker.concurrency = 1
        ends[1].set()
        await anyio.wait_all_tasks_blocked()
        goes_on.set()
        await executions[1].get_result()
        for end in ends:
            end.set()


async def test_a_large_result_does_not_leave_with_others(docket: Docket, written: Written) -> None:
    async def text(length: int) -> str:
        return "x" * length

    async def with_arguments(text: str, retry: Retry = Retry(attempts=2)) -> None:
        if retry.attempt == 1:
            raise ValueError

    for n in range(9):
        await docket.add(text, key=f"{n}")(10**5 if n == 4 else 10)
    await docket.add(with_arguments, key="retried")("x" * 10**5)
    async with at_most():
        await a_worker(docket, concurrency=1).run_until_finished()
    assert (written.together["4"], written.alone["retried"]) == (0, 1)
    assert len(written.together) > 5


async def test_an_end_that_cannot_be_written_leaves_the_others_alone(
    docket: Docket, written: Written
) -> None:
    """I9: the record of its run is no hash any more."""

    async def spoil(key: str) -> None:
        async with docket.redis() as redis:
            await redis.set(docket.runs_key(key), "no hash")

    executions = [await docket.add(echo, key=f"{n}")(n) for n in (0, 1)]
    await docket.add(spoil, key="spoilt")("spoilt")
    executions += [await docket.add(echo, key=f"{n}")(n) for n in (4, 5)]
    async with at_most():
        await a_worker(docket, concurrency=2).run_until_finished()
    assert await states(executions) == [ExecutionState.COMPLETED] * 4
    assert written.together["spoilt"] <= 1 <= written.alone["spoilt"]
    async with docket.redis() as redis:
        assert await redis.xlen(docket.keys.dead) == 1
        assert await redis.xlen(docket.keys.stream) == 0


@pytest.mark.parametrize("is_executed", [False, True])
async def test_ends_whose_take_is_lost_are_written_once(
    docket: Docket, monkeypatch: pytest.MonkeyPatch, is_executed: bool
) -> None:
    take_settling, ran, lost = Claims.take_settling, Counter[int](), list[int]()

    async def task(number: int) -> None:
        ran[number] += 1

    async def losing(claims: Claims, count: int, ended: Any, **options: Any) -> Any:
        if ended and not lost:
            lost.append(len(ended))
            if is_executed:
                await take_settling(claims, count, ended, **options)
            raise ConnectionError("lost")
        return await take_settling(claims, count, ended, **options)

    monkeypatch.setattr(Claims, "take_settling", losing)
    executions = [await docket.add(task)(number) for number in range(5)]
    async with at_most():
        await a_worker(docket, concurrency=1, reconnection_delay=ms(1)).run_until_finished()
    assert lost == [1]
    assert ran == Counter(range(5))
    assert await states(executions) == [ExecutionState.COMPLETED] * 5
