"""expire.lua: what expires as it waits is ended on time, or goes to a worker that knows what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from docket.rules import Disposition
from docket.store import EXPIRES, Expired, Expiring, Message
from tests.store.conftest import FUTURE, PAST, Heard, Store, message, run

pytestmark = pytest.mark.anyio

#: When test tasks expire: in the future as they are placed, in the past once a test has moved it.
UNTIL, PASSED = "2900000000.000000", "1000000000.000000"
MOMENT = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
WHY = f"ExecutionExpired: it had not begun by {MOMENT.isoformat()}"


def expiring(store: Store) -> Expiring:
    return Expiring(store.client, store.keys, timedelta(minutes=15))


def expiring_message(key: str, when: datetime = FUTURE, expires: str = UNTIL) -> Message:
    return attrs.evolve(message(key, when), extra={EXPIRES: expires.encode()})


async def waiting(store: Store, key: str, when: datetime = FUTURE) -> None:
    """A task that has expired since it was placed."""
    await store.schedule.place(expiring_message(key, when), replace=False)
    if when == FUTURE:
        await store.client.hset(store.keys.parked(key), "docket:expires", PASSED)
    await store.client.zadd("d:ops:expiring", {key: 1_000_000_000})


async def test_what_has_expired_is_found_and_when_the_next_one_does(store: Store) -> None:
    await store.schedule.place(expiring_message("later"), replace=False)
    look = await expiring(store).look([], [], 10)
    assert not look.due
    assert look.again is not None
    assert look.again > timedelta(days=1)
    await waiting(store, "k")
    look = await expiring(store).look([], [], 10)
    assert look.due == [Expired("k", "f", MOMENT)]
    assert look.again == timedelta(0)


async def test_what_waits_on_the_queue_is_cancelled_with_the_reason(store: Store, heard: Heard) -> None:
    await waiting(store, "k")
    await heard.all()
    look = await expiring(store).look([Expired("k", "f", MOMENT)], [], 10)
    assert look.ended == [Expired("k", "f", MOMENT, 1, FUTURE)]
    assert look.again is None
    assert await store.everything() == {
        "d:runs:k (expires)": run("cancelled", when="3000000000", completed_at="now", error=WHY)
    }
    (state, finished) = await heard.all()
    assert f'"error":"{WHY}"' in state[1]
    assert finished == ("d:wake", "finished")


async def test_what_may_be_a_chain_goes_to_the_stream(store: Store) -> None:
    await waiting(store, "k")
    assert not (await expiring(store).look([], [Expired("k", "f", MOMENT)], 10)).ended
    assert (await store.due.move(10)).count == 1
    taken = await store.claimed()
    assert taken.expired


async def test_a_message_that_says_something_else_counts_more_than_the_list(store: Store) -> None:
    """It was replaced, by a client that does not know the list."""
    await waiting(store, "k")
    await store.client.hset("d:k", "docket:expires", UNTIL)
    await waiting(store, "other")
    await store.client.hdel("d:other", "docket:expires")
    decided = [Expired("k", "f", MOMENT), Expired("other", "f", MOMENT), Expired("gone", "f", MOMENT)]
    assert not (await expiring(store).look(decided, [], 10)).ended
    assert await store.client.zrange("d:ops:expiring", 0, -1, withscores=True) == [(b"k", 2_900_000_000)]
    for key in "k", "other":
        assert await store.client.hget(f"d:runs:{key}", "state") == b"scheduled"


async def test_a_run_that_has_begun_is_left_alone(store: Store) -> None:
    await store.schedule.place(expiring_message("k", PAST), replace=False)
    taken = await store.claimed()
    assert not taken.expired
    assert "d:ops:expiring" not in await store.everything()
    await store.client.zadd("d:ops:expiring", {"k": 1_000_000_000})
    assert not (await expiring(store).look([Expired("k", "f", MOMENT)], [], 10)).ended
    assert await store.client.hget("d:runs:k", "state") == b"running"


async def test_what_is_kept_under_the_name_of_the_list_harms_nobody(store: Store) -> None:
    await store.client.set("d:ops:expiring", "x")
    await store.schedule.place(expiring_message("k", PAST), replace=False)
    look = await expiring(store).look([], [], 10)
    assert not look.due
    assert look.again is None
    assert not (await store.claimed()).expired


@pytest.mark.parametrize("expires", [PASSED, "+0"])
async def test_what_has_expired_as_it_is_placed_is_recorded_as_cancelled(
    store: Store, heard: Heard, expires: str
) -> None:
    placed = await store.schedule.place(expiring_message("k", PAST, expires), replace=False)
    assert placed.disposition is Disposition.EXPIRED
    error = str(await store.client.hget("d:runs:k", "error"))
    assert "ExecutionExpired: it had not begun by " in error
    await store.client.hdel("d:runs:k", "error")
    assert await store.everything() == {"d:runs:k (expires)": run("cancelled", completed_at="now")}
    ((channel, event), _) = await heard.all()
    assert channel == "d:state:k"
    assert '"state":"cancelled"' in event


async def test_what_counts_from_its_placing_gets_a_moment_of_the_server(store: Store) -> None:
    await store.schedule.place(expiring_message("k", FUTURE, "+60000"), replace=False)
    parked = await store.client.hgetall("d:k")
    seconds, micros = await store.client.time()
    assert float(parked[b"docket:expires"]) == pytest.approx(seconds + micros / 1e6 + 60, abs=5)
    assert parked[b"docket:expires"] == await store.client.hget("d:runs:k", "expires")
