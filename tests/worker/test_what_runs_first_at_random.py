"""Levels, turns, expiry, pauses, chains and what runs once more, in whatever order things are done and workers die.

``DOCKET_MIXES=100 pytest tests/worker/test_what_runs_first_at_random.py`` tries a hundred seeds, from that of
``DOCKET_MIXES_FROM`` on. What has happened is printed where one fails.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from docket import Docket, Execution, ExecutionState, FairShare, Perpetual, Priority, Retry, Worker, clock
from docket.store import GROUP, Delivery
from tests.where import virtual_time
from tests.worker.conftest import working
from tests.worker.first_come import ATTEMPTS, DELAY, EVERY, HAIR, LEASE, WEIGHTS, Call, Model
from tests.worker.leftovers import assert_nothing_is_left

pytestmark = [pytest.mark.anyio, virtual_time]

FIRST, MANY = (int(os.environ.get(f"DOCKET_MIXES{name}", "0")) for name in ("_FROM", ""))
SEEDS = range(FIRST, FIRST + (MANY or 25))

KEYS = 12
#: Seconds of virtual time in which all comes to an end.
PATIENCE = 2000
LEASE_TIME = timedelta(seconds=LEASE)


def at(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


class Mix:
    """A docket to which things are done at random, and its model."""

    def __init__(self, docket: Docket, seed: int, group: TaskGroup) -> None:
        self.group = group
        self.outcomes: dict[int, object] = {}
        self.docket, self.pick, self.model = docket, random.Random(seed), Model()
        self.count = 0
        self.faults: list[BaseException] = []
        self.start = clock.timestamp()
        model = self.model

        async def body(number: int, attempt: int) -> None:
            self.tell(f"begin {number} {attempt}")
            try:
                call = model.begins(number)
            except BaseException as fault:
                self.faults.append(fault)
                raise
            try:
                await anyio.sleep(call.seconds)
            except BaseException:
                self.tell(f"stopped {number}")
                model.runs -= 1
                model.stops(call, attempt)
                raise
            self.tell(f"end {number}")
            model.runs -= 1
            if attempt <= call.fails:
                model.raises(call, attempt)
                raise ValueError(number)
            model.returns(call)

        async def plain(
            number: int, retry: Retry = Retry(attempts=ATTEMPTS, delay=timedelta(seconds=DELAY))
        ) -> int:
            await body(number, retry.attempt)
            return number

        async def shared(
            number: int,
            tenant: str,
            retry: Retry = Retry(attempts=ATTEMPTS, delay=timedelta(seconds=DELAY)),
            share: FairShare = FairShare("tenant", weights=WEIGHTS),
        ) -> int:
            await body(number, retry.attempt)
            return number

        async def chain(number: int, perpetual: Perpetual = Perpetual(every=timedelta(seconds=EVERY))) -> int:
            await body(number, 1)
            if not model.calls[number].runs:
                perpetual.cancel()
            return number

        self.tasks: dict[str, Any] = {task.__name__: task for task in (plain, shared, chain)}
        for task in self.tasks.values():
            docket.register(task)

    def tell(self, what: str) -> None:
        """Print what happens: it is shown of a seed that fails."""
        print(f"{clock.timestamp() - self.start:.3f}", what)

    # what is done ----------------------------------------------------------------------------------------

    def _a_call(self) -> Call:
        pick, now = self.pick, clock.timestamp()
        self.count += 1
        call = Call(self.count, f"k{pick.randrange(KEYS)}", pick.choice(list(Priority)), None, now)
        if pick.random() < 0.3:
            call.key = f"own{self.count}"
        match pick.random():
            case chance if chance < 0.5:
                call.task, call.tenant = "shared", pick.choice(["a", "b", "c", ""])
            case chance if chance < 0.6:
                call.task, call.runs = "chain", pick.randint(2, 3)
        if pick.random() < 0.25:
            call.when = round(now + pick.uniform(-2, 20), 6)
        if pick.random() < 0.3 and call.task != "chain":
            call.expires = max(call.when, now) + pick.choice(
                [pick.uniform(0.01, 10), pick.uniform(10, 100), -1]
            )
        call.seconds = pick.choice([0.0, pick.uniform(0, 1), pick.uniform(0, 5)])
        call.fails = pick.choice([0] * 8 + [1, ATTEMPTS]) if call.task != "chain" else 0
        return call

    async def add(self) -> None:
        call = self._a_call()
        await self.sync(call.key)
        docket, task = self.docket, self.tasks[call.task]
        how = self.pick.choice(["skip", "once_more", "once_more", "replace"])
        more: dict[str, Any] = {"priority": call.level}
        if call.expires < math.inf:
            more["expires"] = at(call.expires)
        if how == "replace":
            placing = docket.replace(task, at(call.when), call.key, **more)
        else:
            placing = docket.add(task, at(call.when), call.key, if_running=how, **more)
        expected = self.model.adds(call, how)
        arguments = (call.number,) if call.tenant is None else (call.number, call.tenant)
        execution = await placing(*arguments)
        self.tell(f"{how} {call.told(self.start)}: {execution.disposition.value}")
        assert execution.disposition is expected, f"{call} as {how}"
        self.group.start_soon(self._wait_for, call, execution)

    async def _wait_for(self, call: Call, execution: Execution[int]) -> None:
        outcome: object
        try:
            outcome = await execution.get_result()
        except ValueError as failed:
            outcome = ValueError, *failed.args
        except Exception as error:
            outcome = type(error)
        self.outcomes[call.number] = outcome

    async def cancel(self) -> None:
        if keys := [*self.model.keys]:
            key = self.pick.choice(keys)
            await self.sync(key)
            execution = await self.docket.get_execution(key)
            now = self.model.keys[key].now
            if execution and execution.state is ExecutionState.RUNNING and now and now.state == "waits":
                return  # one read has brought a worker what is due of two lanes, and it has one place
            expected = self.model.cancels(key)
            found = await self.docket.cancel(key)
            self.tell(f"cancel {key} {found}")
            assert found is expected if expected else not found

    async def clear(self) -> None:
        if self.pick.random() < 0.1:
            for key in self.model.keys:
                await self.sync(key)
            expected = self.model.clears()
            self.tell("clear")
            assert await self.docket.clear() == expected

    async def pause(self) -> None:
        task = self.pick.choice(["*", "plain", "shared"])
        self.tell(f"pause {task}")
        await self.docket.pause(None if task == "*" else task)
        self.model.paused.add(task)

    async def resume(self) -> None:
        for task in sorted(self.model.paused):
            for key in self.model.keys:
                await self.sync(key)
            self.tell(f"resume {task}")
            self.model.resumes(task)
            await self.docket.resume(None if task == "*" else task)

    async def die(self) -> None:
        """A worker takes some, and is killed."""
        dead = self.docket.store.claims("dead")
        await dead.create_group()
        for one in await dead.take(self.pick.randint(1, 3)):
            if isinstance(one, Delivery):
                call = self.model.keys[one.message.key].now
                assert call is not None
                self.tell(f"dies with {call.number} {one.expired}")
                self.model.dies_with(call, expired=one.expired)

    async def die_reading(self) -> None:
        """A worker is killed between a read and the claim of what that has brought."""
        dead = self.docket.store.claims("dead")
        await dead.create_group()
        streams = dead.lanes.streams()
        reply: Any = await self.docket.client.call(
            "XREADGROUP", "GROUP", GROUP, "dead", "COUNT", 1, "STREAMS", *streams, *(">" for _ in streams)
        )
        self.model.tidy()
        for _, entries in reply or ():
            for _, fields in entries:
                call = self.model.keys[fields[1].decode()].now
                assert call is not None
                self.tell(f"dies reading {call.number}")
                call.is_read = call.is_moved = call.had_its_turn = True

    async def sync(self, key: str) -> None:
        """What a dead worker had may have been delivered again, and have ended there, or been lined up."""
        self.model.tidy()
        if key not in self.model.keys:
            return
        call = self.model.keys[key].now
        if call is None or call.state != "dead":
            return
        execution = await self.docket.get_execution(key)
        assert execution is not None
        if execution.state is ExecutionState.RUNNING and execution.worker == "dead":
            return
        if call.is_doomed:
            self.model.ends(call, "cancelled")
        else:
            assert execution.state is ExecutionState.SCHEDULED
            assert call.task in self.model.paused
            self.model.was_lined_up(call)

    async def some(self) -> None:
        often = [self.add] * 12
        seldom = [
            self.cancel,
            self.cancel,
            self.pause,
            self.resume,
            self.resume,
            self.die,
            self.die_reading,
            self.clear,
        ]
        pace = self.pick.choice([0.01, 0.3, 2.0])
        for _ in range(self.pick.randint(5, 25)):
            await anyio.sleep(HAIR + self.pick.random() * pace)
            self.assert_nobody_is_idle()
            await self.pick.choice(often + seldom)()
            await anyio.sleep(2 * HAIR)
        if self.pick.random() < 0.2:
            await anyio.sleep(self.pick.uniform(LEASE, 70))

    def assert_nobody_is_idle(self) -> None:
        model = self.model
        if self.faults:
            raise self.faults[0]
        model.tidy()
        if model.worker is not None and model.runs < model.worker.places:
            assert not model.due(), f"a place is free, and there waits {model.due()[0]}"


@pytest.fixture
async def docket() -> AsyncIterator[Docket]:
    async with Docket("mixed", "memory://") as docket:
        yield docket


@pytest.mark.parametrize("seed", SEEDS)
async def test_all_kinds_of_calls_end_as_they_are_to(docket: Docket, seed: int) -> None:
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            mix = Mix(docket, seed, group)
            model = mix.model
            for _ in range(3):
                if mix.pick.random() < 0.4:
                    await mix.some()
                    continue
                worker = Worker(docket, concurrency=mix.pick.randint(1, 3), redelivery_timeout=LEASE_TIME)
                mix.tell(f"worker with {worker.concurrency}")
                model.begins_work(worker.concurrency)
                async with working(worker, patience=PATIENCE):
                    await mix.some()
                    model.tidy()
                model.worker = None
            await mix.resume()
            model.begins_work(2)
            await Worker(docket, concurrency=2, redelivery_timeout=LEASE_TIME).run_until_finished()
        await anyio.sleep(2 * HAIR)
    for key in model.keys:
        await mix.sync(key)
    mix.assert_nobody_is_idle()
    assert [key.now for key in model.keys.values() if key.now is not None] == []
    wrong = [n for n, got in mix.outcomes.items() if model.calls[n].outcome not in (None, got)]
    assert [(mix.outcomes[n], model.calls[n].outcome, model.calls[n]) for n in wrong] == []
    assert mix.outcomes.keys() == model.calls.keys()
    await assert_nothing_is_left(docket)
