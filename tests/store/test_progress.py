"""progress.lua: a step of a run's progress, for as long as the run is the reporter's."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from docket.store import Delivery, Fence, ProgressRecord, ProgressReports
from docket.transport import Client
from tests.store.conftest import FUTURE, RUNNING_PROGRESS, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio


def reports(store: Store) -> ProgressReports:
    return ProgressReports(store.client, store.keys, store.ttl)


def fence(delivery: Delivery, worker: str = "w") -> Fence:
    return Fence(
        message_id=delivery.message_id,
        generation=delivery.message.generation,
        claim=delivery.claim,
        holder=worker,
    )


def event(current: str, total: int = 100, message: str = "null") -> str:
    named = f'"key": "k", "current": {current}, "total": {total}, "message": {message}'
    return f'{{"type": "progress", {named}, "updated_at": "'


async def test_each_step_is_written_and_told(store: Store, heard: Heard) -> None:
    delivery = await store.running()
    before = await store.everything()
    await heard.all()
    of = fence(delivery)
    told = [
        await reports(store).set_total("k", 5, of),
        await reports(store).increment("k", 2, of),
        await reports(store).set_message("k", "half", of),
        await reports(store).set_message("k", None, of),
    ]
    assert [(one.current, one.total, one.message) for one in told if one is not None] == [
        (0, 5, None), (2, 5, None), (2, 5, "half"), (2, 5, None),
    ]  # fmt: skip
    before["d:progress:k"] = {**RUNNING_PROGRESS, "current": "2", "total": "5", "updated_at": "now"}
    assert await store.everything() == before
    channels, events = zip(*await heard.all(), strict=True)
    assert set(channels) == {"d:progress:k"}
    expected = [event("0", 5), event("2", 5), event("2", 5, '"half"'), event("2", 5)]
    assert [one[: len(start)] for one, start in zip(events, expected, strict=True)] == expected
    assert [json.loads(one)["updated_at"] for one in events] == [
        one.updated_at.isoformat() for one in told if one is not None and one.updated_at is not None
    ]


TEXTS = ["", 'h\u00e9"\n\\/\t\x00\x7f\b\f\r', "\u0800\uffff\u2028 \U0001f600\U0010ffff", "plain"]


@pytest.mark.parametrize("text", TEXTS)
async def test_a_message_is_told_as_python_writes_it(store: Store, heard: Heard, text: str) -> None:
    of = fence(await store.running())
    await heard.all()
    written = await reports(store).set_message("k", text, of)
    assert written is not None
    assert written.message == text
    ((_, told),) = await heard.all()
    assert told == json.dumps(json.loads(told))
    assert json.loads(told)["message"] == text


@pytest.mark.parametrize("what", ["claim", "generation", "holder", "message_id"])
async def test_a_stale_fence_changes_nothing(store: Store, heard: Heard, what: str) -> None:
    """I2."""
    delivery = await store.running()
    before = await store.everything()
    await heard.all()
    own = fence(delivery)
    stale = {"claim": 2, "generation": 2, "holder": "v", "message_id": b"1-1"}[what]
    wrong = Fence(**({name: getattr(own, name) for name in Fence.__annotations__} | {what: stale}))  # type: ignore[arg-type]
    assert await reports(store).increment("k", 1, wrong) is None
    assert await store.everything() == before
    assert await heard.all() == []


async def test_a_run_that_was_replaced_says_nothing_more(store: Store) -> None:
    old = fence(await store.running())
    await store.schedule.place(message(), replace=True)
    new = fence(await store.claimed())
    assert await reports(store).increment("k", 1, old) is None
    assert await reports(store).increment("k", 2, new) is not None
    assert (await reports(store).read("k")).current == 2


@pytest.mark.parametrize("ttl", [timedelta(minutes=15), timedelta(0)])
async def test_after_the_end_nothing_comes_back(url: str, ttl: timedelta) -> None:
    async with Client.from_url(url) as client:
        store = Store(client, ttl)
        delivery = await store.running()
        await store.claims().settle(delivery, state="completed")
        before = await store.everything()
        for owner in fence(delivery), None:
            assert await reports(store).set_message("k", "zombie", owner) is None
        assert await store.everything() == before


async def test_without_a_fence_one_speaks_for_whatever_runs(store: Store) -> None:
    await store.running()
    assert await reports(store).increment("k", 3, None) is not None
    assert (await reports(store).read("k")).current == 3


async def test_what_no_run_owns_is_kept_for_a_while(store: Store) -> None:
    assert (await reports(store).set_message("k", "alone", None)) is not None
    assert await store.everything() == {
        "d:progress:k (expires)": {"message": "alone", "updated_at": "now", "generation": "0"}
    }
    read = await reports(store).read("k")
    assert (read.current, read.total, read.message) == (None, 100, "alone")


async def test_what_was_said_before_a_claim_ends_with_it(store: Store) -> None:
    """So a replaced run leaves no message to its successor."""
    await reports(store).set_message("k", "early", None)
    await store.running()
    assert (await store.everything())["d:progress:k"] == RUNNING_PROGRESS
    await reports(store).set_message("k", "old", None)
    await store.schedule.place(message(), replace=True)
    await store.claimed()
    assert await reports(store).read("k") == ProgressRecord(current=0)


async def test_a_waiting_task_may_have_progress(store: Store) -> None:
    await store.schedule.place(message(when=FUTURE), replace=False)
    assert await reports(store).set_total("k", 7, None) is not None
    assert await store.everything() == {
        "d:k": fields(when=FUTURE),
        "d:queue": {"k": 3000000000.0},
        "d:runs:k": run("scheduled", when="3000000000", known="3000000000"),
        "d:progress:k": {"total": "7", "updated_at": "now", "generation": "0"},
    }


async def test_a_total_of_another_kind_is_no_total(store: Store) -> None:
    """pydocket takes any number."""
    await store.client.hset("d:progress:k", mapping={"current": "x", "total": "2.5"})
    assert await reports(store).read("k") == ProgressRecord(current=None, total=100)
