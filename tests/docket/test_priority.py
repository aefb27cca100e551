"""Which level a call has, and where that is seen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from docket import Agenda, Docket, Execution, ExecutionState, Priority, remote_task
from docket.client import TaskCall
from tests.docket.conftest import add, later, nothing, refuse, work
from tests.where import few_pairs, one_loop

pytestmark = [pytest.mark.anyio, few_pairs]

HIGH, NORMAL, LOW = Priority


async def urgent(what: str = "", priority: Priority = Priority.HIGH) -> str:
    return priority.value


async def urgent_by_name(*, priority: Priority = Priority.LOW) -> str:
    return priority.value


async def of(docket: Docket, key: str) -> tuple[ExecutionState, Priority]:
    """Where a call stands, and its level, as others read it."""
    execution = await docket.get_execution(key)
    assert execution is not None
    return execution.state, execution.priority


async def seen(docket: Docket) -> dict[str, Priority]:
    """The levels of all that is on the docket, by their keys."""
    snapshot = await docket.snapshot()
    return {each.key: each.priority for each in (*snapshot.future, *snapshot.running)}


# choosing --------------------------------------------------------------------------------------------------


async def test_a_call_is_normal_unless_somebody_says_otherwise(docket: Docket) -> None:
    execution = await docket.add(nothing, key="k")()
    assert execution.priority is NORMAL
    assert await seen(docket) == {"k": NORMAL}
    assert not any(b"lane" in field for field in execution.message().extra)


@pytest.mark.parametrize("level", [*Priority, "high", "normal", "low"])
async def test_every_way_to_place_a_call_takes_a_level(docket: Docket, level: Any) -> None:
    added = await docket.add(nothing, priority=level)()
    once = await docket.run_once(nothing, priority=level)()
    await docket.add(nothing, later(), "r")()
    replaced = await docket.replace(nothing, later(), "r", priority=level)()
    call = docket.call(nothing, priority=level)()
    (many,) = await docket.add_many([call])
    agenda = Agenda()
    agenda.add(nothing, priority=level)()
    (scattered,) = await agenda.scatter(docket, over=timedelta(hours=1))
    placed = [added, once, replaced, many, scattered]
    assert {each.priority for each in placed} == {Priority(level)}
    assert await seen(docket) == {each.key: Priority(level) for each in placed}


async def test_replace_gives_a_new_level(docket: Docket) -> None:
    await docket.add(nothing, later(), "k", priority="low")()
    await docket.replace(nothing, later(), "k", priority="high")()
    assert await of(docket, "k") == (ExecutionState.SCHEDULED, HIGH)
    await docket.replace(nothing, later(), "k")()
    assert await of(docket, "k") == (ExecutionState.SCHEDULED, NORMAL)


async def test_a_default_of_a_task_is_the_level_of_its_calls(docket: Docket) -> None:
    executions = [
        await docket.add(urgent)(),
        await docket.add(urgent)("mail", LOW),
        await docket.add(urgent)(priority=LOW),
        await docket.add(urgent, priority="normal")(),
        await docket.add(urgent_by_name)(),
        await docket.add(urgent_by_name)(priority=HIGH),
    ]
    assert [each.priority for each in executions] == [HIGH, LOW, LOW, NORMAL, LOW, HIGH]
    await work(docket)
    # The body gets what it is given, as of every default: `add(priority=...)` is not about that.
    assert [await each.get_result() for each in executions] == ["high", "low", "low", "high", "low", "high"]


async def test_a_level_that_a_task_is_registered_with_is_that_of_its_calls(docket: Docket) -> None:
    docket.register(nothing, priority="low")
    docket.register(urgent, names=["urgent", "slow"], priority=Priority.LOW)
    docket.register(nothing)  # says nothing about it
    executions = [
        await docket.add(nothing)(),
        await docket.add("slow")(),
        await docket.add(nothing, priority="high")(),
        (await docket.add_many([docket.call("nothing")()]))[0],
    ]
    assert [each.priority for each in executions] == [LOW, LOW, HIGH, LOW]


async def test_another_function_of_the_same_name_has_nothing_of_its_level(docket: Docket) -> None:
    def made() -> Any:
        async def task() -> None: ...

        return task

    docket.register(made(), priority="low")
    docket.register(made(), names=["task"])
    assert (await docket.add("task")()).priority is NORMAL


async def test_the_level_of_a_stub_is_that_of_its_calls(docket: Docket) -> None:
    @remote_task
    async def elsewhere(priority: Priority = Priority.HIGH) -> None: ...

    assert (await docket.add(elsewhere)()).priority is HIGH
    assert (await docket.add(remote_task("unknown"))()).priority is NORMAL


async def test_a_call_made_by_hand_has_the_level_that_it_is_given(docket: Docket) -> None:
    call = TaskCall(nothing, (), {}, "by-hand", later(), priority="high")
    assert (await docket.add_many([call]))[0].priority is HIGH
    execution: Execution[Any] = Execution(docket, nothing, (), {}, "made", later(), 1)
    execution.prioritize("low")
    await docket.schedule(execution)
    assert await seen(docket) == {"by-hand": HIGH, "made": LOW}


# being seen ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", list(Priority))
async def test_the_level_of_what_waits_for_its_time_is_known_to_others(
    docket: Docket, level: Priority
) -> None:
    await docket.add(nothing, later(), "k", priority=level)()
    assert await of(docket, "k") == (ExecutionState.SCHEDULED, level)


async def test_an_unknown_level_in_a_message_counts_as_normal(docket: Docket) -> None:
    execution = await docket.add(nothing, later(), "k", priority="high")()
    await docket.client.call("HSET", docket.keys.parked("k"), "docket:lane", "utmost")
    assert await of(docket, "k") == (ExecutionState.SCHEDULED, NORMAL)
    assert await seen(docket) == {execution.key: NORMAL}


# being changed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "found"), [("high", HIGH), ("normal", NORMAL), (None, LOW)])
async def test_run_now_may_give_another_level(docket: Docket, given: Any, found: Priority) -> None:
    await docket.add(nothing, later(), "k", priority="low")()
    assert await docket.run_now("k", priority=given)
    assert await seen(docket) == {"k": found}
    await work(docket)
    assert (await of(docket, "k"))[0] is ExecutionState.COMPLETED


async def test_run_now_changes_nothing_of_what_does_not_wait_for_its_time(docket: Docket) -> None:
    await docket.add(nothing, key="k", priority="low")()
    assert not await docket.run_now("k", priority="high")
    assert await seen(docket) == {"k": LOW}


async def test_a_failure_is_retried_at_its_level(docket: Docket) -> None:
    await docket.add(refuse, key="k", priority="low")("no")
    await work(docket)
    execution = await docket.retry("k")
    assert execution.priority is LOW
    assert await seen(docket) == {"k": LOW}


# bad input -------------------------------------------------------------------------------------------------

THE_THREE = "priority takes 'high', 'normal' or 'low', not "


@pytest.mark.parametrize("level", ["urgent", "HIGH", "", 1, b"high", True], ids=repr)
@one_loop
async def test_a_level_that_is_none_is_refused_where_it_is_given(docket: Docket, level: Any) -> None:
    for attempt in (
        lambda: docket.add(add, priority=level),
        lambda: docket.run_once(add, priority=level),
        lambda: docket.replace(add, later(), "k", priority=level),
        lambda: docket.call(add, priority=level),
        lambda: Agenda().add(add, priority=level),
        lambda: docket.register(add, priority=level),
        lambda: docket.register_collection("docket.tasks:standard_tasks", priority=level),
    ):
        with pytest.raises(ValueError, match=f"^{THE_THREE}") as refused:
            attempt()
        assert repr(level) in str(refused.value)
    with pytest.raises(ValueError, match=THE_THREE):
        await docket.run_now("k", priority=level)
    with pytest.raises(ValueError, match=THE_THREE):
        await docket.add_many([TaskCall(add, (1,), {}, "k", later(), priority=level)])
    assert await seen(docket) == {}


@one_loop
async def test_a_task_has_one_level(docket: Docket) -> None:
    async def twofold(a: Priority = Priority.HIGH, b: Priority = Priority.LOW) -> None: ...

    with pytest.raises(ValueError, match="has a level for a default twice, of 'a' and 'b'"):
        docket.register(twofold)
