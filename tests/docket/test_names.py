"""Names that cannot become a key are refused where they are given; what people read is made readable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any

import pytest

from docket import (
    Agenda,
    ConcurrencyLimit,
    Cooldown,
    Debounce,
    Docket,
    RateLimit,
    StrikeList,
    Worker,
    clock,
)
from docket.client import TaskCall
from docket.errors import UsageError
from docket.execution import Execution, ExecutionProgress, ExecutionState
from docket.strikelist import Strike
from tests.docket.conftest import add, later, nothing
from tests.where import one_loop, slow

pytestmark = [pytest.mark.anyio, one_loop, slow]

BAD = "caf\udce9"
SAID = r"'caf\\udce9' has a character that UTF-8 cannot hold \('\\udce9', at 3\)"


async def badly_named() -> None: ...


badly_named.__name__ = BAD

MINUTE = timedelta(minutes=1)


def refused(attempt: Callable[[], Any], what: str) -> None:
    with pytest.raises(UsageError, match=f"^{what} {SAID}"):
        attempt()


def test_the_name_of_a_docket_is_refused() -> None:
    refused(lambda: Docket(BAD), "the name of a docket")
    refused(lambda: StrikeList(name=BAD), "the name of a docket")
    refused(lambda: StrikeList("redis://localhost", BAD), "the name of a docket")


async def test_the_name_of_a_worker_is_refused(docket: Docket) -> None:
    refused(lambda: Worker(docket, BAD), "the name of a worker")
    with pytest.raises(UsageError, match="the name of a worker"):
        await Worker.run(url="memory://", name=BAD)


async def test_the_name_of_a_task_is_refused(docket: Docket) -> None:
    refused(lambda: docket.register(badly_named), "the name of a task")
    refused(lambda: docket.register(nothing, names=["good", BAD]), "the name of a task")
    assert "good" not in docket.tasks
    refused(lambda: docket.add(badly_named), "the name of a task")
    refused(lambda: docket.call(badly_named), "the name of a task")
    refused(lambda: docket.replace(badly_named, later(), "k"), "the name of a task")
    refused(lambda: Agenda().add(badly_named), "the name of a task")
    refused(lambda: Agenda().add(BAD), "the name of a task")
    with pytest.raises(KeyError, match=r"no task named 'caf\\udce9' is registered"):
        docket.add(BAD)
    call = TaskCall(nothing, (), {}, "k", clock.now(), BAD)
    with pytest.raises(UsageError, match=f"^the name of a task {SAID}"):
        await docket.add_many([call])
    unhashable: Any = ["nothing"]
    with pytest.raises(TypeError, match="the name of a task is a str, not list"):
        await docket.add_many([TaskCall(nothing, (), {}, "k", clock.now(), unhashable)])


def test_names_of_tasks_are_a_list_of_texts() -> None:
    docket = Docket("d", "memory://")
    with pytest.raises(TypeError, match="names= takes a list of names, not 'single'"):
        docket.register(nothing, names="single")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="the name of a task is a str, not int: 7"):
        docket.register(nothing, names=[7])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="the name of a task may not be empty"):
        docket.register(nothing, names=["fine", ""])
    assert "fine" not in docket.tasks


KEYED: dict[str, Callable[[Docket], Any]] = {
    "add": lambda docket: docket.add(nothing, key=BAD),
    "replace": lambda docket: docket.replace(nothing, later(), BAD),
    "call": lambda docket: docket.call(nothing, key=BAD),
    "agenda": lambda docket: Agenda().add(nothing, key=BAD),
}
ASKED: dict[str, Callable[[Docket], Awaitable[Any]]] = {
    "cancel": lambda docket: docket.cancel(BAD),
    "get_execution": lambda docket: docket.get_execution(BAD),
    "add_many": lambda docket: docket.add_many([TaskCall(nothing, (), {}, BAD, clock.now())]),
    "schedule": lambda docket: docket.schedule(by_hand(docket)),
    "sync": lambda docket: by_hand(docket).sync(),
    "get_result": lambda docket: by_hand(docket).get_result(),
    "subscribe": lambda docket: anext(by_hand(docket).subscribe()),
    "claim": lambda docket: by_hand(docket).claim("w"),
    "end": lambda docket: by_hand(docket).mark_as_cancelled(),
    "progress": lambda docket: ExecutionProgress.create(docket, BAD),
    "report": lambda docket: ExecutionProgress(docket, BAD).increment(),
    "follow": lambda docket: anext(ExecutionProgress(docket, BAD).subscribe()),
}


def by_hand(docket: Docket, key: str = BAD, **more: Any) -> Execution[Any]:
    return Execution(docket, nothing, (), {}, key, clock.now(), 1, **more)


@pytest.mark.parametrize("attempt", KEYED.values(), ids=KEYED)
async def test_the_key_of_a_task_is_refused_at_once(docket: Docket, attempt: Callable[[Docket], Any]) -> None:
    refused(lambda: attempt(docket), "a task key")


@pytest.mark.parametrize("attempt", ASKED.values(), ids=ASKED)
async def test_the_key_of_a_task_is_refused_before_anything_is_sent(
    docket: Docket, attempt: Callable[[Docket], Awaitable[Any]]
) -> None:
    with pytest.raises(UsageError, match=f"^a task key {SAID}"):
        await attempt(docket)
    await docket.add(nothing, key="fine")()
    assert (await docket.snapshot()).total_tasks == 1


async def test_other_names_that_are_given_by_hand_are_refused(docket: Docket) -> None:
    execution = await docket.add(nothing, key="k")()
    with pytest.raises(UsageError, match=f"^the name of a worker {SAID}"):
        await execution.claim(BAD)
    for end in (execution.mark_as_completed, execution.mark_as_failed):
        with pytest.raises(UsageError, match=f"^the key of a result {SAID}"):
            await end(result_key=BAD)
    with pytest.raises(UsageError, match=f"^the name of a task {SAID}"):
        await docket.schedule(by_hand(docket, "k2", function_name=BAD))
    with pytest.raises(UsageError, match=f"^the name of a task {SAID}"):
        await docket.task_workers(BAD)
    assert (await docket.snapshot()).total_tasks == 1


async def test_the_words_of_a_strike_are_refused(docket: Docket) -> None:
    for instruct in (docket.strike, docket.restore, docket.strike_list.strike):
        with pytest.raises(UsageError, match=f"^the function of a strike {SAID}"):
            await instruct(BAD)
        with pytest.raises(UsageError, match=f"^the parameter of a strike {SAID}"):
            await instruct("f", BAD, "==", 1)
    made = Strike(BAD, None, "==", None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match=f"^the function of a strike {SAID}"):
        await docket.strike_list.send_instruction(made)
    assert made.labels() == {"docket.task": "caf\\udce9"}
    assert await docket.strikes() == []


async def test_the_value_of_a_strike_may_be_any_text(docket: Docket) -> None:
    await docket.strike("add", "a", "==", BAD)
    assert (await docket.add(add)(BAD, 1)).disposition.value == "struck"  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    [strike] = await docket.strikes()
    assert strike.labels()["docket.value"] == "'caf\\udce9'"


LIMITS: dict[str, Callable[..., Any]] = {
    "ConcurrencyLimit": lambda scope: ConcurrencyLimit(1, scope=scope),
    "RateLimit": lambda scope: RateLimit(1, per=MINUTE, scope=scope),
    "Cooldown": lambda scope: Cooldown(MINUTE, scope=scope),
    "Debounce": lambda scope: Debounce(MINUTE, scope=scope),
}


@pytest.mark.parametrize("make", LIMITS.values(), ids=LIMITS)
def test_a_scope_that_cannot_be_in_a_key_is_refused(make: Callable[[Any], Any]) -> None:
    refused(lambda: make(BAD), "scope")
    with pytest.raises(TypeError, match="scope takes a str, not int: 7"):
        make(7)


def test_the_argument_of_a_limit_is_refused() -> None:
    refused(lambda: ConcurrencyLimit(BAD), "the argument of ConcurrencyLimit,")


async def test_what_people_read_is_made_readable(docket: Docket) -> None:
    execution = await docket.add(nothing, key="k")()
    await execution.progress.set_message(BAD)
    await execution.sync()
    assert execution.progress.message == "caf\\udce9"
    await execution.mark_as_failed(BAD)
    await execution.sync()
    assert execution.error == "caf\\udce9"


class Plain(StrEnum):
    KEY = "key-of-an-enum"
    TASK = "add"


class Mixed(str, Enum):  # noqa: UP042 - whose str() and format() are another text
    KEY = "key-of-an-enum"
    TASK = "add"


@pytest.mark.parametrize("kind", [Plain, Mixed])
async def test_a_text_of_another_class_is_the_same_text(docket: Docket, kind: Any) -> None:
    """Where it stands in the name of a key, too: there its own words would be another."""
    docket.register(add)
    execution = await docket.add(kind.TASK, key=kind.KEY)(1, 2)
    assert type(execution.key) is type(execution.function_name) is str
    found = await docket.get_execution("key-of-an-enum")
    assert found is not None
    assert (found.key, found.function_name) == ("key-of-an-enum", "add")
    await docket.cancel(kind.KEY)
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED
    [placed] = await docket.add_many([docket.call(kind.TASK, key=kind.KEY)(1, 2)])
    assert (await docket.get_execution(kind.KEY)) is not None
    await Worker(docket, kind.KEY).run_until_finished()
    assert await placed.get_result() == 3
    assert placed.worker in ("key-of-an-enum", None)
    for awkward in ("nul\0key", "new\nline", "\x7f", "{x}", "*", "%s", "\u202e"):
        await docket.add(add, key=awkward)(1, 1)
        assert await docket.get_execution(awkward) is not None
