"""place_successors.lua: what is to run once more after a run that somebody has ended who knows of no successors."""

from __future__ import annotations

import pytest

from docket import clock
from docket.store import Ended
from tests.store.conftest import Store
from tests.store.test_once_more import call, is_followed, kept, once_more, recorded

pytestmark = pytest.mark.anyio


async def ended_by_pydocket(store: Store) -> None:
    """Its workers write the state, and remove the entry."""
    await store.client.hset(
        "d:runs:k", mapping={"state": "completed", "completed_at": clock.now().isoformat()}
    )
    await store.client.expire("d:runs:k", 900)
    await store.client.xtrim("d:stream", maxlen=0, approximate=False)


async def test_the_sweep_places_what_follows_a_run_that_somebody_ended_who_knows_of_none(
    store: Store,
) -> None:
    await store.running()
    await once_more(store, "2")
    assert await store.claims().sweeping.place_successors() == 0
    assert (await recorded(store)).has_successor
    await ended_by_pydocket(store)
    assert await store.claims().sweeping.place_successors() == 1
    await is_followed(store)
    assert await store.client.ttl("d:runs:k") == -1
    assert await store.claims().sweeping.place_successors() == 0


async def test_the_sweep_finds_what_follows_a_run_whose_record_is_gone(store: Store) -> None:
    await store.running()
    await once_more(store, "2")
    await ended_by_pydocket(store)
    await store.client.delete("d:runs:k")
    assert await store.claims().sweeping.place_successors() == 1
    assert (await recorded(store)).args == b"2"
    assert (await store.claimed()).message.when <= clock.now()


async def test_the_sweep_notes_what_follows_in_a_record_that_was_made_anew(store: Store) -> None:
    await store.running()
    await once_more(store, "2")
    await ended_by_pydocket(store)
    await store.client.delete("d:runs:k")
    await store.schedule.place(call("1"), replace=False)
    assert await store.claims().sweeping.place_successors() == 0
    await store.claims().settle(await store.claimed(), Ended("completed"))
    await is_followed(store)


async def test_the_sweep_leaves_what_is_none(store: Store) -> None:
    """I9."""
    await store.client.zadd("d:ops:successors", {"gone": 1, "odd": 2})
    await store.client.set("d:runs:odd", "x")
    await store.client.set("d:ops:successor:odd", "x")
    assert await store.claims().sweeping.place_successors() == 0
    assert await kept(store) == []
    await store.client.set("d:ops:successors", "x")
    assert await store.claims().sweeping.place_successors() == 0
