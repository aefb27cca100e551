"""lib/failures.lua and what reads and writes by it: what is kept of failures, and when it goes."""

from __future__ import annotations

import zlib
from datetime import timedelta
from typing import Any

import attrs
import pytest

from docket import Cancellation, clock
from docket.store import (
    Again,
    Delivery,
    Ended,
    FailureReport,
    Failures,
    FailuresKept,
    Settled,
    Wanted,
    epoch_ms,
)
from docket.transport import Client
from tests.store.conftest import FUTURE, PAST, Store, message
from tests.store.test_cost import Meter

pytestmark = pytest.mark.anyio

ALL = Wanted()
REPORT = FailureReport("KeyError", "'x'", "Traceback: ...", PAST)


def failed(**more: Any) -> Ended:
    return Ended("failed", error="KeyError: 'x'", failure=attrs.evolve(REPORT, **more))


def retried(delivery: Delivery, **more: Any) -> Again:
    following = delivery.message.again(FUTURE, delivery.message.attempt + 1)
    return Again(following, tried="KeyError: 'x'", failure=attrs.evolve(REPORT, **more))


def failures(store: Store, kept: FailuresKept | None = None) -> Failures:
    return Failures(store.client, store.keys, kept or FailuresKept())


async def fail(store: Store, key: str = "k", kept: FailuresKept | None = None, **more: Any) -> None:
    delivery = await store.running(key)
    claims = attrs.evolve(store.claims(), failures_kept=kept or FailuresKept())
    assert await claims.settle(delivery, failed(**more)) is Settled.OK


async def keys(store: Store, *, final: bool = True) -> list[str]:
    return [row.key.decode() for row in await failures(store).page(ALL, final=final)]


async def ops(store: Store) -> dict[str, Any]:
    return {name: held for name, held in (await store.everything()).items() if ":ops:" in name}


async def test_a_failure_is_kept_with_its_message(store: Store) -> None:
    await store.schedule.place(message(trace="T"), replace=False)
    await store.claims().settle(await store.claimed(), failed())
    kept = await failures(store).read("k")
    assert kept is not None
    assert (kept.kind, kept.error, kept.traceback, kept.worker) == ("KeyError", "'x'", "Traceback: ...", "w")
    assert (kept.function, kept.args, kept.kwargs, kept.extra) == ("f", b"ARGS", b"KWARGS", {b"trace": b"T"})
    assert (kept.attempt, kept.count, kept.next_at, kept.goes_on) == (1, 1, None, False)
    assert (kept.when, kept.started_at) == (PAST, PAST)
    assert clock.now() - kept.failed_at < timedelta(minutes=1)
    assert kept.first_failed_at == kept.failed_at
    assert set(await ops(store)) == {
        "d:ops:failure:k (expires)", "d:ops:failures (expires)", "d:ops:totals (expires)"
    }  # fmt: skip


async def test_an_attempt_that_is_retried_is_listed_until_it_succeeds(store: Store) -> None:
    delivery = await store.running()
    assert await store.claims().reschedule(delivery, retried(delivery)) is Settled.OK
    assert (await keys(store, final=False), await keys(store)) == (["k"], [])
    kept = await failures(store).read("k")
    assert kept is not None
    assert kept.next_at == FUTURE
    assert await failures(store).promote("k", clock.now())
    await store.due.move(1)
    assert await store.claims().settle(await store.claimed(), Ended("completed")) is Settled.OK
    assert await ops(store) == {"d:ops:totals (expires)": {"bytes": "0"}}


async def test_only_the_attempt_that_follows_a_failure_is_cancelled_with_it(store: Store) -> None:
    delivery = await store.running()
    await store.claims().reschedule(delivery, retried(delivery))
    kept = await failures(store).read("k")
    assert kept is not None
    await failures(store).promote("k", clock.now())
    await store.due.move(1)
    before = await store.everything()
    assert await store.schedule.cancel("k", b"1") is Cancellation.NOT_FOUND
    assert await store.everything() == before
    assert await store.schedule.cancel("k", kept.failed_ms) is Cancellation.CANCELLED
    assert await ops(store) == {"d:ops:totals (expires)": {"bytes": "0"}}


async def test_the_last_attempt_moves_it_to_what_is_over(store: Store) -> None:
    delivery = await store.running()
    await store.claims().reschedule(delivery, retried(delivery))
    await failures(store).promote("k", clock.now())
    await store.due.move(1)
    await store.claims().take_settling(1, [(await store.claimed(), failed())])
    assert (await keys(store, final=False), await keys(store)) == ([], ["k"])
    kept = await failures(store).read("k")
    assert kept is not None
    assert (kept.attempt, kept.count) == (2, 2)
    assert kept.first_failed_at <= kept.failed_at


async def test_a_chain_that_goes_on_is_over_and_its_next_success_clears_it(store: Store) -> None:
    delivery = await store.running()
    again = Again(delivery.message.again(PAST, 1), ended=failed())
    assert await store.claims().take_settling(1, [(delivery, again)]) == ([], [Settled.OK])
    kept = await failures(store).read("k")
    assert kept is not None
    assert (kept.goes_on, kept.next_at) == (True, None)
    delivery = await store.claimed()
    again = Again(delivery.message.again(PAST, 1), ended=Ended("completed"))
    await store.claims().reschedule(delivery, again)
    assert await ops(store) == {"d:ops:totals (expires)": {"bytes": "0"}}
    assert "noted" not in await store.client.hgetall("d:runs:k")


@pytest.mark.parametrize("way", ["cancel", "clear", "replace", "settle"])
async def test_what_is_not_tried_again_after_all_is_no_failure(store: Store, way: str) -> None:
    delivery = await store.running()
    await store.claims().reschedule(delivery, retried(delivery))
    match way:
        case "cancel":
            await store.schedule.cancel("k")
        case "clear":
            await store.schedule.clear(10)
        case "replace":
            await store.schedule.place(message(when=FUTURE), replace=True)
        case _:
            await failures(store).promote("k", clock.now())
            await store.due.move(1)
            await store.claims().settle(await store.claimed(), Ended("cancelled"))
    assert await ops(store) == {"d:ops:totals (expires)": {"bytes": "0"}}


async def test_of_a_stale_claim_nothing_is_kept(store: Store) -> None:
    """I2."""
    delivery = await store.running()
    await store.schedule.place(message(when=FUTURE), replace=True)
    assert await store.claims().settle(delivery, failed()) is Settled.SUPERSEDED
    assert await ops(store) == {}


async def test_an_end_is_written_whatever_stands_where_failures_are_kept(store: Store) -> None:
    """I9."""
    await store.client.set("d:ops:failures", "mine")
    await store.client.set("d:ops:failure:k", "mine")
    await fail(store)
    assert await store.client.hget("d:runs:k", "state") == b"failed"
    assert await failures(store).read("k") is None


async def test_large_arguments_are_not_kept(store: Store) -> None:
    large = attrs.evolve(message(), args=b"A" * 70_000)
    await store.schedule.place(large, replace=False)
    await store.claims().settle(await store.claimed(), failed())
    kept = await failures(store).read("k")
    assert kept is not None
    assert (kept.function, kept.args, kept.message(PAST)) == ("f", None, None)
    assert await store.client.memory_usage("d:ops:failure:k") < 2000 if not store.client.is_memory else True


async def test_a_traceback_is_compressed(store: Store) -> None:
    text = "".join(f'  File "module.py", line {n}, in function\n' for n in range(400))
    await fail(store, traceback=text)
    raw = await store.client.hget("d:ops:failure:k", "traceback")
    assert raw is not None
    assert len(raw) < len(text) / 4
    assert zlib.decompress(raw[1:]).decode() == text
    kept = await failures(store).read("k")
    assert kept is not None
    assert kept.traceback == text


async def test_only_so_many_are_kept_the_newest(store: Store) -> None:
    for n in range(7):
        await fail(store, f"{n}", FailuresKept(most=4))
    assert await keys(store) == ["6", "5", "4", "3"]
    assert await store.client.hget("d:ops:totals", "bytes") == b"%d" % (4 * 4096)
    assert len(await ops(store)) == 4 + 2


async def test_pages_go_on_where_the_last_one_ended_also_within_one_moment(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("docket.store.failures.PAGE", 3)
    now = epoch_ms(clock.now())
    await store.client.zadd("d:ops:failures", {f"{n:02}": now - n // 10 for n in range(20)})
    for oldest_first in False, True:
        seen: list[str] = []
        last = None
        while rows := await failures(store).page(ALL, final=True, after=last, oldest_first=oldest_first):
            seen += [row.key.decode() for row in rows]
            last = rows[-1]
        expected = [f"{n:02}" for n in [*range(10, 20), *range(10)]]
        assert seen == (expected if oldest_first else expected[::-1])


async def test_a_failure_costs_at_most_twelve_commands_and_a_success_none(redis_url: str) -> None:
    async with Client.from_url(redis_url) as client:
        store = Store(client)
        meter, claims = Meter(store), attrs.evolve(store.claims(), failures_kept=FailuresKept(most=100))

        async def cost(key: str, how: Ended) -> int:
            delivery = await store.running(key)
            await meter.commands()
            await claims.settle(delivery, how)
            return await meter.commands()

        plain = Ended("failed", error="E")
        for n in range(3):  # loads the scripts
            await cost(f"{n}", plain)
        before = await cost("a", plain)
        assert await cost("b", Ended("completed")) == before
        assert await cost("c", failed()) - before == 9
        await store.client.delete("d:runs:c")
        assert await cost("c", failed()) - before == 11  # it has failed before
        costs = [await cost(f"{n}", failed()) - before for n in range(300)]  # others give way
        assert sum(costs) / 300 <= 12


async def test_all_together_stay_below_sixty_four_mebibytes(redis_url: str) -> None:
    """Arguments of 64 KB and less, each failure of another size; a fixed number of large ones pushes out the others."""
    async with Client.from_url(redis_url) as client:
        store = Store(client)
        claims = store.claims()
        await claims.create_group()
        before = (await client.info("memory"))["used_memory"]  # type: ignore[index]
        small, large = message(), attrs.evolve(message(), args=b"A" * 63_000)
        most = 0
        for start in range(0, 6000, 50):
            call = small if start < 4000 else large
            await store.schedule.place_many(
                [attrs.evolve(call, key=f"{n}") for n in range(start, start + 50)], replace=False
            )
            taken = [one for one in await claims.take(50) if isinstance(one, Delivery)]
            await claims.take_settling(1, [(one, failed()) for one in taken])
            await client.delete(*(f"d:runs:{n}" for n in range(start, start + 50)))
            most = max(most, int(await client.hget("d:ops:totals", "bytes") or 0))
        assert most <= 64 * 1024 * 1024 + 50 * 64 * 1024
        used = (await client.info("memory"))["used_memory"]  # type: ignore[index]
        assert used - before < 80 * 1024 * 1024
