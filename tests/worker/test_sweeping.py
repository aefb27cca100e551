"""The sweep finds deliveries of dead workers however many others hold, and removes their consumers from the group."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest

from docket import Docket, Worker
from docket.store import Delivery, Ended, sweeping
from docket.worker.intake import sweep
from tests.durations import ms
from tests.worker.conftest import working

pytestmark = pytest.mark.anyio

HOUR = ms(3_600_000)


async def held_by(docket: Docket, worker: str, count: int) -> list[Delivery]:
    """Deliveries that another worker has claimed just now."""
    claims = docket.store.claims(worker)
    await claims.create_group()
    taken: list[Any] = []
    while len(taken) < count:
        taken += await claims.take(min(200, count - len(taken)))
    return taken


async def age(docket: Docket, held: list[Delivery]) -> None:
    """Make these deliveries that nobody has renewed for two hours."""
    for at in range(0, len(held), 500):
        ids = [delivery.message_id for delivery in held[at : at + 500]]
        await docket.client.call(
            "XCLAIM", docket.stream_key, "docket-workers", "dead", 0, *ids, "IDLE", 7_200_000, "JUSTID"
        )


async def added(docket: Docket, count: int, *, runs: int) -> tuple[Counter[int], anyio.Event]:
    """Add ``count`` tasks; return how often each has run, and an event that is set once ``runs`` of them have."""
    ran: Counter[int] = Counter()
    enough = anyio.Event()

    async def task(number: int) -> None:
        ran[number] += 1
        if len(ran) == runs:
            enough.set()

    await docket.add_many([docket.call(task)(number) for number in range(count)])
    return ran, enough


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of twenty deliveries, so that 75 fill several."""
    monkeypatch.setattr(sweeping, "PENDING_PAGE", 20)
    monkeypatch.setattr(sweep, "PENDING_PAGE", 20)
    monkeypatch.setattr(sweep, "SWEEP_BATCH", 20)


@pytest.mark.usefixtures("small_pages")
async def test_abandoned_deliveries_are_found_behind_pages_of_others(docket: Docket) -> None:
    count = 75
    ran, five_ran = await added(docket, count, runs=5)
    held = await held_by(docket, "dead", count)
    await age(docket, held[-5:])
    async with working(Worker(docket, "heir", redelivery_timeout=HOUR)):
        await five_ran.wait()
    assert ran == Counter(range(count - 5, count))


@pytest.mark.usefixtures("small_pages")
async def test_more_than_one_sweep_finds_is_taken_over_without_a_pause(docket: Docket) -> None:
    """The next sweep of the same worker continues where this one ended, as soon as its deliveries are taken over."""
    count = 75
    ran, all_ran = await added(docket, count, runs=count)
    await age(docket, await held_by(docket, "dead", count))
    async with working(Worker(docket, "heir", concurrency=10, redelivery_timeout=HOUR)):
        await all_ran.wait()
    assert set(ran.values()) == {1}


async def test_the_consumers_of_dead_workers_are_removed(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real server. On memory:// it happens during a look that has another reason."""
    monkeypatch.setattr(sweep, "CONSUMER_KEPT", ms(0))
    monkeypatch.setattr(sweep, "RETIRE_INTERVAL", ms(0))

    async def task() -> None: ...

    async with Docket("retiring", redis_url) as docket:
        await docket.add(task)()
        (delivery,) = await held_by(docket, "idle", 1)
        idle = docket.store.claims("idle")
        await idle.settle(delivery, Ended("completed"))
        await docket.add(task)()
        (held,) = await held_by(docket, "holder", 1)

        async def consumers() -> set[bytes]:
            found: Any = await docket.client.xinfo_consumers(docket.stream_key, "docket-workers")
            return {one["name"] for one in found}

        async with working(Worker(docket, "alive", redelivery_timeout=ms(200))):
            while b"idle" in await consumers():  # removing them notifies nobody
                await docket.client.call(
                    "XCLAIM", docket.stream_key, "docket-workers", "holder", 0, held.message_id, "JUSTID"
                )
                await anyio.sleep(0.02)
            assert b"holder" in await consumers()
