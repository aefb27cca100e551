"""due.lua: tasks whose time has come go to the stream, some at a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from docket.store import Ended, Moved
from tests.store.conftest import FUTURE, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio

#: What test tasks wait for: a moment that was in the future when they were placed.
MOMENT = "1000000000"


async def waiting(store: Store, *keys: str, **extra: str) -> None:
    """Tasks that have become due since they were parked."""
    for key in keys:
        await store.schedule.place(message(key, FUTURE, **extra), replace=False)
        await store.client.zadd(store.keys.queue_of(key), {key: 1_000_000_000})


async def test_a_due_task_moves_with_all_its_fields(store: Store, heard: Heard) -> None:
    await waiting(store, "k", traceparent="00", foreign="x")
    await heard.all()
    assert await store.due.move(10) == Moved(1, None)
    assert await store.everything() == {
        "d:stream": {"entries": [{"id": "#1", **fields(when=FUTURE, traceparent="00", foreign="x")}]},
        "d:runs:k": run("queued", when="3000000000", known="3000000000", stream_id="#1"),
    }
    event = '{"type":"state","key":"k","state":"queued","when":"2065-01-24T05:20:00+00:00"}'
    assert await heard.all() == [("d:state:k", event)]


async def test_what_is_not_due_stays_and_its_time_is_told(store: Store) -> None:
    await store.schedule.place(message("later", FUTURE), replace=False)
    await store.schedule.place(message("latest", FUTURE + timedelta(days=1)), replace=False)
    before = await store.everything()
    assert await store.due.move(10) == Moved(0, 3_000_000_000.0)
    assert await store.everything() == before


async def test_an_empty_queue_has_no_next_time(store: Store) -> None:
    assert await store.due.move(10) == Moved(0, None)
    assert await store.everything() == {}


async def test_one_step_moves_no_more_than_it_may(store: Store) -> None:
    """A step must be short: the server does nothing else meanwhile."""
    await waiting(store, *(f"{n}" for n in range(5)), "parked:a", "parked:b")
    assert await store.due.move(4) == Moved(4, 1_000_000_000.0)
    assert await store.due.move(4) == Moved(3, None)


@pytest.mark.parametrize("key", ["another", None])
async def test_a_message_that_is_none_of_the_keys_own_fails_its_run_and_moves_nobody(
    store: Store, key: str | None
) -> None:
    await waiting(store, "k")
    if key is None:
        await store.client.hdel(store.keys.parked("k"), "key")
    else:
        await store.client.hset(store.keys.parked("k"), "key", key)
    assert await store.due.move(10) == Moved(0, None)
    found = await store.everything()
    assert found["d:runs:k (expires)"]["state"] == "failed"
    assert found["d:runs:k (expires)"]["error"] == "DeliveryUnreadable: its message is none of its own"
    assert "d:stream" not in found


async def test_a_member_of_the_queue_that_names_a_key_of_the_dockets_own_leaves_that_alone(
    store: Store,
) -> None:
    await store.client.hset(store.keys.limits, "limit", "1000 1:5:limit")
    await store.client.zadd(store.keys.queue, {"limits": 0})
    assert await store.due.move(10) == Moved(0, None)
    assert await store.everything() == {"d:limits": {"limit": "1000 1:5:limit"}}


RESERVED = [
    "stream",
    "queue",
    "workers",
    "strikes",
    "dead",
    "parked",
    "runs:x",
    "progress:x",
    "results:x",
    "parked:x",
]
RESERVED += [
    "known:x",
    "stream-id:x",
    "worker-tasks:w",
    "task-workers:f",
    "leases:redelivery-sweep",
    "perpetual:lock",
]
RESERVED += [
    "scope:concurrency:f",
    "scope:ratelimit:f",
    "scope:cooldown:f",
    "scope:debounce:f:{f}:winner",
    "a:b:concurrency:c",
]


@pytest.mark.parametrize("key", RESERVED)
async def test_a_key_like_the_dockets_own_names_goes_its_way(store: Store, key: str) -> None:
    """pydocket would park it on top of the docket's own stream, queue or records."""
    await waiting(store, "k", key)
    parked = await store.everything()
    assert set(parked) == {
        "d:queue", "d:k", "d:runs:k",
        "d:parked", f"d:parked:{key}", f"d:runs:{key}",
    }  # fmt: skip
    assert await store.due.move(10) == Moved(2, None)
    claims = store.claims()
    await claims.create_group()
    taken = await claims.take(10)
    assert {delivery.message.key for delivery in taken} == {"k", key}  # type: ignore[union-attr]
    for delivery in taken:
        await claims.settle(delivery, Ended("completed"))  # type: ignore[arg-type]
    assert set(await store.everything()) == {"d:stream", "d:runs:k (expires)", f"d:runs:{key} (expires)"}


@pytest.mark.parametrize(
    "key", ["streams", "queued", "parkeda", "runs", "x:stream", "concurrency", "results"]
)
async def test_other_keys_wait_where_pydocket_looks_for_them(store: Store, key: str) -> None:
    await waiting(store, key)
    assert set(await store.everything()) == {"d:queue", f"d:{key}", f"d:runs:{key}"}


async def test_a_queued_name_of_nothing_is_dropped(store: Store) -> None:
    """I9: it stops nobody behind it."""
    await store.client.zadd("d:queue", {"ghost": 1, "stolen": 2})
    await store.client.set("d:stolen", "not a message")
    await waiting(store, "k")
    assert await store.due.move(10) == Moved(1, None)
    assert set(await store.everything()) == {"d:stream", "d:runs:k", "d:stolen"}


async def test_a_message_of_too_many_fields_moves_as_far_as_it_can(store: Store) -> None:
    """I9: a worker will set it aside."""
    await waiting(store, "k")
    await store.client.hset("d:k", mapping={f"field {n}": "x" for n in range(9000)})
    assert await store.due.move(10) == Moved(1, None)
    ((_, entry),) = await store.client.xrange("d:stream")
    assert entry[b"key"] == b"k"
    assert entry[b"generation"] == b"1"
    assert 1000 < len(entry) < 4000


async def test_events_name_any_key(store: Store, heard: Heard) -> None:
    key = 'quo"te \\ new\nline \x01 ☃'
    await waiting(store, key)
    await heard.all()
    await store.due.move(10)
    ((_, event),) = await heard.all()
    assert json.loads(event)["key"] == key


async def test_a_moved_task_can_be_cancelled(store: Store) -> None:
    await waiting(store, "k")
    await store.due.move(10)
    assert await store.schedule.cancel("k")
    assert (await store.everything())["d:stream"] == {"entries": []}


async def test_the_time_is_this_moment(store: Store) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    await store.schedule.place(message("soon", soon), replace=False)
    await store.schedule.place(message("past", soon - timedelta(hours=2)), replace=False)
    moved = await store.due.move(10)
    assert moved == Moved(0, pytest.approx(soon.timestamp(), abs=1e-5))


async def test_a_task_whose_message_is_gone_fails(store: Store, heard: Heard) -> None:
    """Evicted, or deleted by hand: who waits for it is told."""
    await waiting(store, "k", "after")
    await store.client.delete("d:k")
    await heard.all()
    assert await store.due.move(10) == Moved(1, None)
    error = "DeliveryUnreadable: its message is gone"
    assert (await store.everything())["d:runs:k (expires)"] == run(
        "failed", when="3000000000", completed_at="now", error=error
    )
    events = dict(await heard.all())
    assert json.loads(events["d:state:k"])["error"] == error


async def test_a_task_whose_record_is_gone_runs(store: Store) -> None:
    """Evicted: the message says enough to make it again."""
    await waiting(store, "k")
    await store.client.delete("d:runs:k")
    assert await store.due.move(10) == Moved(1, None)
    assert (await store.claimed()).message.key == "k"
    record = await store.client.hgetall("d:runs:k")
    assert (record[b"state"], record[b"generation"], record[b"args"]) == (b"running", b"1", b"ARGS")
