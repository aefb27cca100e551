"""wake.lua: limits whose holders are gone, and who waits for them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket.errors import KeyUnreadable
from docket.rules import AwaitSlot, SlotRule, pack
from docket.store import Delivery, Ended
from tests.store.conftest import Heard, Store, message
from tests.store.test_admit import LEASE, A, admissions, ask, holding, one_runs_and_one_waits

pytestmark = pytest.mark.anyio


async def test_who_waits_for_a_holder_that_is_gone_is_woken(store: Store) -> None:
    await one_runs_and_one_waits(store)
    await admissions(store).sweep()
    assert (await admissions(store).in_use())[0].waiters == ("k2",)
    await store.client.zadd(A.name, {"k1": 1})
    await admissions(store).sweep()
    (limit,) = await admissions(store).in_use()
    assert (limit.holders, limit.woken, limit.waiters) == ((), ("k2",), ())
    assert await store.client.exists(f"{A.name}:owners") == 0


async def test_a_limit_that_nobody_uses_is_forgotten(store: Store) -> None:
    delivery = await store.running()
    await ask(store, delivery, A)
    await store.client.zadd(A.name, {"k": 1})
    await admissions(store).sweep()
    assert set(await store.everything()) == {"d:stream", "d:runs:k"}


async def test_what_was_kept_for_a_task_that_is_gone_is_given_to_the_next(store: Store) -> None:
    """Other clients than ours cancel it without giving it back."""
    first, _ = await one_runs_and_one_waits(store)
    await ask(store, await store.running("k3"), A)
    await store.claims().settle(holding(first, A), Ended("completed"))
    await store.client.hset("d:runs:k2", "state", "cancelled")
    await admissions(store).sweep()
    assert (await admissions(store).in_use())[0].woken == ("k3",)


async def test_a_waiter_that_is_gone_is_passed_over(store: Store) -> None:
    first, _ = await one_runs_and_one_waits(store)
    await ask(store, await store.running("k3"), A)
    await store.client.hset("d:runs:k2", "generation", 7)  # replaced by pydocket
    await store.claims().settle(holding(first, A), Ended("completed"))
    (limit,) = await admissions(store).in_use()
    assert (limit.woken, limit.waiters) == (("k3",), ())


async def test_one_script_wakes_a_bounded_number_and_announces_the_rest(store: Store, heard: Heard) -> None:
    wide, count = SlotRule(A.name, 120), 120
    await ask(store, await store.running("holder"), A)
    await store.schedule.place_many([message(f"{n}") for n in range(count)], replace=False)
    for delivery in await store.claims().take(count):
        assert isinstance(delivery, Delivery)
        assert await ask(store, delivery, A) == AwaitSlot(A.name)
    await heard.all()
    await admissions(store).wake([pack([wide], LEASE)])
    assert await store.client.xlen(f"{A.name}:waiters") == count - 25
    assert ("d:wake", f"limit {A.name}") in await heard.all()
    await store.client.hset("d:limits", A.name, pack([wide], LEASE))
    for _ in range(4):
        await admissions(store).look_after(A.name)
    assert await store.client.xlen("d:stream") == count  # the holder, and all but one: 120 is the limit
    assert await store.client.xlen(f"{A.name}:waiters") == 1


async def test_pydocket_asks_for_it_by_the_waiters(store: Store) -> None:
    await one_runs_and_one_waits(store)
    await store.client.delete(A.name)
    await admissions(store).safeguard(f"{A.name}:waiters", 1, timedelta(seconds=5))
    assert (await admissions(store).in_use())[0].woken == ("k2",)


async def test_a_limit_can_be_looked_after_by_itself(store: Store) -> None:
    await one_runs_and_one_waits(store)
    await store.client.zadd(A.name, {"k1": 1})
    await admissions(store).look_after("d:concurrency:nobody:1")
    assert (await admissions(store).in_use())[0].woken == ()
    await admissions(store).look_after(A.name)
    assert (await admissions(store).in_use())[0].woken == ("k2",)


async def test_limits_that_are_no_hash_are_left_to_the_sweep_which_names_them(store: Store) -> None:
    await store.client.set("d:limits", "something else")
    await admissions(store).look_after(A.name)
    for ask_all in admissions(store).sweep, admissions(store).in_use:
        with pytest.raises(KeyUnreadable, match="'d:limits' holds something else, where docket keeps a hash"):
            await ask_all()


async def test_a_waiter_that_another_client_has_cancelled_is_passed_over(store: Store) -> None:
    first, _ = await one_runs_and_one_waits(store)
    await ask(store, await store.running("k3"), A)
    await store.client.hset("d:runs:k2", "state", "cancelled")  # its generation stays
    await store.claims().settle(holding(first, A), Ended("completed"))
    (limit,) = await admissions(store).in_use()
    assert (limit.woken, limit.waiters) == (("k3",), ())


async def test_what_pydocket_had_planned_for_a_waiter_goes_with_its_wait(store: Store) -> None:
    first, _ = await one_runs_and_one_waits(store)
    planned = ("d:__safeguard__:k2", "d:runs:__safeguard__:k2")
    await store.client.zadd("d:queue", {"__safeguard__:k2": 3e9})
    for name in planned:
        await store.client.hset(name, "key", "__safeguard__:k2")
    await store.claims().settle(holding(first, A), Ended("completed"))
    assert (await admissions(store).in_use())[0].woken == ("k2",)
    assert await store.client.exists("d:queue", *planned) == 0


async def test_who_waits_for_the_end_of_all_hears_when_the_last_waiter_is_found_to_be_gone(
    store: Store, heard: Heard
) -> None:
    first, _ = await one_runs_and_one_waits(store)
    await store.client.zrem(A.name, "k1")
    await store.client.xdel("d:stream", first.message_id)
    await store.client.hset("d:runs:k2", "state", "cancelled")
    await heard.all()
    await admissions(store).sweep()
    assert await heard.all() == [("d:wake", "finished")]
