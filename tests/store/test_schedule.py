"""schedule.lua: one task under its key, now or later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from docket.errors import KeyUnreadable
from docket.rules import Disposition
from docket.store import Ended, Placed
from docket.store.schedule import epoch, milliseconds, time_to_live
from tests.store.conftest import FUTURE, PAST, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio

SCHEDULED, EXISTS = Disposition.SCHEDULED, Disposition.ALREADY_SCHEDULED
WHEN = "1000000000"


async def test_a_due_task_is_one_entry_of_the_stream(store: Store, heard: Heard) -> None:
    assert await store.schedule.place(message(), replace=False) == Placed(SCHEDULED, 1)
    assert await store.everything() == {
        "d:stream": {"entries": [{"id": "#1", **fields()}]},
        "d:runs:k": run("queued", known=WHEN, stream_id="#1"),
    }
    event = '{"type": "state", "key": "k", "state": "queued", "when": "2001-09-09T01:46:40+00:00"}'
    assert await heard.all() == [("d:state:k", event)]


async def test_a_later_task_is_parked_and_queued_by_its_time(store: Store, heard: Heard) -> None:
    assert await store.schedule.place(message(when=FUTURE), replace=False) == Placed(SCHEDULED, 1)
    assert await store.everything() == {
        "d:queue": {"k": 3000000000.0},
        "d:k": fields(when=FUTURE),
        "d:runs:k": run("scheduled", when="3000000000", known="3000000000"),
    }
    event = '{"type": "state", "key": "k", "state": "scheduled", "when": "2065-01-24T05:20:00+00:00"}'
    assert await heard.all() == [("d:state:k", event), ("d:wake", "due 3000000000")]


async def test_only_the_first_of_the_queue_wakes_a_scheduler(store: Store, heard: Heard) -> None:
    await store.schedule.place(message("first", FUTURE), replace=False)
    await store.schedule.place(message("second", FUTURE + timedelta(days=1)), replace=False)
    assert [event for event in await heard.all() if event[0] == "d:wake"] == [("d:wake", "due 3000000000")]


@pytest.mark.parametrize("when", [PAST, FUTURE], ids=["queued", "scheduled"])
async def test_a_key_that_waits_is_left_as_it_is(store: Store, heard: Heard, when: object) -> None:
    await store.schedule.place(message(when=when), replace=False)  # type: ignore[arg-type]
    before = await store.everything()
    await heard.all()
    assert await store.schedule.place(message(), replace=False) == Placed(EXISTS, 1)
    assert await store.everything() == before
    assert await heard.all() == []


async def test_a_key_that_runs_is_left_as_it_is(store: Store) -> None:
    await store.running()
    before = await store.everything()
    assert await store.schedule.place(message(), replace=False) == Placed(EXISTS, 1)
    assert await store.everything() == before


async def test_replacing_leaves_one_live_generation(store: Store) -> None:
    """I5: what waited is gone, from the stream and from the queue."""
    await store.schedule.place(message(), replace=False)
    assert await store.schedule.place(message(when=FUTURE), replace=True) == Placed(SCHEDULED, 2)
    assert await store.everything() == {
        "d:stream": {"entries": []},
        "d:queue": {"k": 3000000000.0},
        "d:k": fields(when=FUTURE, generation=2),
        "d:runs:k": run("scheduled", 2, "3000000000", known="3000000000"),
    }
    assert await store.schedule.place(message(), replace=True) == Placed(SCHEDULED, 3)
    assert await store.everything() == {
        "d:stream": {"entries": [{"id": "#1", **fields(generation=3)}]},
        "d:runs:k": run("queued", 3, known=WHEN, stream_id="#1"),
    }


async def test_replacing_a_run_leaves_its_delivery_to_its_worker(store: Store) -> None:
    await store.running()
    assert await store.schedule.place(message(), replace=True) == Placed(SCHEDULED, 2)
    everything = await store.everything()
    assert everything["d:stream"] == {
        "entries": [{"id": "#1", **fields()}, {"id": "#2", **fields(generation=2)}],
        "pending": {"#1": ("w", 1)},
    }
    assert everything["d:runs:k"] == run("queued", 2, known=WHEN, stream_id="#2")


async def test_a_key_that_has_ended_begins_a_fresh_record_of_the_next_generation(store: Store) -> None:
    delivery = await store.running()
    await store.claims().settle(delivery, Ended("failed", error="ValueError: no"))
    assert await store.schedule.place(message(), replace=False) == Placed(SCHEDULED, 2)
    assert (await store.everything())["d:runs:k"] == run("queued", 2, known=WHEN, stream_id="#1")


async def test_a_reschedule_ends_its_delivery_in_the_same_step(store: Store) -> None:
    """I1: a handler that a user wrote places the next run itself."""
    delivery = await store.running()
    placed = await store.schedule.place(
        message(when=FUTURE), replace=False, rescheduled=delivery.message_id, expected=1
    )
    assert placed == Placed(SCHEDULED, 2)
    everything = await store.everything()
    assert everything["d:stream"] == {"entries": []}
    assert everything["d:queue"] == {"k": 3000000000.0}


async def test_an_expected_generation_that_is_past_places_nothing(store: Store, heard: Heard) -> None:
    """I2."""
    await store.schedule.place(message(), replace=False)
    await store.schedule.place(message(), replace=True)
    before = await store.everything()
    await heard.all()
    placed = await store.schedule.place(message(when=FUTURE), replace=True, expected=1)
    assert placed == Placed(Disposition.SUPERSEDED, 2)
    assert await store.everything() == before
    assert await heard.all() == []


async def test_extra_fields_travel_along(store: Store) -> None:
    await store.schedule.place(message(traceparent="00-ab-cd-01"), replace=False)
    await store.schedule.place(message("later", FUTURE, other="x"), replace=False)
    everything = await store.everything()
    assert everything["d:stream"] == {"entries": [{"id": "#1", **fields(traceparent="00-ab-cd-01")}]}
    assert everything["d:later"] == fields("later", FUTURE, other="x")


async def test_one_refused_message_does_not_stop_the_others(store: Store) -> None:
    await store.client.set("d:runs:b", "not a hash")
    placed = await store.schedule.place_many([message("a"), message("b"), message("c")], replace=False)
    assert [type(one).__name__ for one in placed] == ["Placed", "UnreadableKey", "Placed"]


@pytest.mark.parametrize(
    ("duration", "ms"),
    [
        (timedelta(microseconds=1), 1),
        (timedelta(microseconds=1600), 2),
        (timedelta(0), 0),
        (timedelta(seconds=-1), 0),
        (timedelta.max, 36_525 * 86_400_000),
    ],
)
def test_a_duration_is_whole_milliseconds_and_at_least_one_if_it_is_any(duration: timedelta, ms: int) -> None:
    assert milliseconds(duration) == time_to_live(duration) == ms


def test_a_record_that_is_kept_for_ever_has_no_time_to_live() -> None:
    assert time_to_live(None) == ""


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0"), (1795204147.425547, "1795204147.425547"), (1795204147.5, "1795204147.5"), (100, "100")],
)
def test_a_moment_is_written_without_needless_zeros(seconds: float, written: str) -> None:
    assert epoch(datetime.fromtimestamp(seconds, UTC)) == written


async def test_a_write_that_meets_something_else_under_a_key_of_its_task_names_the_key(store: Store) -> None:
    await store.client.set("d:runs:k", "something else")
    for write in store.schedule.place(message(), replace=False), store.schedule.cancel("k"):
        with pytest.raises(KeyUnreadable, match="'d:runs:k' holds a string, where docket keeps a hash"):
            await write
