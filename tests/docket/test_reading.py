"""Looking at a docket runs nothing of what lies there; arguments are unpickled when a program asks for them (I9)."""

from __future__ import annotations

import pickle
from typing import Annotated, Any

import anyio
import pytest

from docket import Docket, Logged
from docket.client import Unreadable
from docket.store import dump
from tests.docket.conftest import add, working
from tests.planted import Planted, opened

pytestmark = pytest.mark.anyio

gate: anyio.Event
entered: anyio.Event


async def wait(number: object) -> None:
    entered.set()
    await gate.wait()


class Quits:
    def __reduce__(self) -> Any:
        return exit, (3,)


async def plant(docket: Docket, key: str, **fields: bytes) -> None:
    """A task with a pickle that tells when it is opened, on the stream and in its record."""
    await docket.add(add, key=key)(1)
    planted = {"args": dump((Planted(key),)), "kwargs": dump({"b": Planted(key)}), **fields}
    await docket.client.hset(docket.runs_key(key), mapping=planted)
    ((entry_id, entry),) = [
        each for each in await docket.client.xrange(docket.stream_key) if each[1][b"key"] == key.encode()
    ]
    await docket.client.xdel(docket.stream_key, entry_id)
    await docket.client.xadd(docket.stream_key, {**entry, **{k.encode(): v for k, v in planted.items()}})


async def test_looking_at_a_docket_runs_nothing_of_what_lies_there(docket: Docket) -> None:
    await plant(docket, "k")
    opened.clear()
    (one,) = (await docket.snapshot()).future
    two = await docket.get_execution("k")
    assert two is not None
    for execution in one, two:
        assert execution.call_repr() == "add(...){k}"
        assert "k" in repr(execution)
        await execution.sync()
        assert not await execution.is_superseded()
        assert execution.message().args == dump((Planted("k"),))
        assert execution.specific_labels()["docket.task"] == "add"
    await docket.cancel("k")
    assert opened == []


async def test_arguments_are_unpickled_when_they_are_asked_for(docket: Docket) -> None:
    await plant(docket, "k")
    opened.clear()
    found = await docket.get_execution("k")
    assert found is not None
    assert (found.args, found.kwargs) == (("k",), {"b": "k"})
    assert found.get_argument("b") == "k"
    assert opened == ["k", "k"]
    assert found.call_repr() == "add(..., b=...){k}"


async def test_a_running_task_is_looked_at_without_opening_it(docket: Docket) -> None:
    global gate, entered
    gate, entered = anyio.Event(), anyio.Event()
    docket.register(wait)
    async with working(docket, "w"):
        await docket.add(wait, key="k")(Planted("k"))  # type: ignore[arg-type]
        await entered.wait()
        opened.clear()
        (running,) = (await docket.snapshot()).running
        assert running.call_repr() == "wait(...){k}"
        assert opened == []
        assert running.args == ("k",)
        assert opened == ["k"]
        gate.set()


async def test_what_is_logged_is_shown_where_it_is_plain(docket: Docket) -> None:
    async def task(
        a: Annotated[object, Logged],
        secret: object = 0,
        *,
        many: Annotated[object, Logged(length_only=True)] = (),
    ) -> None: ...

    docket.register(task)
    loop: list[Any] = []
    loop.append(loop)
    calls: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = [
        ("plain", "'x', ..., many=[len 2]", ("x", "y"), {"many": [1, 2]}),
        ("planted", "(not shown: tests.planted.note), ...", (Planted("a"), Planted("b")), {}),
        ("control", "'\\x1b[2J\\n'", ("\x1b[2J\n",), {}),
        ("long", "(not shown: too long), many=[len 30000]", ("x" * 20_000,), {"many": "x" * 30_000}),
        ("loop", "(not shown: too long)", (loop,), {}),
        ("huge", "(not shown: more than 20000 parts)", (1, [1] * 30_000), {}),
    ]
    for key, _, args, kwargs in calls:
        await docket.add(task, key=key)(*args, **kwargs)
    opened.clear()
    for key, shown, _, _ in calls:
        found = await docket.get_execution(key)
        assert found is not None
        assert found.call_repr() == f"task({shown}){{{key}}}"
    assert opened == []


async def test_names_that_would_move_the_cursor_are_escaped(docket: Docket) -> None:
    hostile = "k\x1b[2J\n"
    await plant(docket, hostile, function=b"f\x1b\n", kwargs=dump({"\x1b": 1}))
    found = await docket.get_execution(hostile)
    assert found is not None
    assert found.call_repr() == r"f\x1b\n(...){k\x1b[2J\n}"
    assert found.kwargs == {"\x1b": 1}
    assert found.call_repr() == r"f\x1b\n(..., \x1b=...){k\x1b[2J\n}"
    assert "\x1b" not in repr(found)


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        (b"\x80\x05K\x01.", b"\x80\x05}.", "TypeError: the positional ones are "),
        (b"\x80\x05).", b"\x80\x05].", "TypeError: the named ones are "),
        (b"junk", b"\x80\x05}.", "UnpicklingError: "),
        (pickle.dumps((Quits(),)), b"\x80\x05}.", "SystemExit: 3"),
    ],
    ids=["no tuple", "no mapping", "junk", "quits"],
)
async def test_arguments_that_are_none_say_why(
    docket: Docket, args: bytes, kwargs: bytes, reason: str
) -> None:
    await plant(docket, "k", args=args, kwargs=kwargs)
    found = await docket.get_execution("k")
    assert found is not None
    (unreadable,) = found.args
    assert isinstance(unreadable, Unreadable)
    assert unreadable.reason.startswith(reason)
    assert found.kwargs == {}
    assert (found.message().args, found.message().kwargs) == (args, kwargs)  # placed again it loses nothing


async def test_strikes_are_unpickled_for_those_who_trust_them(docket: Docket) -> None:
    await docket.strike(add, "a", "==", Planted("p"))
    await docket.strike(add, "a", "==", 7)
    async with Docket(docket.name, docket.url) as wary:
        wary.register(add)
        wary.strike_list.trust_nobody()
        opened.clear()
        assert [strike.value for strike in await wary.strikes()] == [7]
        assert (await wary.add(add)(7)).disposition.value == "struck"
        assert (await wary.add(add)(8)).disposition.value == "scheduled"
        await wary.strike(add, "b", "==", 9)
        await wary.restore(add, "a", "==", 7)
        assert [strike.value for strike in await wary.strikes()] == [9]
    assert opened == []
    async with Docket(docket.name, docket.url) as trusting:
        assert {strike.value for strike in await trusting.strikes()} == {"p", 9}
    assert opened == ["p"]
