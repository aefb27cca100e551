"""retry.lua: the call of a failure is placed anew, and the failure is gone."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from docket.rules import Disposition
from docket.store import HELD_LIMITS, Ended, FailuresKept, GroupNow
from tests.store.conftest import FUTURE, PAST, Store, message
from tests.store.test_failures import fail, failed, failures, keys, ops

pytestmark = pytest.mark.anyio


async def test_a_retry_places_the_call_and_removes_the_failure(store: Store) -> None:
    await store.schedule.place(message(trace="T"), replace=False)
    await store.claims().settle(await store.claimed(), failed())
    kept = await failures(store).read("k")
    assert kept is not None
    call = kept.message(PAST)
    assert call is not None
    placed = await failures(store).retry_many([(call, kept.failed_ms)] * 2, b"*")
    assert [each.disposition for each in placed] == [Disposition.SCHEDULED, Disposition.SUPERSEDED]  # type: ignore[union-attr]
    assert placed[0].generation == 2  # type: ignore[union-attr]
    assert await ops(store) == {"d:ops:totals (expires)": {"bytes": "0"}}
    again = (await store.claimed()).message
    assert (again.args, again.kwargs, again.attempt, again.extra) == (b"ARGS", b"KWARGS", 1, {b"trace": b"T"})


async def test_a_child_that_is_retried_is_nobodys_child(store: Store) -> None:
    group = await store.groups.open("", "1", None, look_after=timedelta(seconds=30))
    child = attrs.evolve(message(), extra={HELD_LIMITS: b"1 1:1:x", b"trace": b"T"})
    await store.schedule.place(child, replace=False, child_of=group.id)
    await store.claims().settle(await store.claimed(), failed())
    kept = await failures(store).read("k")
    assert kept is not None
    call = kept.message(PAST)
    assert call is not None
    await failures(store).retry_many([(call, kept.failed_ms)], b"*")
    again = await store.claimed()
    assert again.message.extra == {b"trace": b"T"}
    await store.claims().settle(again, Ended("completed"))
    assert await store.groups.now(group) == GroupNow(is_open=True, under_way=0, failed=1)


async def test_what_waits_or_runs_is_not_retried(store: Store) -> None:
    await fail(store)
    kept = await failures(store).read("k")
    assert kept is not None
    await store.schedule.place(message(when=FUTURE), replace=False)
    (placed,) = await failures(store).retry_many([(kept.message(PAST), kept.failed_ms)], b"*")  # type: ignore[list-item]
    assert placed.disposition is Disposition.ALREADY_SCHEDULED  # type: ignore[union-attr]
    assert await keys(store) == ["k"]


async def test_of_what_only_the_record_has_that_record_is_retried_once(store: Store) -> None:
    await fail(store, kept=FailuresKept(most=0))
    calls = [(attrs.evolve(message(), generation=each), b"") for each in (2, 1, 1)]
    placed = await failures(store).retry_many(calls, b"*")
    assert [each.disposition for each in placed] == [  # type: ignore[union-attr]
        Disposition.SUPERSEDED, Disposition.SCHEDULED, Disposition.SUPERSEDED,
    ]  # fmt: skip


async def test_a_strike_that_the_caller_has_not_read_keeps_it(store: Store) -> None:
    await fail(store)
    kept = await failures(store).read("k")
    assert kept is not None
    await store.client.xadd("d:strikes", {"a": "b"})
    (placed,) = await failures(store).retry_many([(kept.message(PAST), kept.failed_ms)], b"")  # type: ignore[list-item]
    assert placed.disposition is Disposition.STRUCK  # type: ignore[union-attr]
    assert await keys(store) == ["k"]
