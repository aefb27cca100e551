"""Claims that are to be admitted ask together, in their order, and each gets its own answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from redis.exceptions import ConnectionError, RedisError, ResponseError

from docket import ConcurrencyLimit
from docket.rules import Drop, Verdict
from docket.worker.runs.admission_gate import MOST, AdmissionGate
from tests.where import asyncio_and_trio

pytestmark = [pytest.mark.anyio, asyncio_and_trio]


class Server:
    """Answers with the name of what it was asked about, once it may."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.alone: list[str] = []
        self.lost = False
        self.answers = anyio.Event()

    async def admit_each(self, asking: Sequence[Any]) -> list[Verdict | RedisError | None]:
        names = [name for name, _, _ in asking]
        if "impossible" in names:
            raise TypeError("impossible")
        self.asked.append(names)
        await self.answers.wait()
        if self.lost:
            raise ConnectionError("lost")
        return [ResponseError("WRONGTYPE") if name == "misused" else Drop(name) for name in names]

    async def admit(self, name: str, *_: Any) -> Verdict | None:
        self.alone.append(name)
        if name == "impossible":
            raise TypeError("impossible")
        return Drop(name)


class Scene:
    def __init__(self) -> None:
        self.server = Server()
        self.gate = AdmissionGate(cast("Any", self.server), cast("Any", None), {}, timedelta(seconds=1))
        self.answered: dict[str, object] = {}

    def take(self, name: str) -> Any:
        """A claim that is to ask, in line behind those before it."""

        async def limited(limit: ConcurrencyLimit = ConcurrencyLimit()) -> None: ...

        delivery = SimpleNamespace(message_id=name.encode())
        running: Any = SimpleNamespace(
            delivery=delivery, execution=SimpleNamespace(function=limited, args=(), kwargs={})
        )
        self.gate.line_up(running)
        return running

    async def ask(self, name: str) -> None:
        place = self.gate._places.get(name.encode())  # pyright: ignore[reportPrivateUsage]
        try:
            self.answered[name] = await self.gate._ask(cast("Any", (name, (), "")), place)  # pyright: ignore[reportPrivateUsage]
        except (RedisError, TypeError) as error:
            self.answered[name] = str(error)


async def test_those_that_were_taken_together_ask_in_one_write() -> None:
    scene = Scene()
    scene.server.answers.set()
    names = [str(number) for number in range(MOST)]
    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(scene.ask, name)
    assert len(scene.server.asked) == 1
    assert scene.answered == {name: Drop(name) for name in names}


async def test_those_that_come_while_a_question_is_on_the_way_ask_next_together() -> None:
    scene = Scene()
    async with anyio.create_task_group() as group:
        group.start_soon(scene.ask, "first")
        await anyio.wait_all_tasks_blocked()
        for number in range(MOST + 1):
            group.start_soon(scene.ask, str(number))
            await anyio.wait_all_tasks_blocked()
        scene.server.answers.set()
    later = [str(number) for number in range(MOST + 1)]
    assert scene.server.asked == [["first"], later[:MOST], later[MOST:]]
    assert len(scene.answered) == MOST + 2


async def test_those_that_come_in_any_order_ask_in_that_in_which_they_were_taken() -> None:
    scene = Scene()
    scene.server.answers.set()
    one, two, three, four = (scene.take(name) for name in ("one", "two", "three", "four"))
    async with anyio.create_task_group() as group:
        for name in ("four", "two"):
            group.start_soon(scene.ask, name)
            await anyio.wait_all_tasks_blocked()
        assert scene.server.asked == []
        group.start_soon(scene.ask, "one")
        await anyio.wait_all_tasks_blocked()
        assert scene.server.asked == [["one", "two"]]
        scene.gate.leave(three)  # it ends without having asked
    assert scene.server.asked == [["one", "two"], ["four"]]
    for each in (one, two, four):
        scene.gate.leave(each)


@pytest.mark.parametrize(("culprit", "error"), [("misused", "WRONGTYPE"), ("impossible", "impossible")])
async def test_an_error_about_one_of_them_is_raised_in_that_one(culprit: str, error: str) -> None:
    """Whether the server refuses it, or it cannot even be asked."""
    scene = Scene()
    scene.server.answers.set()
    async with anyio.create_task_group() as group:
        for name in ("one", culprit, "two"):
            group.start_soon(scene.ask, name)
    assert scene.answered == {"one": Drop("one"), culprit: error, "two": Drop("two")}


async def test_where_the_answer_is_lost_each_asks_again() -> None:
    scene = Scene()
    scene.server.lost = True
    scene.server.answers.set()
    async with anyio.create_task_group() as group:
        for name in ("one", "two", "three"):
            group.start_soon(scene.ask, name)
    (leader,) = (name for name, answer in scene.answered.items() if answer == "lost")
    assert sorted([leader, *scene.server.alone]) == ["one", "three", "two"]
    await scene.ask("four")  # nobody waits for one that is gone
    assert scene.answered["four"] == "lost"


@pytest.mark.parametrize("sent", [True, False])
async def test_the_others_do_not_wait_for_one_that_is_cancelled(sent: bool) -> None:
    scene = Scene()
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as cancelled:
                cancelled.start_soon(scene.ask, "leader")
                await anyio.wait_all_tasks_blocked()
                cancelled.start_soon(scene.ask, "follower")
                group.start_soon(scene.ask, "one")
                if sent:
                    await anyio.wait_all_tasks_blocked()
                scope.cancel()
        scene.server.answers.set()
    assert scene.answered == {"one": Drop("one")}
