"""One side adds, the other works: results, exceptions, retries, arguments, the future, batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .sides import from_now
from .table import Table

pytestmark = pytest.mark.anyio

both_ways = pytest.mark.parametrize(
    ("client", "worker"), [("pydocket", "ours"), ("ours", "pydocket")], ids=["pydocket-adds", "ours-adds"]
)


@both_ways
async def test_what_one_side_adds_the_other_runs_and_the_first_reads_the_result(
    table: Table, client: str, worker: str
) -> None:
    added = await table.side(client).add("echo", {"deep": [1, "zwei", None, 2.5]}, key="k")
    assert added == {"key": "k", "disposition": "scheduled"}
    await table.side(worker).drain("w")
    assert await table.side(client).outcome("k") == {"result": {"deep": [1, "zwei", None, 2.5]}}
    assert await table.side(worker).outcome("k") == {"result": {"deep": [1, "zwei", None, 2.5]}}
    table.assert_left_clean()


@both_ways
async def test_a_result_is_awaited_while_the_other_side_still_works(
    table: Table, client: str, worker: str
) -> None:
    await table.side(worker).start_worker("w")
    await table.side(client).add("echo", "soon", key="k", when=from_now(0.3))
    assert await table.side(client).outcome("k") == {"result": "soon"}
    await table.side(worker).stop_worker("w")


@both_ways
async def test_no_result_is_none_on_the_other_side(table: Table, client: str, worker: str) -> None:
    await table.side(client).add("echo", key="k")
    await table.side(worker).drain("w")
    assert await table.side(client).outcome("k") == {"result": None}


@both_ways
async def test_an_exception_arrives_with_its_type_message_and_attributes(
    table: Table, client: str, worker: str
) -> None:
    await table.side(client).add("refuse", 'no "thanks"\n', 42, key="own")
    await table.side(client).add("fail", "größer", key="builtin")
    await table.side(worker).drain("w")
    own, builtin = [await table.side(client).outcome(key) for key in ("own", "builtin")]
    notes = own["attributes"].pop("__notes__", [])  # our worker's traceback
    assert len(notes) == (worker == "ours")
    assert (own["error"], own["attributes"]) == ("Refused", {"reason": 'no "thanks"\n', "code": 42})
    assert (builtin["error"], builtin["message"]) == ("ValueError", "größer")
    assert (await table.side(client).execution("builtin"))["error"] == "ValueError: größer"
    assert (await table.side(worker).execution("builtin"))["error"] == "ValueError: größer"


@both_ways
async def test_positional_and_named_arguments_and_the_key_arrive(
    table: Table, client: str, worker: str
) -> None:
    await table.side(client).add(
        "describe", 1, 2, "x", key="a key: with ünïcode", flag=True, nested={"a": []}
    )
    await table.side(worker).drain("w")
    outcome = await table.side(client).outcome("a key: with ünïcode")
    assert outcome["result"] == {
        "x": 1, "rest": [2, "x"], "named": {"flag": True, "nested": {"a": []}},
        "key": "a key: with ünïcode", "attempt": 1,
    }  # fmt: skip


@both_ways
async def test_a_retry_that_the_caller_gives_is_known_to_the_other_side(
    table: Table, client: str, worker: str
) -> None:
    """pydocket's bodies get it as it was given: its `attempt` stays 1."""
    await table.side(client).add("flaky", key="k", retry={"attempts": 2})
    await table.side(client).subscribe("k")
    await table.side(worker).drain("w")
    message = {"ours": "attempt 2", "pydocket": "attempt 1"}[worker]
    outcome = await table.side(client).outcome("k")
    assert (outcome["error"], outcome["message"]) == ("ValueError", message)
    states = [event.get("state") for event in await table.side(client).events("k")]
    assert states.count("running") == 2


@both_ways
async def test_a_record_reads_the_same_on_both_sides(table: Table, client: str, worker: str) -> None:
    await table.side(client).add("echo", 7, key="k", when="2020-02-03T04:05:06.789012+02:00")
    waiting: Any = [await table.side(side).execution("k") for side in (client, worker)]
    assert waiting[0] == waiting[1]
    assert waiting[0]["state"] == "queued"
    await table.side(worker).drain("w")
    done: Any = [await table.side(side).execution("k") for side in (client, worker)]
    assert done[0] == done[1]
    assert (done[0]["state"], done[0]["worker"]) == ("completed", "w")


@both_ways
async def test_a_future_task_waits_for_its_moment(table: Table, client: str, worker: str) -> None:
    await table.side(client).add("echo", "later", key="k", when=from_now(0.4))
    assert (await table.side(worker).execution("k"))["state"] == "scheduled"
    assert (await table.side(worker).snapshot())["future"] == ["k"]
    await table.side(worker).drain("w")
    assert await table.side(client).outcome("k") == {"result": "later"}
    table.assert_left_clean()


@both_ways
async def test_a_retry_of_the_other_sides_task_comes_through(table: Table, client: str, worker: str) -> None:
    await table.side(client).add("flaky", key="k")
    await table.side(worker).drain("w")
    assert await table.side(client).outcome("k") == {"result": "attempt 3"}
    table.assert_left_clean()


@both_ways
async def test_a_retry_may_be_run_by_the_other_side(table: Table, client: str, worker: str) -> None:
    await table.side(client).start_worker("first", concurrency=1)
    await table.side(worker).start_worker("second", concurrency=1)
    await table.side(client).add("handed_over", "first", key="k")
    outcome = await table.side(client).outcome("k")
    assert outcome["result"].startswith("second at attempt ")
    await table.side(client).stop_worker("first")
    await table.side(worker).stop_worker("second")
    table.assert_left_clean()


@both_ways
async def test_a_batch_is_run_by_the_other_side(table: Table, client: str, worker: str) -> None:
    now = await table.side(client).add_many("tally", [[n] for n in range(50)])
    later = await table.side(client).add_many("tally", [[n] for n in range(50, 100)], when=from_now(0.3))
    assert len({*now, *later}) == 100
    await table.side(worker).drain("w")
    assert table.runs() == {str(n).encode(): b"1" for n in range(100)}
    table.assert_left_clean()


async def test_pydocket_s_workers_let_the_time_to_live_of_a_task_stand(table: Table) -> None:
    """They pass on no field of a message that they do not know; those of a record they do."""
    when = datetime.now(UTC) + timedelta(milliseconds=300)
    await table.ours.docket.add("tick", when, "k", timedelta(hours=7))()
    await table.pydocket.start_worker("theirs")
    await table.ticks("theirs", 2)
    await table.pydocket.stop_worker("theirs")
    await table.ours.cancel("k")
    assert table.redis.ttl(f"{table.name}:runs:k") == pytest.approx(7 * 3600, abs=60)
