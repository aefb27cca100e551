"""Tasks whose code is elsewhere: programs that add them know a stub or a name (`remote_task`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

import pytest

from docket import Agenda, Disposition, Docket, Logged, RemoteTask, Worker, remote_task
from docket.errors import UnknownTask
from tests.docket.conftest import later
from tests.where import asyncio_and_trio

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

BY_NAME = remote_task("send_welcome")


@remote_task
async def send_welcome(customer: int, greeting: Annotated[str, Logged] = "Hello") -> str:
    raise NotImplementedError


@remote_task(name="mail.send")
def renamed(to: str) -> None: ...


@pytest.fixture
async def docket(url: str) -> AsyncIterator[Docket]:
    """A docket of a program without the code."""
    async with Docket("d", url) as docket:
        yield docket


@pytest.fixture
async def office(url: str) -> AsyncIterator[Worker]:
    """A worker of another program, with the code."""

    async def send_welcome(customer: int, greeting: str = "Hello") -> str:
        return f"{greeting}, {customer}"

    async with Docket("d", url) as docket:
        docket.register(send_welcome)
        docket.register(send_welcome, names=["mail.send"])
        async with Worker(docket) as worker:
            yield worker


@pytest.mark.parametrize("task", [send_welcome, BY_NAME], ids=["stub", "name"])
async def test_a_worker_with_the_code_runs_it(
    docket: Docket, office: Worker, task: RemoteTask[..., Any]
) -> None:
    added = await docket.add(task)(1)
    later_on = await docket.add(task, when=later(), key="k")(2)
    replaced = await docket.replace(task, when=added.when, key="k")(3, greeting="Howdy")
    many = await docket.add_many([docket.call(task)(4), docket.call(task)(5)])
    agenda = Agenda()
    agenda.add(task)(6)
    [scattered] = await agenda.scatter(docket, over=timedelta(microseconds=1))
    await office.run_until_finished()
    results = [await each.get_result() for each in (added, replaced, *many, scattered)]
    assert results == ["Hello, 1", "Howdy, 3", "Hello, 4", "Hello, 5", "Hello, 6"]
    assert later_on.function_name == "send_welcome"
    assert "send_welcome" not in docket.tasks


async def test_a_stub_may_have_another_name_than_its_function(docket: Docket, office: Worker) -> None:
    execution = await docket.add(renamed)("Jane")
    assert execution.function_name == "mail.send"
    await office.run_until_finished()
    assert await execution.get_result() == "Hello, Jane"


async def test_arguments_are_checked_against_the_stub_before_anything_is_sent(docket: Docket) -> None:
    calls: Any = docket.add(send_welcome), docket.call(send_welcome), Agenda().add(send_welcome)
    with pytest.raises(TypeError, match=r"send_welcome\(customer"):
        await calls[0]()
    for call in calls[1:]:
        with pytest.raises(TypeError, match="unexpected keyword argument 'to'"):
            call(1, to="x")
    assert (await docket.snapshot()).total_tasks == 0


async def test_a_call_is_shown_with_the_parameters_that_the_stub_logs(docket: Docket) -> None:
    execution = await docket.add(send_welcome, key="k")(1, greeting="Hi")
    assert execution.call_repr() == "send_welcome(..., greeting='Hi'){k}"


@pytest.mark.parametrize("task", [send_welcome, BY_NAME], ids=["stub", "name"])
async def test_strikes_concern_it(docket: Docket, office: Worker, task: RemoteTask[..., Any]) -> None:
    await docket.strike(task, "customer", "==", 13)
    struck = await docket.add(task)(customer=13)
    other = await docket.add(task)(customer=14)
    assert (struck.disposition, other.disposition) == (Disposition.STRUCK, Disposition.SCHEDULED)
    by_position = await docket.add(task)(
        13
    )  # judged by the worker, where the stub does not name its parameters
    await office.run_until_finished()
    await by_position.sync()
    assert task is send_welcome or by_position.state.value == "cancelled"


async def test_a_docket_that_knows_the_task_goes_by_the_task(docket: Docket) -> None:
    async def send_welcome(customer: int) -> str:
        return f"Goodbye, {customer}"

    docket.register(send_welcome)
    stub = remote_task("send_welcome")
    with pytest.raises(TypeError, match="greeting"):
        await docket.add(stub)(1, greeting="Hi")
    execution = await docket.add(stub)(1)
    await Worker(docket).run_until_finished()
    assert (execution.function, await execution.get_result()) == (send_welcome, "Goodbye, 1")


async def test_a_stub_is_registered_nowhere_and_called_by_nobody(docket: Docket) -> None:
    with pytest.raises(TypeError, match="is a stub of a task, without its code"):
        docket.register(send_welcome)
    with pytest.raises(UnknownTask, match="the code of task 'send_welcome' is not here"):
        await send_welcome(1)
    docket.tasks["send_welcome"] = send_welcome  # all the same
    execution = await docket.add("send_welcome")(1)
    await Worker(docket).run_until_finished()
    with pytest.raises(UnknownTask, match="the code of task 'send_welcome' is not here"):
        await execution.get_result()


def test_what_is_neither_a_function_nor_a_name_is_refused() -> None:
    made: Any = remote_task
    for wrong in ((), (1,), ("name", "another")):
        with pytest.raises(TypeError):
            made(*wrong)
    with pytest.raises(TypeError, match="one name"):
        made("a", name="b")
    with pytest.raises(ValueError, match="name of a task"):
        remote_task("\ud800")


async def test_an_unknown_name_says_how_to_add_it_all_the_same(docket: Docket) -> None:
    with pytest.raises(UnknownTask, match=r"docket\.remote_task\('send_welcome'\)"):
        docket.add("send_welcome")
