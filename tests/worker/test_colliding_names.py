"""Values, scopes and names that look like something that the docket keeps beside them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Annotated

import anyio
import pytest

from docket import ConcurrencyLimit, Cooldown, Debounce, Docket, RateLimit, Worker
from docket.execution import ExecutionState
from tests.durations import ms
from tests.where import one_loop
from tests.worker.conftest import at_most, working

pytestmark = [pytest.mark.anyio, one_loop]

SIDES = ["waiters", "owners", "woken", "reserved", "winner", "last_seen"]
VALUES = [
    "x",
    *(f"x:{side}" for side in SIDES),
    *SIDES,
    "x:waiters:waiters",
    "x:owners:waiters",
    "x:",
    ":waiters",
]


class Stage:
    """Who is on it, by value; how many at a time at most."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.ran: Counter[str] = Counter()

    async def play(self, who: str) -> None:
        self.now[who] += 1
        self.ran[who] += 1
        self.most[who] = max(self.most[who], self.now[who])
        for _ in range(5):
            await anyio.sleep(0)
        self.now[who] -= 1


async def run_all(docket: Docket, *, workers: int = 1) -> None:
    async with at_most(), anyio.create_task_group() as group:
        for number in range(workers):
            worker = Worker(
                docket, f"w{number}", concurrency=20, redelivery_timeout=ms(30_000), scheduling_resolution=ms(20),
                minimum_check_interval=ms(20),
            )  # fmt: skip
            group.start_soon(worker.run_until_finished)


async def test_no_value_harms_another_under_a_concurrency_limit(docket: Docket) -> None:
    """Each value has its own row of slots, its own waiters, and runs as often as it was added."""
    stage = Stage()

    async def task(who: str, limit: ConcurrencyLimit = ConcurrencyLimit("who", max_concurrent=1)) -> None:
        await stage.play(who)

    async def who(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await stage.play("(task)")

    for number in range(4):
        for value in VALUES:
            await docket.add(task, key=f"{value}/{number}")(value)
        await docket.add(who, key=f"task/{number}")()
    await run_all(docket, workers=2)
    assert stage.ran == Counter(dict.fromkeys([*VALUES, "(task)"], 4))
    assert set(stage.most.values()) == {1}
    assert (await docket.snapshot()).total_tasks == 0
    assert await docket.concurrency() == []


async def test_the_sweep_looks_after_values_that_look_like_side_keys(docket: Docket) -> None:
    """The holders are gone; those who wait run when the slots of the dead are free."""
    stage, gate = Stage(), anyio.Event()

    async def task(who: str, limit: ConcurrencyLimit = ConcurrencyLimit("who", max_concurrent=1)) -> None:
        if not gate.is_set():
            await anyio.sleep_forever()
        await stage.play(who)

    docket.register(task)
    for number in range(2):
        for value in VALUES:
            await docket.add(task, key=f"{value}/{number}")(value)
    with anyio.move_on_after(20):
        async with working(Worker(docket, "first", concurrency=30)):
            while sum(limit.waiting for limit in await docket.concurrency()) < len(VALUES):
                await anyio.sleep(0.005)
            for limit in await docket.concurrency():
                assert len(limit.holders) == 1
            await docket.store.admissions.sweep()
    gate.set()
    await run_all(docket)
    assert stage.ran == Counter(dict.fromkeys(VALUES, 2))
    assert set(stage.most.values()) == {1}


async def test_no_value_harms_another_under_a_rate(docket: Docket) -> None:
    stage = Stage()

    async def task(who: Annotated[str, RateLimit(1, per=ms(30))]) -> None:
        await stage.play(who)

    for number in range(3):
        for value in VALUES:
            await docket.add(task, key=f"{value}/{number}")(value)
    await run_all(docket)
    assert stage.ran == Counter(dict.fromkeys(VALUES, 3))


async def test_no_value_is_cooled_down_or_debounced_by_another(docket: Docket) -> None:
    stage = Stage()

    async def cooled(who: Annotated[str, Cooldown(timedelta(minutes=1))]) -> None:
        await stage.play(who)

    async def settled(who: Annotated[str, Debounce(ms(20))]) -> None:
        await stage.play(who)

    for value in VALUES:
        await docket.add(cooled)(value)
        await docket.add(settled)(value)
    await run_all(docket)
    assert stage.ran == Counter(dict.fromkeys(VALUES, 2))


async def test_a_scope_named_like_a_room_of_the_docket_harms_no_task(docket: Docket) -> None:
    """With pydocket's names the slots would be the record, the progress or the message of another task."""
    stage = Stage()
    scopes = ["runs", "progress", "parked", "results", "task-workers", "concurrency", f"{docket.name}:runs"]
    for scope in scopes:

        async def limited(
            who: str,
            limit: ConcurrencyLimit = ConcurrencyLimit("who", 1, scope=scope),
            rate: RateLimit = RateLimit(100, per=timedelta(minutes=1), scope=scope),
        ) -> None:
            await stage.play(who)

        limited.__name__ = f"limited_{scope}"
        for number in range(2):
            await docket.add(limited)(f"{scope}{number}")
            await docket.add(limited, key=f"concurrency:who:{scope}{number}")(f"{scope}{number}")
            await docket.add(limited, key=f"ratelimit:limited_{scope}{number}")(f"{scope}{number}")
    await run_all(docket)
    assert stage.ran == Counter({f"{scope}{number}": 3 for scope in scopes for number in range(2)})
    assert set(stage.most.values()) == {1}


BESIDE = ["", ":waiters", ":owners", ":woken"]


@pytest.mark.parametrize("beside", BESIDE, ids=["slots", "waiters", "owners", "woken"])
async def test_something_else_under_the_name_of_a_limit_harms_only_who_is_under_it(
    docket: Docket, beside: str
) -> None:
    """I9: as one of pydocket's workers leaves it that counts by the value ``x:waiters``."""
    stage = Stage()

    async def task(who: str, limit: ConcurrencyLimit = ConcurrencyLimit("who", max_concurrent=1)) -> None:
        await stage.play(who)

    async def both(
        who: str,
        kind: str,
        one: ConcurrencyLimit = ConcurrencyLimit("who"),
        two: ConcurrencyLimit = ConcurrencyLimit("kind"),
    ) -> None:
        await stage.play(kind)

    name = docket.keys.slots("who", "x")
    async with docket.redis() as redis:
        await redis.set(name + beside, "a string")
        await redis.sadd(docket.keys.waiting, name)
        await redis.hset(docket.keys.limits, name, f"1000 1:{len(name)}:{name}")
    bad = [await docket.add(task, key=f"bad/{number}")("x") for number in range(3)]
    bad.append(await docket.add(both, key="mixed")("x", "y"))
    for number in range(3):
        await docket.add(task, key=f"good/{number}")("good")
        await docket.add(both, key=f"both/{number}")("good", "y")
    worker = Worker(
        docket,
        "w",
        concurrency=20,
        redelivery_timeout=ms(30_000),
        scheduling_resolution=ms(20),
        minimum_check_interval=ms(20),
    )
    async with working(worker):
        for execution in bad:
            with pytest.raises(Exception):  # noqa: B017 - a ResponseError, or an end without a cause
                await execution.get_result()
        while stage.ran["good"] < 3 or stage.ran["y"] < 3:
            await anyio.sleep(0.005)
        for _ in range(3):
            await docket.store.admissions.sweep()
    for execution in bad:
        await execution.sync()
        assert execution.state is ExecutionState.FAILED
    assert "x" not in stage.ran
    assert set(stage.most.values()) == {1}
    assert [limit.waiting for limit in await docket.concurrency() if limit.key != name] == []
    await docket.clear()
