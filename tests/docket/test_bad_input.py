"""What is refused, how early, and in which words."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, TimeoutError

from docket import CurrentDocket, Depends, Docket
from docket.errors import BadUrl, DeliveryUnreadable, DocketError, UnknownTask
from docket.execution import Execution
from tests.docket.conftest import add, later, nothing
from tests.servers import Server
from tests.where import few_pairs

pytestmark = [pytest.mark.anyio, few_pairs]


async def test_a_moment_without_a_time_zone(docket: Docket) -> None:
    naive = datetime(2030, 1, 1)
    for attempt in (
        lambda: docket.add(add, when=naive),
        lambda: docket.replace(add, naive, "k"),
        lambda: docket.call(add, when=naive),
    ):
        with pytest.raises(ValueError, match="has no time zone"):
            attempt()


@pytest.mark.parametrize("when", ["tomorrow", 7, timedelta(1)], ids=str)
async def test_a_moment_that_is_none(docket: Docket, when: Any) -> None:
    with pytest.raises(TypeError, match="when= takes an aware datetime"):
        docket.add(add, when=when)


@pytest.mark.parametrize("key", [7, b"k", ("k",), object()], ids=["int", "bytes", "tuple", "object"])
async def test_a_key_that_is_no_string(docket: Docket, key: Any) -> None:
    for attempt in (lambda: docket.add(add, key=key), lambda: docket.replace(add, later(), key)):
        with pytest.raises(TypeError, match="a task key is a str, not"):
            attempt()
    with pytest.raises(TypeError, match="a task key is a str"):
        await docket.cancel(key)
    with pytest.raises(TypeError, match="a task key is a str"):
        await docket.get_execution(key)


@pytest.mark.parametrize("key", ["", "\ud800"], ids=["empty", "surrogate"])
async def test_a_key_that_cannot_be_one(docket: Docket, key: str) -> None:
    with pytest.raises(ValueError, match="a task key"):
        docket.add(add, key=key)


async def test_a_name_that_nobody_registered(docket: Docket) -> None:
    for error in KeyError, ValueError, UnknownTask:
        with pytest.raises(
            error, match=r"no task named 'missing' is registered on docket 'd' \(registered: add, "
        ):
            docket.add("missing")


async def optional(a: int, b: int = 1, *, c: int = 2) -> None: ...
async def positional(a: int, /, b: int = 1) -> None: ...
async def starred(a: int, *args: int, c: int, **kwargs: int) -> None: ...
async def supplied(a: int, docket: Docket = CurrentDocket(), b: str = Depends(lambda: "b")) -> None: ...


MISFITS: list[tuple[Any, tuple[Any, ...], dict[str, Any], str]] = [
    (optional, (), {}, "'a'"),
    (optional, (1, 2, 3), {}, "too many positional"),
    (optional, (1,), {"a": 1}, "multiple values for argument 'a'"),
    (optional, (1,), {"d": 1}, "unexpected keyword argument 'd'"),
    (positional, (), {"a": 1}, "'a'"),
    (starred, (1,), {}, "'c'"),
    (supplied, (), {}, "'a'"),
    (supplied, (1,), {"x": 1}, "'x'"),
]


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "said"), MISFITS, ids=lambda value: getattr(value, "__name__", "")
)
async def test_arguments_that_do_not_fit_the_signature(
    docket: Docket, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], said: str
) -> None:
    with pytest.raises(TypeError, match=f"task '{function.__name__}'") as raised:
        await docket.add(function)(*args, **kwargs)
    assert said in str(raised.value)
    with pytest.raises(TypeError):
        docket.call(function)(*args, **kwargs)
    with pytest.raises(TypeError):
        await docket.replace(function, later(), "k")(*args, **kwargs)
    assert (await docket.snapshot()).total_tasks == 0


FITTING: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (optional, (1,), {}),
    (optional, (), {"c": 3, "a": 1}),
    (optional, (1, 2), {"c": 3}),
    (positional, (1,), {"b": 2}),
    (starred, (1, 2, 3), {"c": 4, "d": 5}),
    (supplied, (1,), {}),
    (supplied, (1,), {"b": "own"}),
]


@pytest.mark.parametrize(
    ("function", "args", "kwargs"), FITTING, ids=lambda value: getattr(value, "__name__", "")
)
async def test_arguments_that_fit_the_signature(
    docket: Docket, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """What a dependency supplies may be left out, or given all the same."""
    execution = await docket.add(function)(*args, **kwargs)
    assert (execution.args, execution.kwargs) == (args, kwargs)


async def take(value: Any) -> None: ...


async def test_arguments_that_cannot_be_pickled(docket: Docket) -> None:
    with pytest.raises(TypeError, match="the arguments of task 'take' cannot be pickled"):
        await docket.add(take)(n for n in range(3))
    with socket.socket() as connection, pytest.raises(TypeError, match="cannot be pickled"):
        await docket.replace(take, later(), "k")(connection)
    assert (await docket.snapshot()).total_tasks == 0


class Silent(Exception):
    def __str__(self) -> str:
        raise SystemExit


class Unpicklable:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [SystemExit(), GeneratorExit(), Silent(), BaseException("\udcff")],
    ids=lambda error: type(error).__name__,
)
async def test_arguments_that_raise_anything_as_they_are_pickled(
    docket: Docket, error: BaseException
) -> None:
    with pytest.raises(TypeError, match="the arguments of task 'take' cannot be pickled"):
        await docket.add(take)(Unpicklable(error))
    assert (await docket.snapshot()).total_tasks == 0


@pytest.mark.parametrize("function", [7, None, object()], ids=["int", "none", "object"])
async def test_a_task_that_cannot_be_called(docket: Docket, function: Any) -> None:
    with pytest.raises(TypeError):
        docket.register(function)
    with pytest.raises(TypeError):
        docket.add(function)


async def test_a_task_without_a_name(docket: Docket) -> None:
    class Callable:
        async def __call__(self) -> None: ...

    with pytest.raises(TypeError, match="has no __name__"):
        docket.register(Callable())
    docket.register(Callable(), names=["named"])
    await docket.add("named")()


@pytest.mark.parametrize(
    "url", ["redsi://localhost", "http://localhost", "localhost:6379", "", "redis://localhost:99999"]
)
async def test_a_url_of_no_server(url: str) -> None:
    for error in BadUrl, ValueError:
        with pytest.raises(error):
            Docket("d", url)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("name", ""),
        ("name", 7),
        ("heartbeat_interval", timedelta(0)),
        ("missed_heartbeats", 0),
        ("execution_ttl", timedelta(seconds=-1)),
    ],
)
async def test_a_setting_out_of_range(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=setting):
        Docket(**{setting: value})


@pytest.fixture
def deaf_url() -> Iterator[str]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0?socket_timeout=0.2&socket_connect_timeout=0.4"


CALLS: dict[str, Any] = {
    "add": lambda docket: docket.add(add)(1),
    "add_many": lambda docket: docket.add_many([docket.call(add)(1)]),
    "cancel": lambda docket: docket.cancel("k"),
    "clear": lambda docket: docket.clear(),
    "get_execution": lambda docket: docket.get_execution("k"),
    "snapshot": lambda docket: docket.snapshot(),
    "workers": lambda docket: docket.workers(),
    "get_result": lambda docket: Execution(docket, nothing, (), {}, "k", datetime.now(UTC), 1).get_result(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_server_that_cannot_be_reached(call: Any) -> None:
    async with Docket("d", "redis://127.0.0.1:1/0") as docket:
        with anyio.fail_after(10), pytest.raises(ConnectionError, match=r"Cannot connect to 127\.0\.0\.1:1"):
            await call(docket)


@pytest.mark.parametrize("call", [CALLS["add"], CALLS["snapshot"]], ids=["add", "snapshot"])
async def test_a_server_that_never_answers(deaf_url: str, call: Any) -> None:
    async with Docket("d", deaf_url) as docket:
        with anyio.fail_after(10), pytest.raises((ConnectionError, TimeoutError)):
            await call(docket)


@pytest.fixture(scope="module")
def locked() -> Iterator[Server]:
    with Server("--requirepass", "secret") as server:
        yield server


@pytest.mark.parametrize("credentials", ["", ":wrong@"], ids=["none", "wrong"])
async def test_a_wrong_password(locked: Server, credentials: str) -> None:
    async with Docket("d", f"redis://{credentials}127.0.0.1:{locked.port}/0") as docket:
        with anyio.fail_after(10), pytest.raises(RedisError) as raised:
            await docket.add(add)(1)
    if credentials:
        assert isinstance(raised.value, AuthenticationError)
    assert "wrong@" not in str(raised.value)


async def test_the_right_password(locked: Server) -> None:
    async with Docket("d", f"redis://:secret@127.0.0.1:{locked.port}/0") as docket:
        await docket.add(add)(1)
        assert await docket.clear() == 1


async def test_a_message_that_describes_no_execution(docket: Docket) -> None:
    for message in {}, {b"key": b"k"}, {**(await docket.add(add)(1)).as_message(), b"when": b"never"}:
        with pytest.raises(DeliveryUnreadable, match="the message has"):
            await Execution.from_message(docket, message)
    message = (await docket.add(add)(1)).as_message()
    with pytest.raises(UnknownTask, match="'other'"):
        await Execution.from_message(docket, {**message, b"function": b"other"})
    assert issubclass(DeliveryUnreadable, DocketError)
