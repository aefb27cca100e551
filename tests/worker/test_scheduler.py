"""The scheduler sleeps until the next due moment, and is woken by earlier additions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from docket import Docket, Worker, clock
from docket.store import DueTasks, Moved, dump
from docket.worker.intake.scheduler import Scheduler
from tests.durations import ms
from tests.where import virtual_time
from tests.worker.conftest import working

pytestmark = pytest.mark.anyio


def now() -> datetime:
    return datetime.now(UTC)


class Queue:
    """What a scheduler moves tasks from. Nothing is due by our clock; ``looks`` are counted."""

    def __init__(self, next_due: float | None) -> None:
        self.client = SimpleNamespace(is_memory=False)
        self.next_due, self.looks = next_due, 0

    async def move(self, limit: int) -> Moved:
        self.looks += 1
        return Moved(0, self.next_due)


class Moves:
    """Counts the calls of the scheduler; ``changed`` is set at each."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.limits: list[int] = []
        self.counts: list[int] = []
        self.changed = anyio.Event()
        original = DueTasks.move

        async def move(due: DueTasks, limit: int) -> Moved:
            moved = await original(due, limit)
            self.limits.append(limit)
            self.counts.append(moved.count)
            self.changed.set()
            self.changed = anyio.Event()
            return moved

        patch.setattr(DueTasks, "move", move)

    async def wait_for(self, number: int) -> None:
        while len(self.limits) < number:
            await self.changed.wait()


@pytest.mark.parametrize("early", [ms(1), ms(100)])
@virtual_time
async def test_a_task_starts_at_the_moment_when_it_is_due(docket: Docket, early: timedelta) -> None:
    started: list[datetime] = []

    async def task() -> None:
        started.append(clock.now())

    due = clock.now() + timedelta(seconds=9)
    async with working(Worker(docket)):
        await docket.add(task, when=due)()
        await anyio.sleep((due - clock.now() - early).total_seconds())
        assert not started
        await anyio.sleep(early.total_seconds() + 0.001)
    assert ms(0) <= started[0] - due < ms(1)


async def test_no_task_starts_before_it_is_due(docket: Docket) -> None:
    started: list[datetime] = []
    ran = anyio.Event()

    async def task() -> None:
        started.append(now())
        ran.set()

    async with working(Worker(docket)):
        due = now() + ms(120)
        await docket.add(task, when=due)()
        await ran.wait()
    assert started[0] >= due


async def test_an_earlier_task_wakes_the_scheduler_from_a_longer_sleep(docket: Docket) -> None:
    ran = anyio.Event()

    async def late() -> None:
        raise AssertionError("not today")

    async def early() -> None:
        ran.set()

    await docket.add(late, when=now() + timedelta(days=1))()
    async with working(Worker(docket)):
        await docket.add(early, when=now() + ms(50))()
        await ran.wait()


@virtual_time
async def test_a_task_that_is_announced_while_due_tasks_are_moved_is_not_forgotten(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is later than what is moved then, and what the server said then of the next ones is of before."""
    move, late = DueTasks.move, list[datetime]()

    async def task() -> None: ...

    async def moved_while_one_is_added(due: DueTasks, limit: int) -> Moved:
        moved = await move(due, limit)
        if moved.count and not late:
            late.append(clock.now() + ms(10))
            await docket.add(task, when=late[0], key="late")()
            await anyio.sleep(0.001)  # it is announced before the answer is here
        return moved

    monkeypatch.setattr(DueTasks, "move", moved_while_one_is_added)
    async with working(Worker(docket)):
        await docket.add(task, when=clock.now() + ms(5), key="first")()
        await anyio.sleep(1)
        execution = await docket.get_execution("late")
    assert execution is not None
    assert execution.state == "completed"


async def test_the_scheduler_sleeps_while_nothing_is_due(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not poll each ``scheduling_resolution`` unless clients of pydocket use the docket."""
    moves = Moves(monkeypatch)

    async def later() -> None: ...

    await docket.add(later, when=now() + timedelta(days=1))()
    docket.heartbeat_interval = ms(40)
    async with working(Worker(docket, scheduling_resolution=ms(10))):
        await moves.wait_for(1)
        async with anyio.create_task_group() as group:
            group.start_soon(docket.add(later, when=now() + timedelta(hours=1)))
            group.start_soon(docket.add(later, when=now() + timedelta(hours=2)))
        # Several heartbeats and resolutions go by; the scheduler must ask for nothing in them.
        await anyio.sleep(0.4)
    assert len(moves.limits) <= 5


async def test_due_tasks_are_moved_in_bounded_batches(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []

    async def task(number: int) -> None:
        ran.append(number)

    due = now() + ms(150)
    await docket.add_many([docket.call(task, when=due)(number) for number in range(600)])
    await anyio.sleep(max((due - now()).total_seconds(), 0))  # all of them are due when the worker starts
    moves = Moves(monkeypatch)
    with anyio.fail_after(20):
        await Worker(docket, concurrency=100).run_until_finished()
    assert sorted(ran) == list(range(600))
    assert max(moves.counts) <= max(moves.limits) <= 250


async def test_tasks_of_a_client_that_announces_nothing_are_found_and_then_looked_for(redis_url: str) -> None:
    """pydocket's clients write the same keys, and publish nothing (WIRE 9)."""
    runs: list[anyio.Event] = [anyio.Event(), anyio.Event()]

    async def foreign(number: int) -> None:
        runs[number].set()

    async def add_as_pydocket_does(docket: Docket, number: int, when: datetime) -> None:
        key = f"foreign-{number}"
        message: dict[str, Any] = {
            "key": key, "when": when.isoformat(), "function": "foreign", "args": dump((number,)),
            "kwargs": dump({}), "attempt": 1, "generation": 1,
        }  # fmt: skip
        async with docket.redis() as redis, redis.pipeline() as pipe:
            pipe.hset(docket.parked_task_key(key), mapping=message)
            pipe.zadd(docket.queue_key, {key: when.timestamp()})
            pipe.hset(docket.runs_key(key), mapping={"state": "scheduled", "generation": 1, "known": 1})
            await pipe.execute()

    async with Docket("shared", redis_url, heartbeat_interval=ms(50)) as docket:
        docket.register(foreign)
        async with working(Worker(docket, scheduling_resolution=ms(20))):
            await add_as_pydocket_does(docket, 0, now() + ms(100))
            await runs[0].wait()
            docket.heartbeat_interval = timedelta(days=1)  # from here on only the resolution finds anything
            await anyio.sleep(0.1)
            await add_as_pydocket_does(docket, 1, now())
            await runs[1].wait()


async def test_a_heartbeat_finds_that_the_clock_has_passed_what_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began = clock.timestamp()
    queue: Any = Queue(began + 1000)
    scheduler = Scheduler(queue, ms(250))
    async with anyio.create_task_group() as group:
        group.start_soon(scheduler.run, lambda: None)
        await anyio.wait_all_tasks_blocked()
        scheduler.note_first(None)
        await anyio.wait_all_tasks_blocked()
        assert queue.looks == 1
        monkeypatch.setattr(clock, "timestamp", lambda: began + 2000)
        queue.next_due = None
        scheduler.note_first(None)
        await anyio.wait_all_tasks_blocked()
        assert queue.looks == 2
        group.cancel_scope.cancel()


async def test_a_heartbeat_finds_what_is_due_at_a_moment_that_was_announced_of_another() -> None:
    queue: Any = Queue(None)
    scheduler = Scheduler(queue, ms(250))
    due = clock.timestamp()
    async with anyio.create_task_group() as group:
        group.start_soon(scheduler.run, lambda: None)
        await anyio.wait_all_tasks_blocked()
        scheduler.announce(str(due))  # and cancelled, before the scheduler has looked
        await anyio.wait_all_tasks_blocked()
        scheduler.note_first(due)
        await anyio.wait_all_tasks_blocked()
        assert queue.looks == 3
        group.cancel_scope.cancel()
