"""cancel.lua: what waits is cancelled, what runs is asked to stop."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket import Cancellation
from docket.store import Ended, Refused
from tests.store.conftest import FUTURE, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio

CANCELLED = run("cancelled", completed_at="now")


async def test_a_queued_task_leaves_the_stream(store: Store, heard: Heard) -> None:
    await store.schedule.place(message(), replace=False)
    await heard.all()
    assert await store.schedule.cancel("k") is Cancellation.CANCELLED
    assert await store.everything() == {"d:stream": {"entries": []}, "d:runs:k (expires)": CANCELLED}
    (state, said), finished, asked = await heard.all()
    assert state == "d:state:k"
    assert said.startswith('{"type": "state", "key": "k", "state": "cancelled", "completed_at": "')
    assert finished == ("d:wake", "finished")
    assert asked == ("d:cancel:k", "k")


async def test_a_scheduled_task_leaves_the_queue(store: Store) -> None:
    await store.schedule.place(message(when=FUTURE), replace=False)
    assert await store.schedule.cancel("k")
    assert await store.everything() == {
        "d:runs:k (expires)": run("cancelled", when="3000000000", completed_at="now")
    }


async def test_a_run_is_asked_to_stop_and_remembers_it(store: Store, heard: Heard) -> None:
    await store.running()
    before = await store.everything()
    await heard.all()
    assert await store.schedule.cancel("k") is Cancellation.REQUESTED
    asked = run("running", worker="w", started_at="now", claim="#1.1", cancel_requested="1")
    assert await store.everything() == {**before, "d:runs:k": asked}
    assert await heard.all() == [("d:cancel:k", "k")]


async def test_nothing_becomes_of_an_unknown_key(store: Store, heard: Heard) -> None:
    assert await store.schedule.cancel("k") is Cancellation.NOT_FOUND
    assert await store.everything() == {}
    assert await heard.all() == [("d:cancel:k", "k")]


async def test_what_has_ended_stays_as_it_ended(store: Store) -> None:
    await store.claims().settle(await store.running(), Ended("completed"))
    before = await store.everything()
    assert await store.schedule.cancel("k") is Cancellation.ENDED
    assert await store.everything() == before


async def test_without_a_ttl_nothing_is_left(store: Store) -> None:
    store.ttl = timedelta(0)
    await store.schedule.place(message(), replace=False)
    await store.schedule.place(message("later", FUTURE), replace=False)
    assert await store.schedule.cancel("k")
    assert await store.schedule.cancel("later")
    assert await store.everything() == {"d:stream": {"entries": []}}


async def test_an_entry_that_cannot_be_found_is_refused_when_it_is_claimed(store: Store) -> None:
    """I5: pydocket's scheduler notes nobody's place; the next generation must not be the entry's own."""
    store.ttl = timedelta(0)
    await store.schedule.place(message(), replace=False)
    await store.client.hdel("d:runs:k", "stream_id")
    assert await store.schedule.cancel("k")
    await store.schedule.place(message(), replace=False)
    claims = store.claims()
    await claims.create_group()
    refused, taken = await claims.take(10)
    assert isinstance(refused, Refused)
    assert taken.message.generation == 2  # type: ignore[union-attr]
    everything = await store.everything()
    assert everything["d:stream"]["entries"] == [{"id": "#1", **fields(generation=2)}]  # type: ignore[index]
    assert "d:progress:k" not in everything


@pytest.mark.parametrize("is_record", [False, True])
async def test_what_pydocket_has_parked_where_a_record_may_be_goes_and_a_record_stays(
    store: Store, is_record: bool
) -> None:
    await store.schedule.place(message("runs:x", FUTURE), replace=False)
    record = {"state": "queued"} if is_record else {}
    await store.client.hset("d:runs:x", mapping=fields("runs:x", FUTURE) | record)  # type: ignore[arg-type]
    await store.client.zadd("d:queue", {"runs:x": 3e9})
    assert await store.schedule.cancel("runs:x")
    assert await store.client.exists("d:runs:x") == is_record
    assert await store.client.exists("d:queue", "d:parked", "d:parked:runs:x") == 0
