"""catalogue.lua: what workers say about their tasks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket import clock
from docket.errors import KeyUnreadable
from docket.store import Catalogue, Recurrence, TaskDescription
from docket.store.catalogue import MOST_TASKS
from tests.store.conftest import FUTURE, Store, message

pytestmark = pytest.mark.anyio

FIVE = timedelta(minutes=5)
DAILY = Recurrence(cron="0 5 * * *", tz="Europe/Berlin", automatic=True)
CHARGE = TaskDescription(
    signature="account: str, ...",
    doc="Charge an account.",
    attempts=3,
    timeout=FIVE,
    limits=("at most 2 at a time",),
)
REPORT = TaskDescription(signature="", doc=None, attempts=None, recurrence=DAILY)


@pytest.fixture
def catalogue(store: Store) -> Catalogue:
    return Catalogue(store.client, store.keys, timedelta(seconds=10))


async def test_tasks_are_described_and_what_recurs_is_kept_apart(catalogue: Catalogue, store: Store) -> None:
    await catalogue.write({"charge": CHARGE, "report": REPORT})
    assert await catalogue.described(["charge", "report", "none"]) == {"charge": CHARGE, "report": REPORT}
    assert await catalogue.recurrences() == {"report": DAILY}
    seen = await catalogue.seen()
    assert seen.keys() == {"charge", "report"}
    assert abs(seen["charge"] - clock.now()) < timedelta(seconds=5)
    keys = {"d:ops:tasks (expires)", "d:ops:seen (expires)", "d:ops:recurrences (expires)"}
    assert (await store.everything()).keys() == keys


async def test_a_task_that_does_not_repeat_itself_any_more_is_not_said_to(catalogue: Catalogue) -> None:
    await catalogue.write({"report": REPORT})
    await catalogue.write({"report": CHARGE})
    assert await catalogue.recurrences() == {}
    assert await catalogue.described(["report"]) == {"report": CHARGE}


async def test_what_nobody_has_described_for_a_month_goes(catalogue: Catalogue, store: Store) -> None:
    await catalogue.write({"old": REPORT, "young": REPORT})
    month_ago = (clock.timestamp() - 31 * 86400) * 1000
    await store.client.zadd("d:ops:seen", {"old": month_ago})
    await catalogue.write({"other": CHARGE})
    assert (await catalogue.seen()).keys() == {"young", "other"}
    assert (await catalogue.recurrences()).keys() == {"young"}


async def test_of_too_many_tasks_those_go_that_nobody_has_described_for_longest(
    catalogue: Catalogue, store: Store
) -> None:
    await catalogue.write({"first": REPORT})
    await store.client.zadd("d:ops:seen", {"first": (clock.timestamp() - 60) * 1000})
    await catalogue.write({f"f{n}": CHARGE for n in range(MOST_TASKS)})
    assert len(await catalogue.seen()) == MOST_TASKS
    assert await catalogue.described(["first"]) == {}


@pytest.mark.parametrize(
    "written", ["", "[]", "no", '{"limits": 5, "timeout": "x", "attempts": [], "every": 1e300}']
)
async def test_whatever_others_write_there_describes_nothing(
    catalogue: Catalogue, store: Store, written: str
) -> None:
    await store.client.hset("d:ops:tasks", "f", written)
    await store.client.hset("d:ops:recurrences", "f", written)
    recurs = Recurrence()
    assert await catalogue.described(["f"]) == {"f": TaskDescription(recurrence=recurs)}
    assert await catalogue.recurrences() == {"f": recurs}


async def test_a_key_that_holds_something_else_is_named(catalogue: Catalogue, store: Store) -> None:
    await store.client.set("d:ops:tasks", "mine")
    with pytest.raises(KeyUnreadable, match="d:ops:tasks"):
        await catalogue.write({"charge": CHARGE})
    with pytest.raises(KeyUnreadable, match="d:ops:tasks"):
        await catalogue.described(["charge"])


async def test_long_texts_are_cut(catalogue: Catalogue) -> None:
    await catalogue.write(
        {"f": TaskDescription(signature="s" * 9999, doc="d" * 9999, limits=("l" * 999,) * 99)}
    )
    said = (await catalogue.described(["f"]))["f"]
    assert (len(said.signature or ""), len(said.doc or ""), len(said.limits), len(said.limits[0])) == (
        500, 200, 20, 200,
    )  # fmt: skip


async def test_a_chain_is_found_wherever_its_run_is(catalogue: Catalogue, store: Store) -> None:
    await store.schedule.place(message("later", FUTURE), replace=False)
    await store.schedule.place(message("stream", FUTURE), replace=False)  # the name of a key of the docket
    await store.running("runs")
    await store.schedule.place(message("due"), replace=False)
    looks = await catalogue.look(["later", "stream", "due", "runs", "none"])
    assert [look.is_live for look in looks] == [True, True, True, True, False]
    assert looks[-1].record is None
    await store.client.zrem("d:queue", "later")
    await store.client.delete("d:stream")
    looks = await catalogue.look(["later", "due", "runs"])
    assert [look.is_live for look in looks] == [False, False, False]
    assert all(look.record is not None for look in looks)


async def test_what_is_no_record_is_no_chain(catalogue: Catalogue, store: Store) -> None:
    await store.client.set("d:runs:text", "mine")
    await store.client.hset("d:runs:odd", mapping={"state": "odd"})
    await store.client.hset("d:runs:spoiled", mapping={"state": "queued", "stream_id": "x"})
    looks = await catalogue.look(["text", "odd", "spoiled"])
    assert [look.record is None for look in looks] == [True, True, False]
