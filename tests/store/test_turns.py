"""lib/turns.lua: who takes turns waits in a row, and the first of the first row follows each that is taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from redis.exceptions import ResponseError

from docket.rules import Cancellation, Disposition
from docket.store import Delivery, Ended, Expired, Expiring, Message
from docket.store.claims import Claims
from docket.store.keys import Keys, turn_awaited
from tests.store.conftest import FUTURE, PAST, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio

TURNS, LANE = "d:ops:turns:normal", "d:ops:lane:normal-turns"


def row(value: str, level: str = "normal") -> str:
    return f"d:ops:row:{level}:t:{value}::waiters"


def shared(key: str, value: str, weight: str = "1", when: datetime = PAST, **more: str) -> Message:
    return message(key, when, **{"docket:share": f"{weight} t:{value}", **more})


async def place(store: Store, *calls: Message) -> None:
    for call in calls:
        placed = await store.schedule.place(call, replace=False)
        assert placed.disposition is Disposition.SCHEDULED


async def worker(store: Store, name: str = "w") -> Claims:
    """One that knows which lanes there are."""
    claims = store.claims(name)
    await claims.create_group()
    return claims


async def taken(claims: Claims, count: int) -> list[str]:
    return [one.message.key for one in await claims.take(count) if isinstance(one, Delivery)]


async def due(store: Store) -> None:
    """The moment of all that waits for it has come."""
    for key in await store.client.zrange("d:queue", 0, -1):
        await store.client.zadd("d:queue", {key: 1_000_000_000})
    await store.due.move(10)


async def one_by_one(store: Store) -> list[str]:
    """The keys in the order in which a worker with one place takes them."""
    claims, keys = await worker(store), list[str]()
    while found := await taken(claims, 1):
        keys += found
    return keys


async def waiting(store: Store, name: str) -> list[str]:
    return [entry[b"key"].decode() for _, entry in await store.client.xrange(name)]


async def test_who_comes_next_draws_where_somebody_has_deleted_the_lane(store: Store) -> None:
    """Nobody who takes knows of a lane that is not there."""
    await place(store, *(shared(f"{n}", "a") for n in range(3)))
    await store.client.delete(LANE)
    await place(store, shared("last", "b"))
    assert await one_by_one(store) == ["1", "2", "last"]


async def test_where_nobody_waits_a_task_has_its_turn_at_once(store: Store, heard: Heard) -> None:
    await place(store, shared("k", "a"))
    assert await heard.all() == [
        ("d:wake", "lane normal-turns"),
        (
            "d:state:k",
            '{"type": "state", "key": "k", "state": "queued", "when": "2001-09-09T01:46:40+00:00"}',
        ),
    ]
    found = await store.everything()
    assert found == {
        LANE: {"entries": [{"id": "#1", **fields(**{"docket:share": "1 t:a"})}]},
        "d:runs:k": run("queued", stream_id="#1", known="1000000000"),
    }


async def test_the_next_waits_in_the_row_of_its_value(store: Store, heard: Heard) -> None:
    await place(store, shared("k", "a"))
    await heard.all()
    await place(store, shared("k2", "b", "4"))
    assert await heard.all() == [
        ("d:state:k2", '{"type":"state","key":"k2","state":"scheduled","when":"2001-09-09T01:46:40+00:00"}'),
    ]
    found = await store.everything()
    assert found["d:waiting"] == [TURNS]
    assert found[TURNS] == {"t:b": pytest.approx(0.25, rel=1e-5)}
    assert found[row("b")] == {"entries": [{"id": "#2", **fields("k2", **{"docket:share": "4 t:b"})}]}
    assert found["d:runs:k2"] == run(
        "scheduled", known="1000000000", waiter_stream=row("b"), waiter_entry_id="#2"
    )


async def test_values_take_turns_and_each_keeps_its_order(store: Store) -> None:
    await place(store, *(shared(f"a{n}", "a") for n in range(6)), *(shared(f"b{n}", "b") for n in range(3)))
    await place(store, *(shared(f"c{n}", "c") for n in range(2)))
    keys = await one_by_one(store)
    assert keys == ["a0", "a1", "b0", "c0", "a2", "b1", "c1", "a3", "b2", "a4", "a5"]


async def test_who_comes_later_waits_for_one_turn_of_the_others(store: Store) -> None:
    await place(store, *(shared(f"{value}{n}", value) for n in range(30) for value in "abc"))
    claims = await worker(store)
    assert len(await taken(claims, 40)) == 40
    await place(store, shared("x", "x"))
    keys = await one_by_one(store)
    assert keys.index("x") <= 4  # one that was drawn before, and one turn of each


async def test_a_weight_is_how_many_turns_a_value_has(store: Store) -> None:
    await place(store, *(shared(f"{value}{n}", value, weight) for n in range(40) for value, weight in
                         (("a", "1"), ("b", "3"), ("c", "0.5"))))  # fmt: skip
    first = (await one_by_one(store))[:46]
    counts = {value: sum(key[0] == value for key in first) for value in "abc"}
    assert counts["b"] in (29, 30, 31)
    assert counts["a"] in (10, 11)
    assert counts["c"] in (4, 5, 6)


@pytest.mark.parametrize("weight", ["0", "0.0000001", "9999999999999", "1.1.1"])
async def test_a_weight_that_nobody_should_have_written_starves_nobody(store: Store, weight: str) -> None:
    await place(store, shared("first", "z"), *(shared(f"a{n}", "a", weight) for n in range(3)))
    await place(store, *(shared(f"b{n}", "b") for n in range(3)))
    assert sorted(await one_by_one(store)) == ["a0", "a1", "a2", "b0", "b1", "b2", "first"]


@pytest.mark.parametrize("share", ["", "1", "x t:a", "1t:a"])
async def test_what_says_nothing_of_a_turn_has_it(store: Store, share: str) -> None:
    await place(store, shared("k", "a"), message("k2", **{"docket:share": share}))
    assert await one_by_one(store) == ["k", "k2"]
    assert await store.client.exists(TURNS) == 0


async def test_nothing_is_left_of_values_that_nobody_waits_for(store: Store) -> None:
    await place(store, *(shared(f"{value}{n}", value) for n in range(4) for value in "abcd"))
    claims = await worker(store)
    for one in await claims.take(40):
        assert isinstance(one, Delivery)
        await claims.settle(one, Ended("completed"))
    left = [key for key in await store.everything() if not key.startswith("d:runs:")]
    assert left == [LANE, "d:stream"]


async def test_levels_have_turns_of_their_own(store: Store) -> None:
    await place(store, *(shared(f"n{n}", "a") for n in range(2)))
    await place(store, *(shared(f"h{n}", "a", **{"docket:lane": "high"}) for n in range(3)))
    assert await waiting(store, row("a", "high")) == ["h1", "h2"]
    assert await waiting(store, row("a")) == ["n1"]
    assert (await one_by_one(store))[:3] == ["h0", "h1", "h2"]


async def test_tasks_that_take_turns_begin_in_turns_with_the_others_of_their_level(store: Store) -> None:
    await place(store, *(shared(f"a{n}", "a") for n in range(100)), *(message(f"k{n}") for n in range(100)))
    claims = await worker(store)
    keys = [key for _ in range(12) for key in await taken(claims, 10)]
    assert 50 <= sum(key.startswith("a") for key in keys) <= 65


async def test_turns_that_nobody_took_for_long_do_not_come_before_a_higher_level(store: Store) -> None:
    await place(store, shared("a", "a"), *(message(f"k{n:02}") for n in range(60)))
    claims = await worker(store)
    while len(await taken(claims, 10)) == 10:
        pass
    await place(store, *(shared(f"a{n}", "a") for n in range(20)))
    await place(store, *(message(f"h{n}", **{"docket:lane": "high"}) for n in range(20)))
    await claims.create_group()
    assert sum(key[0] == "h" for key in await taken(claims, 20)) >= 18


async def test_who_is_idle_is_woken_by_the_one_that_follows(store: Store) -> None:
    await place(store, *(shared(f"a{n}", "a") for n in range(3)))
    claims = await worker(store)
    async with store.client.dedicated() as connection:
        for n in range(3):
            (one,) = await claims.wait_for_tasks(connection, 2, timedelta(seconds=5))
            assert isinstance(one, Delivery)
            assert one.message.key == f"a{n}"


# what leaves a row -------------------------------------------------------------------------------------------


async def test_what_is_cancelled_leaves_its_row(store: Store) -> None:
    await place(store, shared("k", "a"), shared("k2", "b"), shared("k3", "b"), shared("k4", "c"))
    for key in ("k2", "k3"):
        assert await store.schedule.cancel(key) is Cancellation.CANCELLED
    assert await store.client.zrange(TURNS, 0, -1) == [b"t:c"]
    assert await store.client.exists(row("b")) == 0
    assert await store.schedule.cancel("k4") is Cancellation.CANCELLED
    assert await store.client.exists(TURNS, "d:waiting") == 0
    assert await one_by_one(store) == ["k"]


async def test_what_is_cancelled_after_it_was_drawn_is_followed_by_another(store: Store) -> None:
    await place(store, shared("k", "a"), shared("k2", "b"), shared("k3", "b"))
    await store.schedule.cancel("k")
    assert await waiting(store, LANE) == ["k2"]
    assert await waiting(store, row("b")) == ["k3"]


async def test_what_is_replaced_waits_in_the_row_of_its_new_value(store: Store) -> None:
    await place(store, shared("k", "a"), shared("k2", "b"), shared("k3", "b"))
    await store.schedule.place(shared("k2", "c"), replace=True)
    assert (await waiting(store, row("b")), await waiting(store, row("c"))) == (["k3"], ["k2"])
    await store.schedule.place(shared("k3", "b"), replace=True)
    assert await waiting(store, row("b")) == ["k3"]
    await store.schedule.place(shared("k", "b"), replace=True)
    assert [await waiting(store, name) for name in (LANE, row("b"), row("c"))] == [["k3"], ["k"], ["k2"]]
    assert sorted(await one_by_one(store)) == ["k", "k2", "k3"]


async def test_a_key_that_waits_for_its_turn_is_taken(store: Store) -> None:
    await place(store, shared("k", "a"), shared("k2", "b"))
    for key in ("k", "k2"):
        placed = await store.schedule.place(shared(key, "c"), replace=False)
        assert placed.disposition is Disposition.ALREADY_SCHEDULED


async def test_what_pydocket_has_cancelled_or_replaced_is_dropped_when_its_turn_comes(store: Store) -> None:
    await place(store, *(shared(f"k{n}", "a") for n in range(5)))
    await store.client.hset("d:runs:k1", "state", "cancelled")
    await store.client.hset("d:runs:k2", "generation", "9")
    await store.client.delete("d:runs:k3")
    assert await one_by_one(store) == ["k0", "k4"]
    assert await store.client.exists(TURNS, "d:waiting", row("a")) == 0


async def test_a_worker_goes_on_where_too_many_of_those_were_there(store: Store, heard: Heard) -> None:
    await place(store, *(shared(f"k{n:03}", "a") for n in range(200)))
    for n in range(1, 199):
        await store.client.hset(f"d:runs:k{n:03}", "state", "cancelled")
    claims = await worker(store)
    await heard.all()
    assert await taken(claims, 1) == ["k000"]
    assert ("d:wake", "turns normal") in await heard.all()
    looks = 0
    while not await taken(claims, 1):
        looks += 1
        await claims.look_after_turns("normal")
    assert looks <= 4


async def test_a_clear_takes_all_that_wait_for_turns(store: Store) -> None:
    await place(store, *(shared(f"{value}{n}", value) for n in range(9) for value in "abc"), message("k"))
    await place(
        store, shared("h", "a", **{"docket:lane": "high"}), shared("h2", "a", **{"docket:lane": "high"})
    )
    assert await store.schedule.clear(5) == 30
    assert await one_by_one(store) == []
    left = [key for key in await store.everything() if not key.startswith("d:runs:")]
    assert left == ["d:stream"] or set(left) <= {"d:stream", LANE, "d:ops:lane:high-turns"}


async def test_what_expires_as_it_waits_leaves_its_row(store: Store) -> None:
    soon = f"{datetime.now(UTC).timestamp() + 0.05:.6f}"
    await place(store, shared("k", "a"), message("k2", **{"docket:expires": soon, "docket:share": "1 t:b"}))
    expiring, end = Expiring(store.client, store.keys, store.ttl), list[Expired]()
    while not end:
        end = list((await expiring.look((), (), 10)).due)
    assert [one.key for one in (await expiring.look(end, (), 10)).ended] == ["k2"]
    assert await store.client.exists(row("b"), TURNS) == 0


# what comes into a row, and what does not --------------------------------------------------------------------


async def test_what_becomes_due_waits_for_its_turn(store: Store, heard: Heard) -> None:
    await place(store, shared("k", "a"), shared("k2", "b", when=FUTURE), shared("k3", "b", when=FUTURE))
    await heard.all()
    await due(store)
    assert await waiting(store, row("b")) == ["k2", "k3"]
    assert await heard.all() == []
    assert (await store.everything())["d:runs:k2"]["state"] == "scheduled"
    assert await one_by_one(store) == ["k", "k2", "k3"]


async def test_what_becomes_due_and_has_no_record_is_not_lost(store: Store) -> None:
    await place(store, shared("k", "a"), shared("k2", "b", when=FUTURE))
    await store.client.delete("d:runs:k2")
    await due(store)
    assert await one_by_one(store) == ["k", "k2"]


async def test_what_is_resumed_waits_for_its_turn(store: Store) -> None:
    await place(store, shared("a", "a"), shared("b", "b"))
    await store.pauses.pause("f", "", "")
    claims = await worker(store)
    assert await taken(claims, 10) == []
    assert await waiting(store, "d:ops:pause:f::waiters") == ["a", "b"]
    assert await store.pauses.resume("f") == (True, 2)
    assert (await waiting(store, LANE), await waiting(store, row("b"))) == (["a"], ["b"])
    assert await one_by_one(store) == ["a", "b"]


async def test_what_is_handed_back_or_has_had_its_turn_comes_before_those_that_wait(store: Store) -> None:
    await place(store, *(shared(f"a{n}", "a") for n in range(3)))
    claims = await worker(store)
    (one,) = await claims.take(1)
    assert isinstance(one, Delivery)
    await claims.hand_back(one)
    await place(store, shared("k", "a", "+1"))
    assert await one_by_one(store) == ["a1", "a0", "k", "a2"]


async def test_the_sweep_mends_what_somebody_took_off_the_lane(store: Store) -> None:
    await place(store, *(shared(f"a{n}", "a") for n in range(3)))
    claims = await worker(store)
    await store.client.xtrim(LANE, maxlen=0, approximate=False)
    await claims.look_after_turns()
    assert await waiting(store, LANE) == ["a1"]


async def test_a_docket_on_which_some_wait_for_their_turn_is_not_finished(store: Store, heard: Heard) -> None:
    await place(store, shared("k", "a"), shared("k2", "b"))
    claims = await worker(store)
    await heard.all()
    for left in (2, 1):
        assert await claims.unfinished() == left
        (one,) = await claims.take(1)
        assert isinstance(one, Delivery)
        await claims.settle(one, Ended("completed"))
        assert (("d:wake", "finished") in await heard.all()) is (left == 1)
    assert await claims.unfinished() == 0


# names and other types ---------------------------------------------------------------------------------------

ODD = ["", ":", "a:", "a::waiters", "x:y", "ä", "\n", "\0", "%", "a b", "1 t:a", "waiters"]


async def test_values_of_any_text_have_rows_of_their_own(store: Store) -> None:
    calls = [shared(f"{n} {at}", value) for at in range(2) for n, value in enumerate(ODD)]
    await place(store, shared("first", "first"), *calls)
    assert await store.client.zcard(TURNS) == len(ODD)
    for value in ODD:
        name = store.keys.row("normal", store.keys.value_named("t", value))
        assert turn_awaited(store.keys, name) == f"t:{value}"
        assert len(await waiting(store, f"{name}:waiters")) == 2
    await store.schedule.cancel("3 0")
    keys = await one_by_one(store)
    assert len(keys) == 2 * len(ODD)
    assert await store.client.exists(TURNS) == 0


def test_no_two_values_have_one_name() -> None:
    assert Keys.value_named("a:b", "c") != Keys.value_named("a", "b:c")
    assert Keys.value_named("a:b", "c") != Keys.value_named("a%3Ab", "c")
    assert turn_awaited(Keys("d"), "d:concurrency:f") is None
    assert turn_awaited(Keys("d"), Keys("d").pause("f")) is None


async def test_what_is_no_row_harms_nobody_else(store: Store) -> None:
    await place(store, shared("k", "a"), shared("k2", "b"), shared("k3", "c"))
    await store.client.delete(row("b"))
    await store.client.set(row("b"), "x")
    assert await one_by_one(store) == ["k", "k3"]
    assert await store.client.exists(TURNS) == 0


async def test_an_error_names_what_is_in_the_place_of_the_turns(store: Store) -> None:
    await place(store, shared("k", "a"))
    await store.client.set(TURNS, "x")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await store.schedule.place(shared("k2", "b"), replace=False)
