"""promote.lua: what waits for its time runs now."""

from __future__ import annotations

import pytest

from docket import clock
from docket.store import Moved
from tests.store.conftest import FUTURE, PAST, Heard, Store, message
from tests.store.test_failures import failures, retried

pytestmark = pytest.mark.anyio


async def test_a_task_for_later_is_due_at_once_and_schedulers_are_told(store: Store, heard: Heard) -> None:
    await store.schedule.place(message(when=FUTURE), replace=False)
    await heard.all()
    assert await failures(store).promote("k", clock.now())
    (state, event), (wake, due) = await heard.all()
    assert (state, wake) == ("d:state:k", "d:wake")
    assert '"scheduled"' in event
    assert due.startswith("due ")
    record, _ = await store.records.read("k")
    assert record is not None
    assert record.when is not None
    assert record.when < FUTURE
    assert await store.due.move(10) == Moved(1, None)
    assert (await store.claimed()).message.when == record.when


async def test_the_next_attempt_of_a_failure_is_moved_with_its_entry(store: Store) -> None:
    delivery = await store.running()
    await store.claims().reschedule(delivery, retried(delivery))
    assert await failures(store).promote("k", PAST)
    kept = await failures(store).read("k")
    assert kept is not None
    assert kept.next_at == PAST


async def test_only_the_attempt_of_that_failure_is_moved_where_it_is_named(store: Store) -> None:
    delivery = await store.running()
    await store.claims().reschedule(delivery, retried(delivery))
    kept = await failures(store).read("k")
    assert kept is not None
    await store.schedule.place(message(when=FUTURE), replace=True)  # another call has the key by now
    before = await store.everything()
    assert not await failures(store).promote("k", clock.now(), kept.failed_ms)
    assert await store.everything() == before
    assert await failures(store).promote("k", clock.now())


async def test_what_is_due_already_is_not_put_behind_others(store: Store) -> None:
    await store.schedule.place(message(when=FUTURE), replace=False)
    assert await failures(store).promote("k", PAST)
    before = await store.everything()
    assert await failures(store).promote("k", clock.now())
    assert await store.everything() == before


@pytest.mark.parametrize("state", ["none", "queued", "running", "parked elsewhere"])
async def test_of_what_does_not_wait_for_its_time_nothing_changes(store: Store, state: str) -> None:
    if state != "none":
        when = FUTURE if state == "parked elsewhere" else PAST
        await store.schedule.place(message(when=when), replace=False)
    if state == "running":
        await store.claimed()
    if state == "parked elsewhere":
        await store.client.delete("d:k")
    before = await store.everything()
    assert not await failures(store).promote("k", clock.now())
    assert await store.everything() == before
