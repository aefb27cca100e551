"""settle.lua and take.lua: the end of a claim, in one step with its acknowledgement."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

import pytest

from docket.store import Claims, Delivery, Ended, Settled, dump_value
from tests.store.conftest import FUTURE, PAST, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio

ENDED = {"worker": "w", "started_at": "now", "claim": "#1.1", "completed_at": "now"}
EMPTY = {"d:stream": {"entries": []}}

Settle: TypeAlias = Callable[[Claims, Delivery, Ended], Awaitable[Settled | None]]


async def alone(claims: Claims, delivery: Delivery, ended: Ended) -> Settled | None:
    return await claims.settle(delivery, ended)


async def with_a_take(claims: Claims, delivery: Delivery, ended: Ended) -> Settled | None:
    taken, (settled,) = await claims.take_settling(1, [(delivery, ended)])
    assert taken == []
    return settled


@pytest.fixture(params=[alone, with_a_take])
def settle(request: pytest.FixtureRequest) -> Settle:
    """Both ways to settle: they do the same."""
    return request.param


async def test_a_completed_run(store: Store, heard: Heard, settle: Settle) -> None:
    """I1: the record, the acknowledgement and the end of the progress are one step."""
    delivery = await store.running()
    await heard.all()
    assert await settle(store.claims(), delivery, Ended("completed")) is Settled.OK
    assert await store.everything() == {**EMPTY, "d:runs:k (expires)": run("completed", **ENDED)}
    (state, event), finished = await heard.all()
    assert state == "d:state:k"
    assert event.startswith('{"type": "state", "key": "k", "state": "completed", "completed_at": "')
    assert finished == ("d:wake", "finished")


async def test_a_result_is_kept_as_long_as_its_record(store: Store, settle: Settle) -> None:
    delivery = await store.running()
    await settle(store.claims(), delivery, Ended("completed", result=("k:1", dump_value({"a": 1}))))
    everything = await store.everything()
    stored = everything.pop("d:results::k:1 (expires)")
    assert everything == {**EMPTY, "d:runs:k (expires)": run("completed", result_key="k:1", **ENDED)}
    envelope = json.loads(str(stored))
    assert envelope["collection"] == "d:results"
    assert envelope["key"] == "k:1"
    assert envelope["value"]["data"] == dump_value({"a": 1})
    assert base64.b64decode(envelope["value"]["data"])
    assert await store.client.pttl("d:results::k:1") == pytest.approx(900_000, abs=5000)
    assert await store.client.pttl("d:runs:k") == pytest.approx(900_000, abs=5000)


async def test_a_result_that_is_kept_elsewhere_is_only_named(store: Store, settle: Settle) -> None:
    await settle(store.claims(), await store.running(), Ended("completed", result=("k:1", None)))
    assert await store.everything() == {
        **EMPTY,
        "d:runs:k (expires)": run("completed", result_key="k:1", **ENDED),
    }


async def test_a_failed_run(store: Store, heard: Heard, settle: Settle) -> None:
    delivery = await store.running()
    await heard.all()
    error = 'ValueError: no\n"q"'
    assert await settle(store.claims(), delivery, Ended("failed", error=error)) is Settled.OK
    assert await store.everything() == {**EMPTY, "d:runs:k (expires)": run("failed", error=error, **ENDED)}
    assert json.loads((await heard.all())[0][1])["error"] == error


async def test_settling_again_because_the_reply_was_lost_changes_nothing(
    store: Store, heard: Heard, settle: Settle
) -> None:
    delivery = await store.running()
    await settle(store.claims(), delivery, Ended("completed"))
    before = await store.everything()
    await heard.all()
    assert await settle(store.claims(), delivery, Ended("completed", result=("k:1", "late"))) is Settled.OK
    assert await store.everything() == before
    assert [channel for channel, _ in await heard.all()] == ["d:wake"]


async def test_without_a_ttl_nothing_is_left(store: Store, settle: Settle) -> None:
    store.ttl = timedelta(0)
    await settle(store.claims(), await store.running(), Ended("completed"))
    assert await store.everything() == EMPTY


async def test_nobody_is_told_of_an_end_that_is_none(store: Store, heard: Heard, settle: Settle) -> None:
    await store.schedule.place(message("later", FUTURE), replace=False)
    await settle(store.claims(), await store.running(), Ended("completed"))
    assert ("d:wake", "finished") not in await heard.all()


async def test_a_message_without_a_generation_ends_too(store: Store, settle: Settle) -> None:
    await store.client.xadd("d:stream", {k: v for k, v in fields().items() if k != "generation"})
    assert await settle(store.claims(), await store.claimed(), Ended("completed")) is Settled.OK
    assert await store.everything() == {**EMPTY, "d:runs:k (expires)": {"state": "completed", **ENDED}}


async def test_a_replaced_run_changes_nothing_but_removes_its_own_entry(
    store: Store, heard: Heard, settle: Settle
) -> None:
    """I2: a stale generation."""
    delivery = await store.running()
    await store.schedule.place(message(when=FUTURE), replace=True)
    before = await store.everything()
    await heard.all()
    assert (
        await settle(store.claims(), delivery, Ended("completed", result=("k:1", "x"))) is Settled.SUPERSEDED
    )
    assert await store.everything() == {**before, **EMPTY}
    assert await heard.all() == []


async def test_a_lost_delivery_changes_nothing_at_all(store: Store, settle: Settle) -> None:
    """I2: a stale holder."""
    delivery = await store.running()
    other = store.claims("other")
    await other.take_over(await store.abandoned(), timedelta(0))
    before = await store.everything()
    assert await settle(store.claims(), delivery, Ended("completed")) is Settled.LOST
    assert await store.everything() == before


async def test_a_second_claim_by_a_worker_of_the_same_name_outdates_the_first(
    store: Store, settle: Settle
) -> None:
    """I2: a stale claim."""
    delivery = await store.running()
    again = store.claims()
    await again.take_over(await store.abandoned(), timedelta(0))
    before = await store.everything()
    assert await settle(store.claims(), delivery, Ended("completed")) is Settled.LOST
    assert await store.everything() == before


async def test_a_claim_of_a_record_that_began_anew_is_stale(store: Store, settle: Settle) -> None:
    """I2: generation, number of the claim and holder are the same again once the record was deleted."""
    store.ttl = timedelta(0)
    stale = await store.running()
    await settle(store.claims(), stale, Ended("completed"))
    fresh = await store.running()
    assert (stale.fence.generation, stale.fence.claim) == (fresh.fence.generation, fresh.fence.claim)
    before = await store.everything()
    assert await settle(store.claims(), stale, Ended("failed")) is Settled.LOST
    assert await store.everything() == before
    assert await settle(store.claims(), fresh, Ended("completed")) is Settled.OK


async def test_the_last_end_is_told_though_its_run_was_replaced(
    store: Store, heard: Heard, settle: Settle
) -> None:
    stale = await store.running()
    await store.schedule.place(message(when=PAST), replace=True)
    fresh = await store.claimed("other")
    assert isinstance(fresh, Delivery)
    await settle(store.claims("other"), fresh, Ended("completed"))
    assert ("d:wake", "finished") not in await heard.all()
    await settle(store.claims(), stale, Ended("completed"))
    assert ("d:wake", "finished") in await heard.all()
