"""Future tasks whose keys are names that the docket uses, beside a docket that uses all of them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Annotated

import anyio
import pytest

from docket import (
    ConcurrencyLimit,
    Cooldown,
    Debounce,
    Docket,
    Perpetual,
    Progress,
    RateLimit,
    Worker,
    clock,
)
from docket.execution import ExecutionState
from tests.durations import ms
from tests.store.test_keys import CHANNELS, own_names
from tests.where import one_loop
from tests.worker.conftest import at_most, working

pytestmark = [pytest.mark.anyio, one_loop]

ran: Counter[str] = Counter()


async def named(key: str) -> str:
    ran[key] += 1
    return key


async def limited(who: str, limit: ConcurrencyLimit = ConcurrencyLimit("who", 1)) -> None:
    ran[f"limited {who}"] += 1
    await anyio.sleep(0)


async def scoped(who: str, limit: ConcurrencyLimit = ConcurrencyLimit("who", 1, scope="zone")) -> None:
    ran[f"scoped {who}"] += 1


async def ruled(
    who: Annotated[str, RateLimit(1, per=ms(20)), Cooldown(ms(1)), Debounce(ms(10))],
    progress: Progress = Progress(),
) -> str:
    ran[f"ruled {who}"] += 1
    await progress.increment()
    return who


async def chain(perpetual: Perpetual = Perpetual(every=ms(10))) -> None:
    ran["chain"] += 1
    if ran["chain"] == 3:
        perpetual.cancel()


async def struck() -> None:
    ran["struck"] += 1


def keys_of(docket: Docket) -> list[str]:
    """Everything that the docket calls its own, and what goes on behind it, as keys of tasks."""
    names = {name for given in ("k", "who", "named", "w") for name in own_names(docket.keys, given).values()}
    names |= {
        docket.keys.slots("who", "a"),
        docket.keys.slots("who", "a", "zone"),
        docket.keys.rate("who", "a"),
    }
    names |= {docket.keys.slots("limited") + ":waiters", *docket.keys.debounce("who", "a")}
    keys = {name.removeprefix(f"{docket.prefix}:") for name in names if name.startswith(f"{docket.prefix}:")}
    channels = {"wake", "state:k", "cancel:k", "cancel:*", "state", "cancel"}
    assert len(CHANNELS) == 4
    return sorted({*keys, *(f"{key}:child" for key in keys), *channels})


@pytest.mark.parametrize("how", ["add", "replace", "cancel"])
async def test_a_task_may_be_called_as_anything_that_the_docket_has(docket: Docket, how: str) -> None:
    await play(docket, how)


async def play(docket: Docket, how: str) -> None:
    ran.clear()
    for task in (named, limited, scoped, ruled, chain, struck):
        docket.register(task)
    keys = keys_of(docket)
    await docket.strike("struck")
    async with docket.redis() as redis:
        await redis.xadd(docket.stream_key, {"key": "junk", "when": "no time"})
    when = clock.now() + ms(300)
    for key in keys:
        await docket.add(named, when=when + timedelta(days=how != "add"), key=key)(key)
        if how == "replace":
            await docket.replace(named, when, key)(key)
    others = [await docket.add(limited, key=f"limited{number}")("a") for number in range(5)]
    others += [await docket.add(scoped)("a"), await docket.add(ruled)("a"), await docket.add(chain)()]
    assert (await docket.add(struck)()).disposition.value == "struck"
    worker = Worker(
        docket,
        "w",
        concurrency=50,
        minimum_check_interval=ms(20),
        scheduling_resolution=ms(20),
        redelivery_timeout=ms(30_000),
    )
    if how == "cancel":
        async with working(worker):
            for key in keys:
                await docket.cancel(key)
    else:
        async with at_most():
            await worker.run_until_finished()
    expected = Counter() if how == "cancel" else Counter(dict.fromkeys(keys, 1))
    for key in keys:
        execution = await docket.get_execution(key)
        assert execution is not None, key
        assert execution.state is (
            ExecutionState.CANCELLED if how == "cancel" else ExecutionState.COMPLETED
        ), key
        if how != "cancel":
            assert await execution.get_result() == key
    async with at_most():
        await worker.run_until_finished()
    expected.update({"limited a": 5, "scoped a": 1, "ruled a": 1, "chain": 3})
    assert ran == expected
    for other in others:
        await other.sync()
        assert other.state in (ExecutionState.COMPLETED, ExecutionState.CANCELLED)
    assert (await docket.snapshot()).total_tasks == 0
    assert await docket.concurrency() == []
    assert [strike.function for strike in await docket.strikes()] == ["struck"]
    async with docket.redis() as redis:
        assert await redis.xlen(docket.keys.dead) == 1
        left = {name.decode() for name in await redis.keys(f"{docket.prefix}:parked*")}
    assert left == set()


@pytest.mark.parametrize("how", ["add", "cancel"])
async def test_the_same_on_a_cluster(cluster_url: str, how: str) -> None:
    """There names with a scope begin with the docket's, too."""
    async with Docket("d", cluster_url) as docket:
        await play(docket, how)
