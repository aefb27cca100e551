"""discard.lua: what cannot be decoded is set aside with the reason (I9)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from docket.rules import AwaitSlot, SlotRule, pack
from docket.store import Admissions, Unreadable
from tests.store.conftest import FUTURE, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio

BROKEN = fields() | {"when": "yesterday"}
REASON = "the message has a field that cannot be read: Invalid isoformat string: 'yesterday'"
ASIDE = {"dead:id": "#1", "dead:reason": REASON, "dead:at": "now"}


async def unreadable(store: Store, entry: dict[str, str]) -> Unreadable:
    if "key" in entry:
        await store.client.hset("d:runs:k", mapping=run("queued"))
    await store.client.xadd("d:stream", entry)  # type: ignore[arg-type]
    claims = store.claims()
    await claims.create_group()
    (taken,) = await claims.take(10)
    assert isinstance(taken, Unreadable)
    return taken


async def test_its_fields_are_kept_with_the_reason_and_its_run_fails(store: Store, heard: Heard) -> None:
    taken = await unreadable(store, BROKEN)
    await heard.all()
    await store.claims().set_aside(taken)
    everything = {name: held for name, held in (await store.everything()).items() if ":ops:" not in name}
    (aside,) = everything.pop("d:dead (expires)")["entries"]  # type: ignore[index]
    aside.pop("id")
    assert aside == {**ASIDE, **BROKEN}
    error = f"DeliveryUnreadable: {REASON}"
    ended = {"worker": "w", "started_at": "now", "claim": "#1.1", "completed_at": "now"}
    assert everything == {
        "d:stream": {"entries": []},
        "d:runs:k (expires)": run("failed", error=error, **ended),
    }
    (channel, event), finished = await heard.all()
    assert channel == "d:state:k"
    assert json.loads(event)["error"] == error
    assert finished == ("d:wake", "finished")


async def test_without_a_key_there_is_no_run_to_fail(store: Store) -> None:
    await store.claims().set_aside(await unreadable(store, {"function": "f"}))
    assert set(await store.everything()) == {"d:stream", "d:dead (expires)"}


async def test_a_newer_generation_of_its_key_is_left_alone(store: Store) -> None:
    """I2."""
    taken = await unreadable(store, BROKEN)
    await store.schedule.place(message(when=FUTURE), replace=True)
    before = await store.everything()
    await store.claims().set_aside(taken)
    after = await store.everything()
    del after["d:dead (expires)"]
    assert after == {**before, "d:stream": {"entries": []}}


async def test_an_entry_that_nobody_claimed_fails_the_run_that_waits_for_it(store: Store) -> None:
    await store.schedule.place(message(), replace=False)
    ((entry_id, _),) = await store.client.xrange("d:stream")
    await store.client.xdel("d:stream", entry_id)
    await store.client.xadd("d:stream", fields() | {"generation": "x"}, id="9999999999999-1")  # type: ignore[arg-type]
    await store.client.hset("d:runs:k", "stream_id", "9999999999999-1")
    claims = store.claims()
    await claims.create_group()
    (taken,) = await claims.take(10)
    assert isinstance(taken, Unreadable)
    await claims.set_aside(taken)
    record = (await store.everything())["d:runs:k (expires)"]
    assert record["state"] == "failed"  # type: ignore[index]


async def test_a_slot_that_is_reserved_for_its_run_goes_to_who_waits(store: Store) -> None:
    """Also where the message does not say of which generation it is."""
    limit = SlotRule("d:concurrency:a:1", 1)
    packed = pack([limit], timedelta(minutes=5))
    await store.schedule.place(message(), replace=False)
    ((entry_id, _),) = await store.client.xrange("d:stream")
    await store.client.xdel("d:stream", entry_id)
    await store.client.xadd("d:stream", fields() | {"generation": "x"}, id="9999999999999-1")  # type: ignore[arg-type]
    await store.client.hset("d:runs:k", mapping={"stream_id": "9999999999999-1", "reserved": f"1 {packed}"})
    await store.client.zadd(f"{limit.name}:woken", {"k": 1})
    claims = store.claims()
    await claims.create_group()
    (taken,) = await claims.take(10)
    assert isinstance(taken, Unreadable)
    other = await store.running("other")
    waits = await Admissions(store.client, store.keys, "w").admit(other, [limit], timedelta(minutes=5))
    assert waits == AwaitSlot(limit.name)
    await claims.set_aside(taken)
    assert await store.client.hget("d:runs:other", "state") == b"queued"


async def test_a_message_of_too_many_fields_is_set_aside_too(store: Store) -> None:
    taken = await unreadable(store, {f"field {n}": "x" for n in range(3900)} | fields())
    await store.claims().set_aside(taken)
    everything = await store.everything()
    assert everything["d:stream"] == {"entries": []}
    assert everything["d:runs:k (expires)"]["state"] == "failed"  # type: ignore[index]


async def test_what_another_worker_holds_is_not_ours_to_set_aside(store: Store) -> None:
    taken = await unreadable(store, BROKEN)
    other = store.claims("other")
    await other.take_over(await store.abandoned(), timedelta(0))
    before = await store.everything()
    await store.claims().set_aside(taken)
    assert await store.everything() == before


async def test_without_a_ttl_only_the_dead_letter_is_left(store: Store) -> None:
    store.ttl = timedelta(0)
    taken = await unreadable(store, BROKEN)
    await store.claims().set_aside(taken)
    left = {name for name in await store.everything() if ":ops:" not in name}
    assert left == {"d:stream", "d:dead (expires)"}
