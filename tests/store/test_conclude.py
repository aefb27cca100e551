"""conclude.lua: a run is ended by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.store.conftest import FUTURE, Heard, Store, by_hand, message

pytestmark = pytest.mark.anyio


async def ended(store: Store, **ending: str) -> tuple[bool, dict[str, object]]:
    done = await by_hand(store).conclude("k", 1, None, **{"state": "failed", "error": "why", **ending})
    everything = await store.everything()
    record = everything.get("d:runs:k (expires)", {})
    assert isinstance(record, dict)
    return done, record


async def test_what_waits_on_the_stream_ends_and_leaves_it(store: Store, heard: Heard) -> None:
    await store.schedule.place(message(), replace=False)
    await heard.all()
    done, record = await ended(store)
    assert done
    assert (record["state"], record["error"]) == ("failed", "why")
    assert (await store.everything())["d:stream"] == {"entries": []}
    (state, finished) = await heard.all()
    assert state[0] == "d:state:k"
    assert '"state": "failed"' in state[1]
    assert finished == ("d:wake", "finished")


async def test_what_is_due_later_ends_and_leaves_the_queue(store: Store) -> None:
    await store.schedule.place(message(when=FUTURE), replace=False)
    done, record = await ended(store)
    assert done
    assert record["state"] == "failed"
    everything = await store.everything()
    assert "d:queue" not in everything
    assert "d:k" not in everything


async def test_what_was_claimed_by_hand_ends_with_its_delivery(store: Store) -> None:
    """I1."""
    await store.schedule.place(message(), replace=False)
    delivery = await store.claimed()
    assert await by_hand(store).conclude("k", 1, delivery.message_id, state="completed", result_key="k:1")
    everything = await store.everything()
    record = everything["d:runs:k (expires)"]
    assert isinstance(record, dict)
    assert (record["state"], record["result_key"]) == ("completed", "k:1")
    assert "d:progress:k" not in everything
    assert await store.claims().unfinished() == 0


async def test_a_newer_run_goes_on(store: Store) -> None:
    """I2."""
    await store.schedule.place(message(), replace=False)
    await store.schedule.place(message(when=FUTURE), replace=True)
    before = await store.everything()
    done, _ = await ended(store)
    assert not done
    assert await store.everything() == before


async def test_what_has_ended_has_ended(store: Store) -> None:
    await store.schedule.place(message(), replace=False)
    await ended(store)
    done, record = await ended(store, state="completed")
    assert not done
    assert record["state"] == "failed"


async def test_nothing_is_kept_where_records_are_not(store: Store) -> None:
    store.ttl = timedelta(0)
    await store.schedule.place(message(), replace=False)
    done, record = await ended(store)
    assert done
    assert not record
