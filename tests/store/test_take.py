"""take.lua: read what waits and claim it, in one step."""

from __future__ import annotations

import attrs
import pytest

from docket.store import Delivery, Refused, Unreadable
from tests.store.conftest import Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio

RUNNING = run("running", worker="w", started_at="now", claim="#1.1")


async def test_an_empty_stream_gives_nothing(store: Store) -> None:
    claims = store.claims()
    await claims.create_group()
    assert await claims.take(10) == []
    assert await store.everything() == {"d:stream": {"entries": []}}


async def test_what_waits_is_claimed(store: Store, heard: Heard) -> None:
    await store.schedule.place(message(traceparent="00"), replace=False)
    await heard.all()
    delivery = await store.claimed()
    assert (delivery.message.key, delivery.fence.claim, delivery.redelivered) == ("k", 1, False)
    assert delivery.message.extra == {b"traceparent": b"00"}
    assert await store.everything() == {
        "d:stream": {"entries": [{"id": "#1", **fields(traceparent="00")}], "pending": {"#1": ("w", 1)}},
        "d:runs:k": RUNNING,
    }
    ((channel, event), *_) = await heard.all()
    assert channel == "d:state:k"
    assert event.startswith('{"type":"state","key":"k","state":"running","worker":"w","started_at":"')


async def test_the_progress_of_an_earlier_run_is_gone_whoever_left_it(store: Store) -> None:
    await store.schedule.place_many([message("j"), message("k")], replace=False)
    for key in "j", "k":
        await store.client.hset(f"d:progress:{key}", mapping={"current": 7, "message": "half"})
    claims = store.claims()
    await claims.create_group()
    assert len(await claims.take(10)) == 2
    assert set(await store.everything()) == {"d:stream", "d:runs:j", "d:runs:k"}


async def test_at_most_so_many_are_taken_the_oldest_first(store: Store) -> None:
    await store.schedule.place_many([message(f"{n}") for n in range(5)], replace=False)
    claims = store.claims()
    await claims.create_group()
    taken = [delivery for delivery in await claims.take(3) if isinstance(delivery, Delivery)]
    assert [delivery.message.key for delivery in taken] == ["0", "1", "2"]


async def test_a_replaced_entry_is_removed(store: Store) -> None:
    """I5: also one that nobody could find when the key was replaced."""
    await store.schedule.place(message(), replace=False)
    await store.client.hdel("d:runs:k", "stream_id")
    await store.schedule.place(message(), replace=True)
    claims = store.claims()
    await claims.create_group()
    refused, taken = await claims.take(10)
    assert refused == Refused(message=attrs.evolve(message(), generation=1), superseded=True)
    assert isinstance(taken, Delivery)
    assert taken.message.generation == 2
    assert await store.everything() == {
        "d:stream": {"entries": [{"id": "#1", **fields(generation=2)}], "pending": {"#1": ("w", 1)}},
        "d:runs:k": {**RUNNING, "generation": "2"},
    }


async def test_a_cancelled_entry_is_removed_and_said_to_be_cancelled(store: Store, heard: Heard) -> None:
    await store.schedule.place(message(), replace=False)
    await store.client.hset("d:runs:k", "state", "cancelled")
    await heard.all()
    claims = store.claims()
    await claims.create_group()
    assert await claims.take(10) == [Refused(message=attrs.evolve(message(), generation=1), superseded=False)]
    assert (await store.everything())["d:stream"] == {"entries": []}
    (channel, event), finished = await heard.all()
    assert channel == "d:state:k"
    assert event.startswith('{"type":"state","key":"k","state":"cancelled","completed_at":"')
    assert finished == ("d:wake", "finished")


async def test_an_entry_whose_record_is_gone_is_removed(store: Store) -> None:
    await store.schedule.place(message(), replace=False)
    await store.client.delete("d:runs:k")
    claims = store.claims()
    await claims.create_group()
    assert await claims.take(10) == [Refused(message=attrs.evolve(message(), generation=1), superseded=True)]
    assert await store.everything() == {"d:stream": {"entries": []}}


async def test_an_entry_without_a_generation_is_never_refused(store: Store) -> None:
    await store.client.xadd("d:stream", {k: v for k, v in fields().items() if k != "generation"})
    delivery = await store.claimed()
    assert delivery.message.generation == 0
    assert (await store.everything())["d:runs:k"] == {
        "state": "running", "worker": "w", "started_at": "now", "claim": "#1.1",
    }  # fmt: skip


UNREADABLE = {
    "no key": {"function": "f"},
    "generation": fields() | {"generation": "x"},
    "no function": {name: value for name, value in fields().items() if name != "function"},
    "when": fields() | {"when": "yesterday"},
    "naive when": fields() | {"when": "2020-01-01T00:00:00"},
    "attempt": fields() | {"attempt": "many"},
    "fields": fields() | {f"field {n}": "x" for n in range(3900)},
}


@pytest.mark.parametrize("entry", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_decoded_is_handed_out_as_such(store: Store, entry: dict[str, str]) -> None:
    """I9: and what stands behind it is taken all the same."""
    await store.client.hset("d:runs:k", mapping=run("queued"))
    await store.client.xadd("d:stream", entry)  # type: ignore[arg-type]
    await store.schedule.place(message("good"), replace=False)
    claims = store.claims()
    await claims.create_group()
    unreadable, good = await claims.take(10)
    assert isinstance(unreadable, Unreadable)
    assert isinstance(good, Delivery)
    assert unreadable.key == entry.get("key")


async def test_a_record_that_is_none_breaks_only_its_own_delivery(store: Store) -> None:
    """I9."""
    await store.client.set("d:runs:k", "not a hash")
    await store.client.xadd("d:stream", fields())  # type: ignore[arg-type]
    await store.schedule.place(message("good"), replace=False)
    claims = store.claims()
    await claims.create_group()
    broken, good = await claims.take(10)
    assert isinstance(broken, Unreadable)
    assert isinstance(good, Delivery)


AWKWARD = [
    'quo"te',
    "back\\slash",
    "new\nline",
    "tab\t",
    "nul\0",
    "\x1f\x7f",
    "ünïcode ☃ 🐙",
    " ",
    "a:b",
    "{braces}",
]


@pytest.mark.parametrize("key", AWKWARD, ids=ascii)
async def test_events_name_any_key(store: Store, heard: Heard, key: str) -> None:
    """Events that Lua writes are JSON whatever the key is made of."""
    import json

    await store.running(key, worker='w"\\\n')
    events = [json.loads(event) for channel, event in await heard.all() if channel == f"d:state:{key}"]
    assert [(event["key"], event["state"]) for event in events] == [(key, "queued"), (key, "running")]
    assert events[1]["worker"] == 'w"\\\n'
