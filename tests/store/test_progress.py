"""progress.lua: a step of a run's progress, for as long as the run is the reporter's."""

from __future__ import annotations

import json
from datetime import timedelta

import attrs
import pytest

from docket.clock import now
from docket.store import Delivery, Ended, Fence, ProgressRecord, ProgressReports, Report
from docket.transport import Client
from tests.store.conftest import FUTURE, RUNNING_PROGRESS, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio


def reports(store: Store) -> ProgressReports:
    return ProgressReports(store.client, store.keys, store.ttl)


class Reporter:
    """Somebody who reports: under a fence, or by hand."""

    def __init__(self, store: Store, fence: Fence | None) -> None:
        self.reports, self.fence = reports(store), fence
        self.number = self.sum = 0

    async def add(self, amount: int) -> ProgressRecord | None:
        return await self.say(amount)

    async def say(self, amount: int = 0, **said: str | int | None) -> ProgressRecord | None:
        return await self.send(self.next(amount, **said))

    def next(self, amount: int = 0, **said: str | int | None) -> Report:
        self.number, before = self.number + 1, self.sum
        self.sum += amount
        return Report(at=now(), amount=amount, number=self.number, before=before, after=self.sum, said=said)

    async def send(self, report: Report) -> ProgressRecord | None:
        return await self.reports.write("k", report, self.fence)


def event(current: str, total: int = 100, message: str = "null") -> str:
    named = f'"key": "k", "current": {current}, "total": {total}, "message": {message}'
    return f'{{"type": "progress", {named}, "updated_at": "'


async def test_each_step_is_written_and_told(store: Store, heard: Heard) -> None:
    delivery = await store.running()
    before = await store.everything()
    await heard.all()
    of = Reporter(store, delivery.fence)
    told = [
        await of.say(total=5),
        await of.add(2),
        await of.say(message="half"),
        await of.say(message=None),
    ]
    assert [(one.current, one.total, one.message) for one in told if one is not None] == [
        (0, 5, None), (2, 5, None), (2, 5, "half"), (2, 5, None),
    ]  # fmt: skip
    before["d:progress:k"] = {
        **RUNNING_PROGRESS, "current": "2", "total": "5", "updated_at": "now",
        "reported": f"{before['d:runs:k']['claim']} 4 2",
    }  # fmt: skip
    assert await store.everything() == before
    channels, events = zip(*await heard.all(), strict=True)
    assert set(channels) == {"d:progress:k"}
    expected = [event("0", 5), event("2", 5), event("2", 5, '"half"'), event("2", 5)]
    assert [one[: len(start)] for one, start in zip(events, expected, strict=True)] == expected
    assert [json.loads(one)["updated_at"] for one in events] == [
        one.updated_at.isoformat() for one in told if one is not None and one.updated_at is not None
    ]


TEXTS = ["", 'h\u00e9"\n\\/\t\x00\x7f\b\f\r', "\u0800\uffff\u2028 \U0001f600\U0010ffff", "plain"]


@pytest.mark.parametrize("text", TEXTS)
async def test_a_message_is_told_as_python_writes_it(store: Store, heard: Heard, text: str) -> None:
    of = (await store.running()).fence
    await heard.all()
    written = await Reporter(store, of).say(message=text)
    assert written is not None
    assert written.message == text
    ((_, told),) = await heard.all()
    assert told == json.dumps(json.loads(told))
    assert json.loads(told)["message"] == text


@pytest.mark.parametrize("what", ["claim", "generation", "holder", "message_id"])
async def test_a_stale_fence_changes_nothing(store: Store, heard: Heard, what: str) -> None:
    """I2."""
    delivery = await store.running()
    before = await store.everything()
    await heard.all()
    own = delivery.fence
    stale = {"claim": 2, "generation": 2, "holder": "v", "message_id": b"1-1"}[what]
    wrong = attrs.evolve(own, **{what: stale})
    assert await Reporter(store, wrong).add(1) is None
    assert await store.everything() == before
    assert await heard.all() == []


async def test_a_run_that_was_replaced_says_nothing_more(store: Store) -> None:
    old = (await store.running()).fence
    await store.schedule.place(message(), replace=True)
    new = (await store.claimed()).fence
    assert await Reporter(store, old).add(1) is None
    assert await Reporter(store, new).add(2) is not None
    assert (await reports(store).read("k")).current == 2


@pytest.mark.parametrize("ttl", [timedelta(minutes=15), timedelta(0)])
async def test_after_the_end_nothing_comes_back(url: str, ttl: timedelta) -> None:
    async with Client.from_url(url) as client:
        store = Store(client, ttl)
        delivery = await store.running()
        await store.claims().settle(delivery, Ended("completed"))
        before = await store.everything()
        for owner in delivery.fence, None:
            assert await Reporter(store, owner).say(message="zombie") is None
        assert await store.everything() == before


async def test_without_a_fence_one_speaks_for_whatever_runs(store: Store) -> None:
    await store.running()
    assert await Reporter(store, None).add(3) is not None
    assert (await reports(store).read("k")).current == 3


@pytest.mark.parametrize("fenced", [True, False])
async def test_the_first_report_of_a_run_makes_the_record(store: Store, fenced: bool) -> None:
    """Until then it has done nothing, whoever asks."""
    delivery = await store.running()
    assert await reports(store).read("k") == (await store.records.read("k"))[1] == ProgressRecord(current=0)
    written = await Reporter(store, delivery.fence if fenced else None).say(message="half")
    assert written is not None
    assert (written.current, written.total, written.message) == (0, 100, "half")
    record = await store.client.hgetall("d:progress:k")
    made = {name.encode(): value.encode() for name, value in RUNNING_PROGRESS.items()}
    assert made.items() <= record.items()  # type: ignore[operator]


async def test_the_first_report_keeps_what_somebody_has_added_by_hand(store: Store) -> None:
    """pydocket's clients write without a look at the run."""
    delivery = await store.running()
    await store.client.hincrby("d:progress:k", "current", 3)
    written = await Reporter(store, delivery.fence).add(2)
    assert written is not None
    assert (written.current, written.total) == (5, 100)


async def test_what_no_run_owns_is_kept_for_a_while(store: Store) -> None:
    assert (await Reporter(store, None).say(message="alone")) is not None
    assert await store.everything() == {"d:progress:k (expires)": {"message": "alone", "updated_at": "now"}}
    read = await reports(store).read("k")
    assert (read.current, read.total, read.message) == (None, 100, "alone")


async def test_what_was_said_before_a_claim_ends_with_it(store: Store) -> None:
    """So a replaced run leaves no message to its successor."""
    await Reporter(store, None).say(message="early")
    await store.running()
    assert "d:progress:k" not in await store.everything()
    await Reporter(store, None).say(message="old")
    await store.schedule.place(message(), replace=True)
    await store.claimed()
    assert await reports(store).read("k") == ProgressRecord(current=0)


async def test_a_waiting_task_may_have_progress(store: Store) -> None:
    await store.schedule.place(message(when=FUTURE), replace=False)
    assert await Reporter(store, None).say(total=7) is not None
    assert await store.everything() == {
        "d:k": fields(when=FUTURE),
        "d:queue": {"k": 3000000000.0},
        "d:runs:k": run("scheduled", when="3000000000", known="3000000000"),
        "d:progress:k": {"total": "7", "updated_at": "now"},
    }


async def test_a_total_of_another_kind_is_no_total(store: Store) -> None:
    """pydocket takes any number."""
    await store.client.hset("d:progress:k", mapping={"current": "x", "total": "2.5"})
    assert await reports(store).read("k") == ProgressRecord(current=None, total=100)


async def test_a_report_that_is_sent_twice_counts_once(store: Store, heard: Heard) -> None:
    """Its answer was lost: nobody knows whether it was executed."""
    of = Reporter(store, (await store.running()).fence)
    await of.add(1)
    await heard.all()
    report = of.next(3, message="three")
    first, again = await of.send(report), await of.send(report)
    assert first is not None
    assert again is not None
    assert (again.current, again.message) == (first.current, first.message) == (4, "three")
    assert len(await heard.all()) == 1


@pytest.mark.parametrize("arrives", ["never", "before", "after"])
async def test_a_report_repeats_what_was_not_answered_for(store: Store, arrives: str) -> None:
    of = Reporter(store, (await store.running()).fence)
    await of.say(1, total=10)
    lost = of.next(3, message="lost")
    of.number += 1
    of.sum += 2
    repeated = Report(at=now(), number=of.number, amount=5, before=1, after=6, said={"message": "next"})
    if arrives == "before":
        await of.send(lost)
    written = await of.send(repeated)
    if arrives == "after":
        written = await of.send(lost)
    assert written is not None
    assert (written.current, written.total, written.message) == (6, 10, "next")
    assert (await of.add(1)) == attrs.evolve(await reports(store).read("k"), current=7)


async def test_what_others_add_by_hand_stays(store: Store) -> None:
    of, others = Reporter(store, (await store.running()).fence), Reporter(store, None)
    lost = of.next(3)
    await of.send(lost)
    await others.add(10)
    repeated = Report(at=now(), number=2, amount=5, before=0, after=5, said={})
    await of.send(repeated)
    await of.send(lost)
    assert (await reports(store).read("k")).current == 15


async def test_what_was_taken_back_is_taken_back(store: Store) -> None:
    """By hand one is told of a failure, and may say it again or not."""
    of = Reporter(store, (await store.running()).fence)
    await of.send(of.next(3))
    await of.send(Report(at=now(), number=2, amount=2, before=0, after=2))
    assert (await reports(store).read("k")).current == 2


async def test_another_claim_begins_anew(store: Store) -> None:
    """As after a failover that lost the first one."""
    delivery = await store.running()
    await Reporter(store, delivery.fence).add(5)
    [taken] = await store.claims().take_over([delivery.message_id], timedelta(0))
    assert isinstance(taken, Delivery)
    again = Reporter(store, taken.fence)
    assert await again.add(5) is not None
    assert (await reports(store).read("k")).current == 5


async def test_numbers_are_as_long_as_the_server_counts(store: Store) -> None:
    of = Reporter(store, (await store.running()).fence)
    await of.add(2**62 + 1)
    await of.add(2**62 - 2)
    assert (await reports(store).read("k")).current == 2**63 - 1
