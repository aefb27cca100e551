"""reschedule.lua: the end of a claim and the next run of its key, in one step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

import attrs
import pytest

from docket.rules import ExecutionState
from docket.store import Again, Claims, Delivery, Ended, LastRun, Message, Settled
from tests.store.conftest import FUTURE, PAST, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio


Way: TypeAlias = Callable[..., Awaitable[Settled | None]]


async def alone(claims: Claims, delivery: Delivery, next_run: Message, **how: Any) -> Settled | None:
    return await claims.reschedule(delivery, Again(next_run, **how))


async def with_a_take(claims: Claims, delivery: Delivery, next_run: Message, **how: Any) -> Settled | None:
    _, (settled,) = await claims.take_settling(1, [(delivery, Again(next_run, **how))])
    return settled


@pytest.fixture(params=[alone, with_a_take])
def reschedule(request: pytest.FixtureRequest) -> Way:
    """Both ways to end a run that another one follows: they do the same."""
    return request.param


def following(delivery: Delivery, **changes: object) -> Message:
    return attrs.evolve(delivery.message, attempt=2, **changes)


async def test_a_later_run_is_parked(store: Store, heard: Heard, reschedule: Way) -> None:
    """I1, I5: a retry is a generation of its own."""
    delivery = await store.running()
    await heard.all()
    assert await reschedule(store.claims(), delivery, following(delivery, when=FUTURE)) is Settled.OK
    assert await store.everything() == {
        "d:stream": {"entries": []},
        "d:queue": {"k": 3000000000.0},
        "d:k": fields(when=FUTURE, generation=2) | {"attempt": "2"},
        "d:runs:k": run("scheduled", 2, "3000000000", known="3000000000"),
    }
    event = '{"type": "state", "key": "k", "state": "scheduled", "when": "2065-01-24T05:20:00+00:00"}'
    assert await heard.all() == [("d:state:k", event), ("d:wake", "due 3000000000")]


async def test_a_run_that_another_one_follows_has_its_own_end(
    store: Store, heard: Heard, reschedule: Way
) -> None:
    """What waits has the record; beside it is how the run before ended, and its result."""
    delivery = await store.running()
    await heard.all()
    ended = Ended("completed", result=("k:last", "TEXT"))
    next_run = following(delivery, when=FUTURE)
    assert await reschedule(store.claims(), delivery, next_run, ended=ended) is Settled.OK
    record, _ = await store.records.read("k")
    assert record is not None
    assert record.last is not None
    at = record.last.completed_at
    assert at is not None
    assert record.last == LastRun(
        generation=1, state=ExecutionState.COMPLETED, completed_at=at, result_key="k:last"
    )
    assert (await store.everything())["d:runs:k"] == {
        **run("scheduled", 2, "3000000000", known="3000000000"),
        "last_generation": "1", "last_state": "completed", "last_completed_at": "now", "last_error": "",
        "last_result_key": "k:last",
    }  # fmt: skip
    assert await store.records.result("k:last") == "TEXT"
    events = [text for channel, text in await heard.all() if channel == "d:state:k"]
    assert events == [
        '{"type": "state", "key": "k", "state": "scheduled", "when": "2065-01-24T05:20:00+00:00"}',
        f'{{"type": "state", "key": "k", "state": "completed", "completed_at": "{at.isoformat()}"}}',
    ]


async def test_a_due_run_goes_to_the_end_of_the_stream(store: Store) -> None:
    delivery = await store.running()
    assert await store.claims().reschedule(delivery, Again(following(delivery, when=PAST))) is Settled.OK
    assert await store.everything() == {
        "d:stream": {"entries": [{"id": "#1", **fields(generation=2), "attempt": "2"}]},
        "d:runs:k": run("queued", 2, known="1000000000", stream_id="#1"),
    }


async def test_a_due_run_is_left_by_the_step_that_places_it_to_whoever_waits(store: Store) -> None:
    delivery = await store.running()
    again = Again(following(delivery, when=PAST), tried="ValueError: no")
    assert await store.claims().take_settling(1, [(delivery, again)]) == ([], [Settled.OK])
    (taken,) = await store.claims().take(1)
    assert isinstance(taken, Delivery)
    assert (taken.message.key, taken.message.attempt, taken.fence.claim) == ("k", 2, 1)
    assert await store.everything() == {
        "d:stream": {
            "entries": [{"id": "#1", **fields(generation=2), "attempt": "2"}],
            "pending": {"#1": ("w", 1)},
        },
        "d:runs:k": run(
            "running", 2, worker="w", started_at="now", claim="#1.1", attempt="2", tried="ValueError: no"
        ),
    }


async def test_trace_context_and_foreign_fields_survive(store: Store, reschedule: Way) -> None:
    await store.schedule.place(message(traceparent="00", foreign="x"), replace=False)
    delivery = await store.claimed()
    await reschedule(store.claims(), delivery, following(delivery, when=FUTURE))
    await store.due.move(10)
    everything = await store.everything()
    assert everything["d:k"] == fields(when=FUTURE, generation=2, traceparent="00", foreign="x") | {
        "attempt": "2"
    }


async def test_new_arguments_are_recorded(store: Store, reschedule: Way) -> None:
    delivery = await store.running()
    await reschedule(store.claims(), delivery, following(delivery, when=FUTURE, args=b"NEW"))
    assert (await store.everything())["d:runs:k"]["args"] == "NEW"  # type: ignore[index]


async def test_there_is_no_next_run_of_what_is_to_be_cancelled(store: Store, reschedule: Way) -> None:
    delivery = await store.running()
    await store.schedule.cancel("k")
    before = await store.everything()
    asked = await reschedule(store.claims(), delivery, following(delivery))
    assert asked is (Settled.ASKED if reschedule is alone else None)  # to be settled alone
    assert await store.everything() == before


async def test_a_replaced_run_places_nothing(store: Store, reschedule: Way) -> None:
    """I2."""
    delivery = await store.running()
    await store.schedule.place(message(when=FUTURE), replace=True)
    before = await store.everything()
    assert await reschedule(store.claims(), delivery, following(delivery)) is Settled.SUPERSEDED
    assert await store.everything() == {**before, "d:stream": {"entries": []}}


async def test_a_lost_delivery_places_nothing(store: Store, reschedule: Way) -> None:
    """I2."""
    delivery = await store.running()
    other = store.claims("other")
    await other.take_over(await store.abandoned(), timedelta(0))
    before = await store.everything()
    assert await reschedule(store.claims(), delivery, following(delivery)) is Settled.LOST
    assert await store.everything() == before


async def test_a_retry_records_its_attempt_and_why_and_another_call_forgets_it(
    store: Store, reschedule: Way
) -> None:
    first = await store.running()
    await reschedule(store.claims(), first, following(first, when=FUTURE), tried="ValueError: no")
    tried = {"attempt": "2", "tried": "ValueError: no"}
    everything = await store.everything()
    assert tried.items() <= everything["d:runs:k"].items()  # type: ignore[union-attr]
    await store.client.zadd("d:queue", {"k": 1})
    await store.due.move(10)
    second = await store.claimed()
    await reschedule(store.claims(), second, second.message)
    assert not tried.keys() & set((await store.everything())["d:runs:k"])
