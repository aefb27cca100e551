"""admit.lua: whether a claimed run may begin, and what it takes for that."""

from __future__ import annotations

import json
from datetime import timedelta

import attrs
import pytest

from docket.errors import DeliveryUnreadable
from docket.rules import (
    Abandon,
    AdmissionRule,
    AwaitSlot,
    Cancel,
    CooldownRule,
    DebounceRule,
    Defer,
    Drop,
    RateRule,
    SlotRule,
    Verdict,
    pack,
)
from docket.store import Admissions, Again, Delivery, Ended, LimitInUse, Settled, Unreadable
from tests.store.conftest import FUTURE, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio

LEASE = timedelta(minutes=5)
A, B = SlotRule("d:concurrency:a:1", 1), SlotRule("d:concurrency:b:2", 1)
PACKED = "300000 1:17:d:concurrency:a:1"
CLAIMED = {"worker": "w", "started_at": "now"}
SECOND = timedelta(seconds=1)


def admissions(store: Store, worker: str = "w") -> Admissions:
    return Admissions(store.client, store.keys, worker)


def holding(delivery: Delivery, *limits: SlotRule) -> Delivery:
    return attrs.evolve(delivery, slots=pack(limits, LEASE))


async def ask(store: Store, delivery: Delivery, *rules: AdmissionRule) -> Verdict | None:
    return await admissions(store).admit(delivery, rules, LEASE)


async def end(store: Store, delivery: Delivery, *limits: SlotRule) -> Settled:
    return await store.claims().settle(holding(delivery, *limits), Ended("completed"))


async def seen(store: Store) -> dict[str, object]:
    """The keyspace, moments of now told by their names."""
    everything = await store.everything()
    now = float((await store.client.time())[0])

    def shown(value: object) -> object:
        match value:
            case dict():
                return {name: shown(inner) for name, inner in value.items()}
            case float() if abs(value - now) < 60:
                return "now"
            case str() if value.count(".") == 1 and value.replace(".", "").isdigit():
                return "now" if abs(float(value) - now) < 60 else value
            case _:
                return value

    return {name: shown(value) for name, value in everything.items()}


async def one_runs_and_one_waits(store: Store) -> tuple[Delivery, Delivery]:
    first = await store.running("k1")
    assert await ask(store, first, A) is None
    second = await store.running("k2")
    assert await ask(store, second, A) == AwaitSlot(A.name)
    return first, second


# concurrency --------------------------------------------------------------------------------------------


async def test_a_run_takes_a_slot(store: Store) -> None:
    assert await ask(store, await store.running(), A) is None
    everything = await seen(store)
    assert everything.pop("d:stream")
    assert everything == {
        "d:concurrency:a:1 (expires)": {"k": "now"},
        "d:concurrency:a:1:owners (expires)": {"k": "#1"},
        "d:limits": {"d:concurrency:a:1": PACKED},
        "d:runs:k": run("running", claim="#1.1", **CLAIMED),
    }
    assert await store.client.pttl("d:concurrency:a:1") == pytest.approx(1_200_000, abs=5000)


async def test_its_end_leaves_nothing_of_it(store: Store) -> None:
    delivery = await store.running()
    await ask(store, delivery, A, B)
    assert await end(store, delivery, A, B) is Settled.OK
    everything = await store.everything()
    assert set(everything) == {"d:stream", "d:runs:k (expires)"}


async def test_who_finds_a_limit_full_is_parked_with_it(store: Store, heard: Heard) -> None:
    """I1: the message is with the waiters when its delivery is acknowledged."""
    await ask(store, await store.running("k1"), A)
    second = await store.running("k2")
    await store.client.hset("d:progress:k2", "current", 7)
    await heard.all()
    assert await ask(store, second, A) == AwaitSlot(A.name)
    everything = await seen(store)
    assert everything["d:concurrency:a:1:waiters"] == {
        "entries": [{"id": "#2", **fields("k2", generation=2), "docket:limits": PACKED}]
    }
    assert everything["d:runs:k2"] == run(
        "scheduled", 2, known="now", waiter_stream="d:concurrency:a:1:waiters", waiter_entry_id="#2"
    )
    assert everything["d:waiting"] == ["d:concurrency:a:1"]
    assert "d:progress:k2" not in everything
    assert everything["d:stream"] == {
        "entries": [{"id": "#1", **fields("k1")}],
        "pending": {"#1": ("w", 1)},
    }
    assert await heard.all() == [("d:state:k2", '{"type": "state", "key": "k2", "state": "scheduled"}')]


async def test_the_end_of_a_run_wakes_the_first_who_waits(store: Store, heard: Heard) -> None:
    first, _ = await one_runs_and_one_waits(store)
    third = await store.running("k3")
    await ask(store, third, A)
    await heard.all()
    assert await end(store, first, A) is Settled.OK
    everything = await seen(store)
    placed = everything["d:stream"]["entries"][0][
        "id"
    ]  # of another stream than those of who waits: it may be equal
    assert everything["d:stream"] == {"entries": [{"id": placed, **fields("k2", generation=3)}]}
    assert everything["d:runs:k2"] == run("queued", 3, known="now", stream_id=placed, reserved=f"3 {PACKED}")
    assert everything["d:concurrency:a:1:woken"] == {"k2": "now"}
    assert [json.loads(event)["state"] for _, event in await heard.all()] == ["completed", "queued"]
    woken = await store.claimed()
    assert woken.message.generation == 3
    assert woken.message.extra == {}
    assert await ask(store, woken, A) is None
    (limit,) = await admissions(store).in_use()
    assert limit == LimitInUse("d:concurrency:a:1", 1, ("k2",), (), ("k3",), 1)


async def test_who_comes_fresh_does_not_take_the_slot_of_one_who_was_woken(store: Store) -> None:
    first, _ = await one_runs_and_one_waits(store)
    await end(store, first, A)
    woken = await store.claimed()
    assert await ask(store, await store.running("k3"), A) == AwaitSlot(A.name)
    assert await ask(store, woken, A) is None


async def test_every_limit_is_taken_or_none(store: Store) -> None:
    first = await store.running("k1")
    await ask(store, first, B)
    assert await ask(store, await store.running("k2"), A, B) == AwaitSlot(B.name)
    assert (await admissions(store).in_use())[0].key == B.name
    third = await store.running("k3")
    assert await ask(store, third, A) is None
    await end(store, first, B)
    assert [(one.key, one.waiters) for one in await admissions(store).in_use()] == [(A.name, ("k2",))]
    await end(store, third, A)
    assert [(one.key, one.woken) for one in await admissions(store).in_use()] == [
        (A.name, ("k2",)),
        (B.name, ("k2",)),
    ]
    assert await ask(store, await store.claimed(), A, B) is None


async def test_a_run_that_replaces_another_waits_for_its_end(store: Store) -> None:
    """The slot belongs to the delivery that has taken it, not to the key."""
    two = SlotRule(A.name, 2)
    old = await store.running()
    await ask(store, old, two)
    await store.schedule.place(message(), replace=True)
    new = await store.claimed()
    assert await ask(store, new, two) == AwaitSlot(A.name)
    assert await end(store, old, two) is Settled.SUPERSEDED
    assert await ask(store, await store.claimed(), two) is None


async def test_a_redelivered_run_has_its_slot_already(store: Store) -> None:
    await ask(store, await store.running(), A)
    (again,) = await store.claims("w2").take_over(
        [entry[0] for entry in await store.client.xrange("d:stream")], timedelta(0)
    )
    assert isinstance(again, Delivery)
    assert await admissions(store, "w2").admit(again, [A], LEASE) is None


async def test_a_lost_run_frees_nothing(store: Store) -> None:
    """I2."""
    lost = await store.running()
    await ask(store, lost, A)
    await store.claims("w2").take_over([lost.message_id], timedelta(0))
    assert await end(store, lost, A) is Settled.LOST
    assert await store.client.zrange(A.name, 0, -1) == [b"k"]


async def test_the_slot_of_a_holder_that_is_gone_is_free_after_its_lease(store: Store) -> None:
    await ask(store, await store.running("k1"), A)
    await store.client.zadd(A.name, {"k1": 1})
    assert await ask(store, await store.running("k2"), A) is None


@pytest.mark.parametrize("ending", ["reschedule", "hand_back", "fail", "cancel", "set_aside"])
async def test_however_a_run_ends_its_slot_is_free(store: Store, ending: str) -> None:
    first, _ = await one_runs_and_one_waits(store)
    claims, first = store.claims(), holding(first, A)
    if ending == "reschedule":
        await claims.reschedule(first, Again(message("k1", FUTURE)))
    elif ending == "hand_back":
        await claims.hand_back(first)
    elif ending == "set_aside":
        reason = DeliveryUnreadable("so")
        aside = Unreadable(
            message_id=first.message_id, key="k1", reason=reason, generation=1, slots=first.slots
        )
        await claims.set_aside(aside)
    else:
        await claims.settle(first, Ended({"fail": "failed", "cancel": "cancelled"}[ending]))
    (limit,) = await admissions(store).in_use()
    assert (limit.holders, limit.woken, limit.waiting) == ((), ("k2",), 0)


@pytest.mark.parametrize("how", ["cancel", "replace", "clear"])
async def test_who_waits_can_be_taken_away(store: Store, how: str) -> None:
    first, _ = await one_runs_and_one_waits(store)
    if how == "cancel":
        await store.schedule.cancel("k2")
    elif how == "clear":
        assert await store.schedule.clear(100) == 1
    else:
        await store.schedule.place(message("k2", FUTURE), replace=True)
    everything = await store.everything()
    assert not {"d:concurrency:a:1:waiters", "d:waiting"} & set(everything)
    if how != "replace":
        record = everything["d:runs:k2 (expires)"]
        assert record == run("cancelled", 2, completed_at="now")
    await end(store, first, A)
    assert await admissions(store).in_use() == []


@pytest.mark.parametrize("how", ["cancel", "replace", "clear", "refuse"])
async def test_what_was_kept_for_a_woken_task_goes_to_the_next(store: Store, how: str) -> None:
    first, _ = await one_runs_and_one_waits(store)
    await ask(store, await store.running("k3"), A)
    await end(store, first, A)
    if how == "cancel":
        await store.schedule.cancel("k2")
    elif how == "replace":
        await store.schedule.place(message("k2", FUTURE), replace=True)
    elif how == "clear":
        assert await store.schedule.clear(100) == 2
    else:  # as pydocket's clients leave a cancelled task
        await store.client.hset("d:runs:k2", "state", "cancelled")
        assert [type(taken).__name__ for taken in await store.claims().take(1)] in ([], ["Refused"])
    limits = await admissions(store).in_use()
    assert [one.woken for one in limits] == ([] if how == "clear" else [("k3",)])


async def test_who_waits_is_on_the_docket(store: Store) -> None:
    first, _ = await one_runs_and_one_waits(store)
    again = await store.schedule.place(message("k2"), replace=False)
    assert again.disposition.value == "already_scheduled"
    picture = await store.records.picture()
    assert [entry.message.key for entry in picture.waiting] == ["k2"]
    await store.client.delete("d:stream")
    assert await store.claims().unfinished() == 1
    assert first.message.key == "k1"


async def test_a_cancellation_that_was_asked_for_comes_before_admission(store: Store) -> None:
    first, _ = await one_runs_and_one_waits(store)
    third = await store.running("k3")
    await store.schedule.cancel("k3")
    assert await ask(store, third, A) == Cancel()
    assert first.fence.claim == 1


async def test_a_run_that_was_replaced_is_not_admitted(store: Store) -> None:
    old = await store.running()
    await store.schedule.place(message(when=FUTURE), replace=True)
    assert await ask(store, old, A) == Abandon()
    assert A.name not in await store.everything()


# rate limits, cooldowns, debouncing -----------------------------------------------------------------------


async def test_each_who_is_too_many_gets_a_moment_of_its_own(store: Store) -> None:
    rule = RateRule("d:ratelimit:f", 2, 100 * SECOND)
    waits: list[float] = []
    for key in range(6):
        verdict = await ask(store, await store.running(f"{key}"), rule)
        waits.append(verdict.wait.total_seconds() if isinstance(verdict, Defer) else 0)
    assert waits == pytest.approx([0, 0, 100, 100, 200, 200], abs=2)
    assert len(await store.client.zrange("d:ratelimit:f", 0, -1)) == 2
    assert await store.client.zrange("d:ratelimit:f:reserved", 0, -1) == [b"2", b"3", b"4", b"5"]
    for name in ("d:ratelimit:f", "d:ratelimit:f:reserved"):
        assert await store.client.pttl(name) > 0


async def test_it_is_admitted_when_its_moment_has_come(store: Store) -> None:
    rule = RateRule("d:ratelimit:f", 1, 100 * SECOND)
    await ask(store, await store.running("k1"), rule)
    second = await store.running("k2")
    assert isinstance(await ask(store, second, rule), Defer)
    await store.client.delete("d:ratelimit:f")
    await store.client.zadd("d:ratelimit:f:reserved", {"k2": (await store.client.time())[0] * 1000 - 1})
    assert await ask(store, second, rule) is None
    assert not await store.client.exists("d:ratelimit:f:reserved")


async def test_what_is_too_many_can_be_dropped(store: Store) -> None:
    rule = RateRule("d:ratelimit:f", 1, 100 * SECOND, drop=True)
    assert await ask(store, await store.running("k1"), rule) is None
    assert await ask(store, await store.running("k2"), rule) == Drop("d:ratelimit:f")


async def test_what_comes_during_a_cooldown_is_dropped(store: Store) -> None:
    rule = CooldownRule("d:cooldown:f", 100 * SECOND)
    assert await ask(store, await store.running("k1"), rule) is None
    assert await store.client.get("d:cooldown:f") == b"1"
    assert await store.client.pttl("d:cooldown:f") == pytest.approx(100_000, abs=5000)
    assert await ask(store, await store.running("k2"), rule) == Drop("d:cooldown:f")


async def test_the_first_of_a_burst_runs_when_the_burst_is_over(store: Store) -> None:
    rule = DebounceRule("d:w", "d:s", 100 * SECOND)
    first = await store.running("k1")
    assert await ask(store, first, rule) == Defer(100 * SECOND)
    assert await ask(store, await store.running("k2"), rule) == Drop("d:w")
    assert await store.client.get("d:w") == b"k1"
    assert await store.client.pttl("d:w") == pytest.approx(1_000_000, abs=5000)
    await store.client.set("d:s", (await store.client.time())[0] * 1000 - 60_000)
    verdict = await ask(store, first, rule)
    assert isinstance(verdict, Defer)
    assert verdict.wait.total_seconds() == pytest.approx(40, abs=2)
    await store.client.set("d:s", 1)
    assert await ask(store, first, rule) is None
    assert not await store.client.exists("d:w", "d:s")


async def test_a_winner_that_was_cancelled_is_followed_by_another(store: Store) -> None:
    rule = DebounceRule("d:w", "d:s", 100 * SECOND)
    await ask(store, await store.running("k1"), rule)
    await store.client.hset("d:runs:k1", "state", "cancelled")
    assert await ask(store, await store.running("k2"), rule) == Defer(100 * SECOND)
    assert await store.client.get("d:w") == b"k2"


async def test_who_is_refused_by_one_rule_uses_up_nothing_of_another(store: Store) -> None:
    cooldown, rate = CooldownRule("d:c", 100 * SECOND), RateRule("d:r", 1, 100 * SECOND)
    first = await store.running("k1")
    await ask(store, first, A)
    assert await ask(store, await store.running("k2"), A, cooldown, rate) == AwaitSlot(A.name)
    assert not await store.client.exists("d:c", "d:r")
    await store.client.set("d:c", "1")
    assert await ask(store, await store.running("k3"), B, cooldown, rate) == Drop("d:c")
    assert not await store.client.exists(B.name, "d:r")


async def test_a_woken_task_that_is_refused_hands_its_slot_on(store: Store) -> None:
    cooldown = CooldownRule("d:c", 100 * SECOND)
    first = await store.running("k1")
    await ask(store, first, A)
    await ask(store, await store.running("k2"), A, cooldown)
    await ask(store, await store.running("k3"), A)
    await end(store, first, A)
    await store.client.set("d:c", "1")
    assert await ask(store, await store.claimed(), A, cooldown) == Drop("d:c")
    (limit,) = await admissions(store).in_use()
    assert (limit.woken, limit.waiting) == (("k3",), 0)


async def test_a_redelivered_or_handed_back_run_does_not_meet_its_own_cooldown(store: Store) -> None:
    cooldown = CooldownRule("d:c", 100 * SECOND)
    first = await store.running("k1")
    assert await ask(store, first, A, cooldown) is None
    (again,) = await store.claims("w2").take_over([first.message_id], timedelta(0))
    assert isinstance(again, Delivery)
    assert await admissions(store, "w2").admit(again, [A, cooldown], LEASE) is None
    await store.claims("w2").hand_back(holding(again, A))
    assert await ask(store, await store.claimed(), A, cooldown) is None


async def test_nor_does_one_that_has_lost_its_slot_meanwhile(store: Store) -> None:
    cooldown = CooldownRule("d:c", 100 * SECOND)
    first = await store.running("k1")
    assert await ask(store, first, A, cooldown) is None
    await store.client.zadd(A.name, {"k1": 1})
    second = await store.running("k2")
    assert await ask(store, second, A) is None
    (again,) = await store.claims("w2").take_over([first.message_id], timedelta(0))
    assert isinstance(again, Delivery)
    assert await admissions(store, "w2").admit(again, [A, cooldown], LEASE) == AwaitSlot(A.name)
    await end(store, second, A)
    assert await ask(store, await store.claimed(), A, cooldown) is None


async def test_only_who_has_renewed_within_the_lease_is_a_holder(store: Store) -> None:
    await one_runs_and_one_waits(store)
    seconds, micros = (int(part) for part in await store.client.call("TIME"))  # type: ignore[union-attr]
    now, lease = seconds + micros / 1e6, LEASE.total_seconds()
    await store.client.zadd(A.name, {"gone": now - lease - 1, "late": now - lease + 30, "fresh": now + 1})
    (limit,) = await admissions(store).in_use()
    assert limit.holders == ("late", "k1", "fresh")


async def test_a_replaced_waiter_leaves_nothing_of_its_wait_in_the_run(store: Store) -> None:
    await one_runs_and_one_waits(store)
    await store.schedule.place(message("k2", FUTURE), replace=True)
    record = await store.client.hgetall("d:runs:k2")
    assert record[b"state"] == b"scheduled"
    assert not {b"waiter_stream", b"waiter_entry_id", b"worker", b"started_at", b"claim"} & set(record)


async def test_a_slot_that_is_given_back_is_owned_by_nobody(store: Store) -> None:
    two = SlotRule(A.name, 2)
    first, second = await store.running("k1"), await store.running("k2")
    for delivery in first, second:
        await ask(store, delivery, two)
    await end(store, first, two)
    assert await store.client.hgetall(f"{A.name}:owners") == {b"k2": second.message_id}
    assert await store.client.zrange(A.name, 0, -1) == [b"k2"]


async def test_a_run_that_its_debounce_defers_does_not_count_for_its_rate(store: Store) -> None:
    rules = DebounceRule("d:w", "d:l", 100 * SECOND), RateRule("d:r", 1, 100 * SECOND)
    assert isinstance(await ask(store, await store.running(), *rules), Defer)
    assert await store.client.exists("d:r") == 0


async def test_a_run_that_is_put_off_does_not_meet_its_own_cooldown(store: Store) -> None:
    cooldown = CooldownRule("d:c", 100 * SECOND)
    first = await store.running("k1")
    assert await ask(store, first, cooldown) is None
    await store.claims().reschedule(first, Again(message("k1"), same=True))
    assert await ask(store, await store.claimed(), cooldown) is None


async def test_a_next_run_meets_the_cooldown_of_the_one_before(store: Store) -> None:
    cooldown = CooldownRule("d:c", 100 * SECOND)
    first = await store.running("k1")
    assert await ask(store, first, cooldown) is None
    await store.claims().reschedule(first, Again(message("k1")))
    assert await ask(store, await store.claimed(), cooldown) == Drop("d:c")
