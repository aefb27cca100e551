"""sweep_failures.lua: what nobody needs any more of what is kept of failures."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket import clock
from docket.store import epoch_ms
from tests.store.conftest import Store
from tests.store.test_failures import fail, failures, keys, ops, retried

pytestmark = pytest.mark.anyio


async def test_they_are_removed_when_they_are_too_old(store: Store) -> None:
    await fail(store, "old")
    await store.client.zadd("d:ops:failures", {"old": epoch_ms(clock.now() - timedelta(days=8))})
    await fail(store, "new")
    assert await keys(store) == ["new"]
    await failures(store).sweep()
    assert {each for each in await ops(store) if ":failure:" in each} == {"d:ops:failure:new (expires)"}


async def test_an_attempt_that_will_not_come_is_removed(store: Store) -> None:
    """pydocket's clients cancel it, and know nothing of failures."""
    for key in "kl":
        delivery = await store.running(key)
        await store.claims().reschedule(delivery, retried(delivery))
        await store.client.zadd("d:ops:retrying", {key: epoch_ms(clock.now() - timedelta(minutes=2))})
    await store.client.hset("d:runs:k", "state", "cancelled")
    await failures(store).sweep()
    assert await keys(store, final=False) == ["l"]


async def test_it_looks_behind_attempts_that_are_late(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds may be: they wait while their task is paused."""
    monkeypatch.setattr("docket.store.failures.SWEPT", 2)
    late = epoch_ms(clock.now() - timedelta(minutes=2))
    for at, key in enumerate("abcdef"):
        delivery = await store.running(key)
        await store.claims().reschedule(delivery, retried(delivery))
        await store.client.zadd("d:ops:retrying", {key: late + at})
    for key in "bef":
        await store.client.hset(f"d:runs:{key}", "state", "completed")
    await store.client.delete("d:ops:failure:f")
    await store.client.set("d:ops:failure:f", "mine")
    await failures(store).sweep()
    assert await keys(store, final=False) == ["a", "c", "d"]
