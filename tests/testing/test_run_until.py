"""`docket.testing.run_until`: everything that becomes due until a moment, in order, and no more."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, Perpetual, Retry, Worker, clock, testing
from tests.where import virtual_time

pytestmark = [pytest.mark.anyio, virtual_time]

HOUR = timedelta(hours=1)


@pytest.fixture
async def docket(memory_url: str, anyio_backend: Any) -> AsyncGenerator[Docket]:
    async with Docket("d", memory_url) as docket:
        yield docket


ran: list[tuple[str, float]] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def note(name: str, began: datetime) -> None:
    ran.append((name, round((clock.now() - began) / HOUR, 3)))


async def test_what_becomes_due_runs_in_order_and_the_rest_stays(docket: Docket) -> None:
    began = clock.now()
    for hours in (3, 1, 2, 5, 4):
        await docket.add(note, when=began + hours * HOUR, key=f"{hours}")(f"{hours}", began)
    await testing.run_until(docket, began + 3 * HOUR)
    assert ran == [("1", 1), ("2", 2), ("3", 3)]
    assert abs(clock.now() - began - 3 * HOUR) < timedelta(seconds=1)
    await testing.assert_task_count(docket, note, count=2)
    await testing.run_until(docket, began + 10 * HOUR)
    assert ran[3:] == [("4", 4), ("5", 5)]
    await testing.assert_no_tasks(docket)


async def test_a_perpetual_task_runs_as_often_as_it_is_due(docket: Docket) -> None:
    async def ticks(perpetual: Perpetual = Perpetual(every=HOUR, automatic=True)) -> None:
        ran.append(("tick", 0))

    docket.register(ticks)
    began = clock.now()
    await testing.run_until(docket, began + 3.5 * HOUR)
    assert len(ran) == 4
    await testing.assert_task_scheduled(docket, ticks)
    await testing.run_until(docket, began + 5.5 * HOUR)
    assert len(ran) == 6


async def test_what_comes_of_the_last_moment_belongs_to_it(docket: Docket) -> None:
    """A task that a task adds, and an attempt that is repeated at once."""
    began = clock.now()

    async def adds(retry: Retry = Retry(attempts=2)) -> None:
        if retry.attempt == 1:
            raise ValueError("once more")
        await docket.add(note)("added", began)

    await docket.add(adds, when=began + HOUR)()
    await testing.run_until(docket, began + HOUR)
    assert ran == [("added", 1)]


async def test_what_still_runs_is_finished(docket: Docket) -> None:
    began = clock.now()

    async def sleeps() -> None:
        await anyio.sleep(10)
        ran.append(("slept", 0))

    await docket.add(sleeps)()
    await testing.run_until(docket, began + timedelta(seconds=5))
    assert ran == [("slept", 0)]


async def test_more_than_there_are_slots_for(docket: Docket) -> None:
    began = clock.now()

    async def sleeps(number: int) -> None:
        await anyio.sleep(60)
        ran.append((str(number), 0))

    for number in range(7):
        await docket.add(sleeps)(number)
    await testing.run_until(Worker(docket, concurrency=2, shutdown_timeout=HOUR), began)
    assert sorted(ran) == [(str(number), 0) for number in range(7)]


async def test_a_moment_that_has_passed_runs_what_is_due_now(docket: Docket) -> None:
    began = clock.now()
    await docket.add(note, when=began - HOUR)("late", began)
    await docket.add(note, when=began + HOUR)("later", began)
    await testing.run_until(docket, began - HOUR)
    assert ran == [("late", 0)]


async def test_a_moment_without_a_time_zone_is_refused(docket: Docket) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        await testing.run_until(docket, clock.now().replace(tzinfo=None))
