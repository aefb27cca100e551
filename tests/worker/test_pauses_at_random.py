"""Pauses in virtual time: nothing polls, nothing piles up, and whatever is done in whatever order is kept in order."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio
import attrs
import pytest

from docket import Cron, Docket, Perpetual, Worker
from docket.store import Claims
from tests.where import virtual_time
from tests.worker.conftest import working

pytestmark = [pytest.mark.anyio, virtual_time]

LEASE = timedelta(seconds=20)
#: Longer than whatever goes on by itself takes in these tests.
SETTLED = 100


@pytest.fixture
async def docket() -> AsyncIterator[Docket]:
    async with Docket("pauses", "memory://") as docket:
        yield docket


class Calls:
    """How often the scripts run that take tasks."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for name in ("take_settling", "take_over", "wait_for_tasks"):
            patch.setattr(Claims, name, self._counted(getattr(Claims, name)))

    def _counted(self, call: Any) -> Any:
        async def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return await call(*args, **kwargs)

        return counted


async def test_nothing_polls_and_nothing_moves_while_all_are_paused(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a worker has died, too."""
    ran: list[int] = []

    async def job(number: int) -> None:
        ran.append(number)

    docket.register(job)
    await docket.add_many([docket.call(job)(number) for number in range(1000)])
    dead = docket.store.claims("dead")
    await dead.create_group()
    assert len(await dead.take(3)) == 3
    await docket.pause()
    async with working_for_long(Worker(docket, concurrency=1, redelivery_timeout=LEASE)):
        await anyio.sleep(SETTLED)
        calls = Calls(monkeypatch)
        await anyio.sleep(24 * 3600)
        assert calls.count == 0
        assert ran == []
        assert [each.waiting for each in await docket.pauses()] == [997]
        assert await docket.client.call("XLEN", docket.keys.stream) == 1000
        await docket.resume()
        await anyio.sleep(SETTLED)
    assert sorted(ran) == [*range(1000)]
    assert [number for number in ran if number > 2] == [*range(3, 1000)]


async def test_runs_of_chains_do_not_pile_up(docket: Docket) -> None:
    beats: list[float] = []
    ticks: list[float] = []
    began = anyio.current_time()

    async def beat(perpetual: Perpetual = Perpetual(every=timedelta(minutes=1), automatic=True)) -> None:
        beats.append(anyio.current_time() - began)

    async def tick(cron: Cron = Cron("0 * * * *", automatic=True)) -> None:
        ticks.append(anyio.current_time() - began)

    docket.register(beat)
    docket.register(tick)
    async with working_for_long(Worker(docket)):
        await anyio.sleep(90)
        assert beats == pytest.approx([0, 60])
        await docket.pause("beat")
        await docket.pause("tick")
        await anyio.sleep(12 * 3600 + 30)
        assert len(beats) == 2
        before = len(ticks)
        assert [each.waiting for each in await docket.pauses()] == [1, 1]
        await docket.resume("beat")
        await docket.resume("tick")
        await anyio.sleep(1)
        assert (len(beats), len(ticks)) == (3, before + 1)
        await anyio.sleep(120)
        assert len(beats) == 5


def working_for_long(*workers: Worker) -> Any:
    """As `working`, with patience for days of virtual time."""
    return working(*workers, patience=10**6)


@attrs.define
class Model:
    """What is to run, and in which order: one worker, which runs one task at a time."""

    paused: set[str] = attrs.field(factory=set[str])
    queued: list[tuple[str, int]] = attrs.field(factory=list[tuple[str, int]])
    aside: dict[str, list[tuple[str, int]]] = attrs.field(factory=dict[str, list[tuple[str, int]]])
    ran: list[tuple[str, int]] = attrs.field(factory=list[tuple[str, int]])

    def settle(self) -> None:
        """What the worker does with what is queued."""
        if "*" in self.paused:
            return
        for task, number in self.queued:
            (self.aside.setdefault(task, []) if task in self.paused else self.ran).append((task, number))
        self.queued = []

    def resume(self, task: str) -> int:
        moved = self.aside.pop(task, [])
        self.paused.discard(task)
        self.queued += moved
        return len(moved)

    def forget(self, number: int) -> None:
        for row in (self.queued, *self.aside.values()):
            row[:] = [each for each in row if each[1] != number]

    @property
    def waiting(self) -> list[tuple[str, int]]:
        return [*self.queued, *(each for row in self.aside.values() for each in row)]


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_is_done_everything_runs_once_and_in_order(docket: Docket, seed: int) -> None:
    """Adds, pauses, resumes, cancellations and workers that die with what they have taken, at random."""
    pick = random.Random(seed)
    ran: list[tuple[str, int]] = []
    tasks = ["a", "b", "c"]

    def task(name: str) -> Any:
        async def run(number: int) -> None:
            ran.append((name, number))

        return run

    for name in tasks:
        docket.register(task(name), names=[name])
    model, count = Model(), 0
    for _ in range(12):
        async with working_for_long(Worker(docket, concurrency=1, redelivery_timeout=LEASE)):
            await anyio.sleep(SETTLED)  # what a dead worker had is delivered again, or lined up
            model.settle()
            for _ in range(pick.randint(1, 8)):
                match pick.choice(("add", "add", "pause", "resume", "cancel")):
                    case "add":
                        for _ in range(pick.randint(1, 12)):
                            name, count = pick.choice(tasks), count + 1
                            await docket.add(name, key=f"k{count}")(count)
                            model.queued.append((name, count))
                    case "pause":
                        name = pick.choice([*tasks, "*"])
                        assert await docket.pause(None if name == "*" else name) == (name not in model.paused)
                        model.paused.add(name)
                    case "resume":
                        name = pick.choice([*tasks, "*"])
                        assert await docket.resume(None if name == "*" else name) == model.resume(name)
                    case _ if model.waiting:
                        _, number = pick.choice(model.waiting)
                        await docket.cancel(f"k{number}")
                        model.forget(number)
                    case _:
                        pass
                await anyio.sleep(SETTLED)
                model.settle()
                assert ran == model.ran
        if not model.paused and pick.random() < 0.7:  # a worker dies with some, which are then paused, or not
            for _ in range(pick.randint(1, 5)):
                name, count = pick.choice(tasks), count + 1
                await docket.add(name, key=f"k{count}")(count)
                model.queued.append((name, count))
            await docket.store.claims("dead").take(100)
            for name in pick.sample(tasks, pick.randint(0, 2)):
                await docket.pause(name)
                model.paused.add(name)
    for name in [*tasks, "*"]:
        await docket.resume(None if name == "*" else name)
        model.resume(name)
    await Worker(docket, concurrency=1, redelivery_timeout=LEASE).run_until_finished()
    model.settle()
    assert ran == model.ran
    assert (
        await docket.client.call("EXISTS", docket.keys.waiting, docket.keys.limits, docket.keys.pauses) == 0
    )
