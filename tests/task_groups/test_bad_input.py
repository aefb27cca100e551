"""What cannot be meant is refused where the mistake is made, and leaves no child behind."""

from __future__ import annotations

import inspect
import re
import threading
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import anyio
import anyio.from_thread
import pytest

from docket import ConcurrencyLimit, CurrentDocket, Docket, Perpetual, clock
from docket.errors import UsageError
from tests.task_groups import tasks
from tests.task_groups.conftest import coming_out, states, working
from tests.task_groups.tasks import HOUR, Boom, boom, counted, double

pytestmark = pytest.mark.anyio


async def forever(every: Perpetual = Perpetual()) -> None: ...


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"on_failure": "ignore"}, UsageError, 'on_failure takes "cancel" or "wait", not \'ignore\''),
        ({"max_running": 0}, UsageError, "max_running takes a whole number from 1, or None, not 0"),
        ({"max_running": True}, TypeError, "max_running takes a whole number, or None, not bool: True"),
        ({"patience": timedelta(seconds=-1)}, UsageError, "patience takes a duration from zero"),
        ({"patience": 30}, TypeError, "patience takes a timedelta, not int: 30"),
        ({"name": ""}, UsageError, "the name of a task group may not be empty"),
        ({"name": 3}, TypeError, "the name of a task group is a str, not int: 3"),
    ],
)
def test_settings_are_checked_at_once(settings: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        Docket("x", "memory://x").task_group(**settings)


async def test_a_group_is_opened_in_a_docket_that_was_entered(memory_url: str, anyio_backend: Any) -> None:
    with pytest.raises(RuntimeError, match="use `async with docket:`"):
        async with Docket("x", memory_url).task_group():
            pass


async def test_a_coroutine_where_a_function_belongs_is_refused_and_closed(docket: Docket) -> None:
    coroutine: Any = double(1)
    async with docket.task_group() as group:
        with pytest.raises(TypeError, match=re.escape("as in `add(function)(arguments)`")):
            group.add(coroutine)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


async def test_a_group_is_entered_once_and_used_inside_of_its_block(docket: Docket) -> None:
    group = docket.task_group()
    with pytest.raises(RuntimeError, match="enter it with `async with"):
        await group.add(double)(1)
    with pytest.raises(RuntimeError, match="enter it with `async with"):
        group.cancel()
    async with group:
        call = group.call(double)(1)
        results = group.results()
    for use in (group.add(double), group.call(double)):
        with pytest.raises(RuntimeError, match="was left"):
            use(1)
    with pytest.raises(RuntimeError, match="was left"):
        await group.add_many([call])
    with pytest.raises(RuntimeError, match="was left"):
        await anext(results)
    with pytest.raises(RuntimeError, match="entered once"):
        async with group:
            pass


async def test_who_leaves_the_docket_inside_of_a_block_is_told(docket: Docket) -> None:
    with coming_out() as errors:
        async with AsyncExitStack() as stack:
            inner = await stack.enter_async_context(Docket(docket.name, docket.url))
            async with inner.task_group() as group:
                child = await group.add(double, when=clock.now() + HOUR)(1)
                await stack.aclose()
    assert "the docket was left while this task group was open" in str(errors[0])
    assert await states(docket, child.key) == ["cancelled"]


async def test_what_is_being_cancelled_takes_no_more(docket: Docket) -> None:
    """Whoever adds from outside of the body is told; the body is stopped there."""
    raised: list[str] = []
    async with docket.task_group() as group:

        async def add() -> None:
            try:
                await group.add(double, key="late")(1)
            except RuntimeError as error:
                raised.append(str(error))

        async with anyio.create_task_group() as beside:
            with anyio.CancelScope(shield=True):
                group.cancel()
                beside.start_soon(add)
                await anyio.sleep(0.01)
        await group.add(double, key="never")(1)
        raise AssertionError
    assert await docket.get_execution("never") is None
    assert await docket.get_execution("late") is None


async def test_others_have_doomed_it(docket: Docket) -> None:
    """I12: the check and the placing are one step."""
    with coming_out() as errors:
        async with docket.task_group() as group:
            await group.add(double, key="before")(1)
            view = group._opened().view
            await view.groups.cancel(
                view.group, timedelta(seconds=1)
            )  # as workers do for a program that is gone
            with anyio.CancelScope(shield=True):
                await group.add(double, key="after")(1)
    assert "takes no more tasks" in str(errors[0])
    assert await states(docket, "before") == ["cancelled"]
    assert await docket.get_execution("after") is None


async def left_by(docket: Docket, add: Any) -> str:
    """The text of the one error by which a block is left whose body adds a good child, and then something else."""
    with coming_out() as errors:
        async with docket.task_group() as group:
            await group.add(double, key="good")(1)
            await add(group)
    [error] = errors
    assert await states(docket, "good") == ["cancelled"]
    return f"{type(error).__name__}: {error}"


async def test_what_has_no_end_is_no_child(docket: Docket) -> None:
    assert "UsageError: task 'forever' has a Perpetual" in await left_by(docket, lambda g: g.add(forever)())
    async with docket.task_group() as group:
        with pytest.raises(UsageError, match="without an end"):
            group.call(forever)()


async def test_the_key_of_another_live_task_is_no_childs(docket: Docket) -> None:
    await docket.add(double, when=tasks.clock.now() + tasks.HOUR, key="theirs")(1)
    said = await left_by(docket, lambda group: group.add(double, key="theirs")(1))
    assert "UsageError: the key 'theirs' is that of another task" in said
    said = await left_by(docket, lambda g: g.add_many([g.call(double, key="theirs")(1), g.call(double)(2)]))
    assert "UsageError: the key 'theirs' is that of another task" in said
    assert await docket.cancel("theirs")  # it was left alone


async def test_a_child_that_needs_its_parents_limit_is_refused(docket: Docket) -> None:
    async def leaf(limit: ConcurrencyLimit = ConcurrencyLimit(scope="shared")) -> None: ...

    async def between(docket: Docket = CurrentDocket()) -> None:
        async with docket.task_group() as group:
            await group.add(outer)()

    async def outer(docket: Docket = CurrentDocket(), limit: ConcurrencyLimit = ConcurrencyLimit(5)) -> None:
        async with docket.task_group() as group:
            await group.add(leaf)()
            await group.add(between)()

    for task in (leaf, between, outer):
        docket.register(task)
    execution = await docket.add(outer)()
    async with working(docket, concurrency=3):
        with pytest.raises(ExceptionGroup) as raised:
            await execution.get_result()
    refused = raised.value.exceptions[0]
    assert isinstance(refused, ExceptionGroup)
    assert "task 'outer' needs a slot of the concurrency limit" in str(refused.exceptions[0])


async def test_only_calls_of_this_very_group_are_added(docket: Docket) -> None:
    async with docket.task_group() as other:
        call = other.call(double)(1)
        said = await left_by(docket, lambda group: group.add_many([call]))
        assert "UsageError: a call of task 'double' was prepared by another task group" in said
        said = await left_by(docket, lambda group: group.add_many([docket.call(double)(1)]))
        assert said.startswith("TypeError: add_many of a task group takes calls that group.call")
        execution = await other.add(double, key="an execution")(1)
        said = await left_by(docket, lambda group: group.add_many([execution]))
        assert said.endswith("has prepared, not Execution")
        other.cancel()


async def test_arguments_are_checked(docket: Docket) -> None:
    assert "TypeError: task 'double' cannot be called so" in await left_by(docket, lambda g: g.add(double)())
    assert "UnknownTask" in await left_by(docket, lambda g: g.add("nobody")())
    assert "cannot be pickled" in await left_by(docket, lambda g: g.add(double)(threading.Lock()))


async def test_another_task_in_the_place_of_a_child_is_an_error(docket: Docket) -> None:
    """A parent that is run once more has to add the same; what it did not expect is cancelled with the others."""
    said = await left_by(docket, lambda group: _twice(group))
    assert "has added task 'double' in this place of its group, and now it is 'boom'" in said


async def _twice(group: Any) -> None:
    await group.add(double, key="same")(1)
    await group.add(boom, key="same")()


def test_without_an_event_loop_the_cause_and_the_way_out_are_named(memory_url: str) -> None:
    docket = Docket("x", memory_url)
    with pytest.raises(UsageError, match=r"no event loop runs in this thread.*write an async function"):
        docket.task_group()
    with docket.sync() as waiting, pytest.raises(UsageError, match=r"sync_docket\.run\(function\)"):
        waiting.task_group(max_running=1)

    async def fan_out() -> int:
        async with docket.task_group() as group:
            group.cancel()
        return 1

    with docket.sync() as waiting:
        assert waiting.run(fan_out) == 1


async def test_in_a_plain_function_the_cause_and_the_way_out_are_named(docket: Docket) -> None:
    def refused(docket: Docket = CurrentDocket()) -> str:
        try:
            docket.task_group()
        except UsageError as error:
            return str(error)
        return ""

    def by_from_thread(docket: Docket = CurrentDocket()) -> int:
        return anyio.from_thread.run(tasks.total, 3, docket)

    one, two = await docket.add(refused)(), await docket.add(by_from_thread)()
    async with working(docket, concurrency=1):
        said = await one.get_result()
        assert said.startswith("task 'refused' is a plain function, which runs in a thread")
        assert "anyio.from_thread.run" in said
        assert await two.get_result() == 6
    assert sum((await counted(docket)).values()) == 3


async def test_a_failure_of_the_body_in_a_nested_group_is_one_error(docket: Docket) -> None:
    with coming_out() as errors:
        async with docket.task_group():
            async with docket.task_group() as inner:
                await inner.add(double, key="inner")(1)
                raise Boom
    [of_inner] = errors
    assert isinstance(of_inner, ExceptionGroup)
    assert await states(docket, "inner") == ["cancelled"]
