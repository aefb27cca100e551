"""What others wrote under the keys of a docket: whoever reads it hears of an error of ours, or of what can be read."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, Execution, ExecutionState
from docket.errors import DeliveryUnreadable, KeyUnreadable
from docket.execution import ExecutionFailed, ResultExpired, ResultUnreadable
from docket.store import dump
from tests.docket.conftest import add, later, refuse, work
from tests.where import one_loop, slow

pytestmark = [pytest.mark.anyio, one_loop, slow]

NOW = timedelta(0)


class Raises:
    """Raises as it is unpickled."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return _raise, (self.error,)


def _raise(error: type[BaseException]) -> None:
    raise error("hostile")


class LiesAboutItsClass:
    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise SystemExit("asked for its class")


class Lie:
    """Comes back as an object that does not even tell its class."""

    def __reduce__(self) -> Any:
        return LiesAboutItsClass, ()


class OnceMore(Exception):
    """Can be pickled, and not unpickled."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(first)


class Restless(Exception):
    def __setstate__(self, state: Any) -> None:
        raise GeneratorExit

    def __reduce__(self) -> Any:
        return Restless, (), {"some": "state"}


class NoText(Exception):
    def __str__(self) -> str:
        raise SystemExit("no text")

    __repr__ = __str__


def stored(value: Any) -> str:
    return base64.b64encode(pickle.dumps(value)).decode()


HOSTILE: dict[str, Any] = {
    "SystemExit": Raises(SystemExit), "GeneratorExit": Raises(GeneratorExit), "a BaseException": Raises(BaseException),
    "RecursionError": Raises(RecursionError), "an error without a text": Raises(NoText),
    "the wrong arguments": OnceMore(1, 2), "a state": Restless(),
}  # fmt: skip
PICKLES = {name: f'{{"data": "{stored(value)}"}}' for name, value in HOSTILE.items()}
JUNK: dict[str, Any] = {
    **PICKLES,
    "nothing": "", "no JSON": "junk", "bytes": b"\xff\xfe\x00", "a number": "7", "null": "null", "a list": "[]",
    "no data": "{}", "a number for data": '{"data": 7}', "a list for a value": '{"value": [], "key": "k:1"}',
    "no base64": '{"data": "\u00fc"}', "an empty pickle": '{"data": ""}', "half a pickle": '{"data": "gAVL"}',
    "too deep": "[" * 100_000, "too deep inside": '{"data": ' + "[" * 100_000, "another type": ["a", "list"],
    "a class that is not here": '{"data": "Y25vLnN1Y2guCm1vZHVsZQou"}',
}  # fmt: skip


async def put(docket: Docket, key: str, value: Any) -> None:
    """Keep a value under a key, as a string or as a list."""
    async with docket.redis() as redis:
        await redis.delete(key)
        if isinstance(value, list):
            await redis.rpush(key, *value)
        else:
            await redis.set(key, value)


async def ended(docket: Docket, task: Any, *args: Any) -> Execution[Any]:
    execution = await docket.add(task, key="k")(*args)
    await work(docket)
    await execution.sync()
    return execution


# Results ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("junk", JUNK)
async def test_whatever_lies_under_a_results_key_the_error_is_ours(docket: Docket, junk: str) -> None:
    execution = await ended(docket, add, 1)
    await put(docket, docket.keys.result_envelope("k:1"), JUNK[junk])
    with pytest.raises((ResultUnreadable, ResultExpired)) as raised:
        await execution.get_result(timeout=NOW)
    assert "'k'" in str(raised.value)


@pytest.mark.parametrize("junk", JUNK)
async def test_whatever_lies_under_the_key_of_an_exception_the_error_is_ours(
    docket: Docket, junk: str
) -> None:
    execution = await ended(docket, refuse, "no")
    await put(docket, docket.keys.result_envelope("k:1"), JUNK[junk])
    with pytest.raises((ExecutionFailed, ResultExpired)) as raised:
        await execution.get_result(timeout=NOW)
    assert str(raised.value) == "ValueError: no" or isinstance(raised.value, ResultExpired)


NO_ERRORS: dict[str, Any] = {
    "a number": 7, "nothing": None, "a class": ValueError, "an exit": SystemExit("task"),
    "StopIteration": StopIteration("task"), "a liar": Lie(), "a dictionary": {},
}  # fmt: skip


@pytest.mark.parametrize("value", NO_ERRORS)
async def test_what_is_kept_of_a_failure_and_cannot_be_raised_is_told_as_failed(
    docket: Docket, value: str
) -> None:
    execution = await ended(docket, refuse, "no")
    await put(docket, docket.keys.result_envelope("k:1"), f'{{"data": "{stored(NO_ERRORS[value])}"}}')
    with pytest.raises(ExecutionFailed, match=r"^ValueError: no$"):
        await execution.get_result(timeout=NOW)


async def test_a_result_that_was_junk_in_one_place_is_read_from_the_other(docket: Docket) -> None:
    execution = await ended(docket, add, 1)
    await put(docket, docket.keys.result_envelope("k:1"), "junk")
    await put(docket, docket.keys.result_bare("k:1"), f'{{"data": "{stored(5)}"}}')
    assert await execution.get_result(timeout=NOW) == 5


class Shelf:
    """A result storage in which somebody has put something else."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept

    async def get(self, key: str, *, collection: str | None = None) -> Any:
        return self.kept

    async def put(self, key: str, value: Any, *, collection: str | None = None, ttl: Any = None) -> None: ...


@pytest.mark.parametrize("kept", [{}, [], "text", {"data": None}, {"data": 7}])
async def test_what_a_result_storage_gives_is_not_trusted_either(url: str, kept: Any) -> None:
    async with Docket("d", url, result_storage=Shelf(kept)) as docket:
        execution = await ended(docket, add, 1)
        with pytest.raises(ResultUnreadable):
            await execution.get_result(timeout=NOW)


# Records ---------------------------------------------------------------------------------------------------

NONSENSE = [b"\xff\xfe", "", "nonsense", "-1", "1e999", "nan", "9" * 400, "0001-01-01T00:00:00+14:00"]
NONSENSE += ["9999-12-31T23:59:59.999999-14:00", "2026-01-01T00:00:00"]
FIELDS = [
    "generation",
    "when",
    "worker",
    "started_at",
    "completed_at",
    "error",
    "result_key",
    "function",
    "args",
]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("junk", NONSENSE, ids=range(len(NONSENSE)))
async def test_a_field_of_a_record_that_cannot_be_read_counts_as_left_out(
    docket: Docket, field: str, junk: Any
) -> None:
    execution = await docket.add(add, when=later(), key="k")(1)
    async with docket.redis() as redis:
        await redis.hset(docket.runs_key("k"), field, junk)
    found = await docket.get_execution("k")
    assert found is not None
    await execution.sync()
    await execution.is_superseded()
    assert execution.state is ExecutionState.SCHEDULED
    async with aclosing(execution.subscribe()) as events:
        assert (await anext(events))["key"] == "k"


def reading(docket: Docket, execution: Execution[Any]) -> list[Callable[[], Awaitable[Any]]]:
    """Everything that reads a record."""
    return [
        execution.sync,
        lambda: docket.get_execution("k"),
        lambda: execution.get_result(timeout=NOW),
        lambda: anext(execution.subscribe()),
    ]


async def test_a_state_that_nobody_knows_is_an_error_that_names_the_key(docket: Docket) -> None:
    execution = await docket.add(add, when=later(), key="k")(1)
    async with docket.redis() as redis:
        await redis.hset(docket.runs_key("k"), "state", b"pau\xffsed")
    for read in reading(docket, execution):
        with pytest.raises(KeyUnreadable, match=r"'d:runs:k' cannot be read: it says b'pau\\xffsed'"):
            await read()


async def test_a_record_of_another_type_is_an_error_that_names_the_key(docket: Docket) -> None:
    execution = await docket.add(add, when=later(), key="k")(1)
    await put(docket, docket.runs_key("k"), "mine")
    for read in (*reading(docket, execution), execution.is_superseded):
        with pytest.raises(KeyUnreadable, match="'d:runs:k' holds something else"):
            await read()


@pytest.mark.parametrize("junk", ["--5", "nonsense", b"\xff", "9" * 400, "", "1.5"])
async def test_progress_that_cannot_be_read_is_no_progress(docket: Docket, junk: Any) -> None:
    execution = await docket.add(add, when=later(), key="k")(1)
    async with docket.redis() as redis:
        mapping = dict.fromkeys(["current", "total", "updated_at"], junk)
        await redis.hset(docket.keys.progress("k"), mapping=mapping)
    await execution.sync()
    progress = execution.progress
    assert (progress.current, progress.total, progress.updated_at) == (None, 100, None)
    await put(docket, docket.keys.progress("k"), "mine")
    await execution.sync()


# Events ----------------------------------------------------------------------------------------------------

STATE, PROGRESS = '{"type": "state", "key": "k", ', '{"type": "progress", "key": "k", '
EVENTS = [
    b"", b"\xff\xfe", b"\xff\xfe[\x00", "junk", "null", "[]", "7", '"state"', "{}", "[" * 100_000, "9" * 5000,
    '{"type": "state"}', '{"type": "state", "key": 7, "state": "completed"}', STATE + '"state": "paused"}',
    STATE + '"state": ["completed"]}', STATE + '"state": "running", "started_at": 7}',
    STATE + '"state": "running", "started_at": "yesterday", "worker": {}, "error": []}',
    STATE + '"state": "running", "started_at": "0001-01-01T00:00:00+14:00", "completed_at": "", "when": true}',
    STATE + '"state": "running", "worker": "\\udcff"}', PROGRESS + '"current": "7"}', PROGRESS + '"current": true}',
    PROGRESS + '"current": 1e999}', PROGRESS + '"current": ' + "9" * 400 + "}",
    PROGRESS + '"current": null, "total": []}',
    PROGRESS + '"current": 3, "total": "many", "message": 7, "updated_at": "never"}',
]  # fmt: skip


async def test_no_event_that_somebody_publishes_ends_a_subscription(docket: Docket) -> None:
    execution = await docket.add(add, when=later(), key="k")(1)
    seen: list[Any] = []

    async def follow(subscribe: Any, ready: anyio.Event) -> None:
        async with aclosing(subscribe(ready=ready)) as events:
            seen.extend([event async for event in events])

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for subscribe in (execution.subscribe, execution.progress.subscribe):
                await _started(group, follow, subscribe)
            for event in EVENTS:
                for channel in (docket.keys.state_channel("k"), docket.keys.progress("k")):
                    await docket.client.publish(channel, event)
            await docket.cancel("k")
    states = [event for event in seen if event["type"] == "state"]
    assert states[-1]["state"] == "cancelled"
    for event in seen:
        for name in ("when", "started_at", "completed_at", "updated_at"):
            if event.get(name) is not None:
                datetime.fromisoformat(event[name])
        if event["type"] == "progress":
            assert type(event["total"]) is int
            assert event["message"] is None or isinstance(event["message"], str)


async def _started(group: Any, follow: Any, subscribe: Any) -> None:
    ready = anyio.Event()
    group.start_soon(follow, subscribe, ready)
    await ready.wait()


async def test_no_event_that_somebody_publishes_ends_the_wait_for_a_result(docket: Docket) -> None:
    execution = await docket.add(add, when=datetime.now(UTC), key="k")(1)
    found: list[int] = []

    async def wait() -> None:
        found.append(await execution.get_result())

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            for event in EVENTS:
                await docket.client.publish(docket.keys.state_channel("k"), event)
            await work(docket)
    assert found == [1]


# Arguments, strikes, lists ---------------------------------------------------------------------------------

CALLS = {name: (pickle.dumps(value), dump({})) for name, value in HOSTILE.items()} | {
    "a list": (pickle.dumps([1]), dump({})), "a number": (pickle.dumps(7), dump({})),
    "nothing": (pickle.dumps(None), dump({})), "a liar": (pickle.dumps(Lie()), dump({})),
    "named by numbers": (dump(()), pickle.dumps({1: 2})), "named ones as a list": (dump(()), pickle.dumps([("a", 1)])),
    "named ones missing": (dump(()), pickle.dumps(None)), "no pickle": (b"junk", b"junk"), "empty": (b"", b""),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
async def test_arguments_that_cannot_be_read_are_shown_as_such(docket: Docket, call: str) -> None:
    await docket.add(add, when=later(), key="k")(1)
    async with docket.redis() as redis:
        args, kwargs = CALLS[call]
        fields = {"args": args, "kwargs": kwargs}
        await redis.hset(docket.parked_task_key("k"), mapping=fields)
        await redis.hset(docket.runs_key("k"), mapping=fields)
        message = await redis.hgetall(docket.parked_task_key("k"))
    [shown] = (await docket.snapshot()).future
    assert "unreadable" in repr(shown.args)
    found = await docket.get_execution("k")
    assert found is not None
    assert "unreadable" in repr(found.args)
    with pytest.raises(DeliveryUnreadable, match="the arguments of task 'add' cannot be unpickled: "):
        await Execution.from_message(docket, message)


@pytest.mark.parametrize("value", HOSTILE)
async def test_a_strike_that_cannot_be_read_is_skipped(
    docket: Docket, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    strike = {"direction": "strike", "function": "add", "parameter": "a", "operator": "=="}
    async with docket.redis() as redis:
        for changed in (
            {"value": pickle.dumps(HOSTILE[value])},
            {"direction": "junk"},
            {"operator": b"\xff"},
            {"function": b"\xff"},
        ):
            await redis.xadd(docket.keys.strikes, {**strike, "value": pickle.dumps(1), **changed})
    await docket.strike(add, "a", "==", 3)
    assert [str(each.value) for each in await docket.strikes()] == ["3"]
    assert caplog.text.count("cannot be read and is skipped") == 4


class Hostile:
    """A value that raises whatever it is asked, once it may."""

    armed = False

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise SystemExit("compared")

    def __repr__(self) -> str:
        raise SystemExit("shown")


async def test_a_strike_with_a_hostile_value_strikes_nothing(docket: Docket) -> None:
    strike = {"direction": "strike", "function": "add", "parameter": "a", "operator": "=="}
    async with docket.redis() as redis:
        await redis.xadd(docket.keys.strikes, {**strike, "value": pickle.dumps(Hostile())})
    execution = await ended(docket, add, 1)
    assert await execution.get_result(timeout=NOW) == 1
    assert len(await docket.strikes()) == 1


async def test_names_of_workers_and_tasks_that_are_no_utf_8_are_shown_escaped(docket: Docket) -> None:
    async with docket.redis() as redis:
        for name in (docket.workers_set, docket.task_workers_set("add")):
            await redis.zadd(name, {b"\xffw": 1e300, b"inf": "+inf", b"typed": 9e18})
        await redis.sadd(docket.worker_tasks_set("").encode() + b"\xffw", b"\xfft", "add")
        await redis.set(docket.worker_tasks_set("typed"), "mine")
    for found in (await docket.workers(), await docket.task_workers("add")):
        workers = {worker.name: worker for worker in found}
        assert set(workers) == {"\\xffw", "inf", "typed"}
        assert workers["\\xffw"].tasks == {"\\xfft", "add"}
        assert workers["typed"].tasks == set()
        assert workers["\\xffw"].last_seen == datetime.max.replace(tzinfo=UTC)


async def test_what_is_no_limit_is_left_out_of_the_list_of_limits(docket: Docket) -> None:
    async with docket.redis() as redis:
        junk = {
            b"\xff": b"\xff",
            "a": "",
            "b": "junk",
            "c": "1000",
            "d": "9" * 400 + " 1:1:x",
            "e": "1000 x:1:e",
        }
        await redis.hset(docket.keys.limits, mapping={**junk, "d:concurrency:x": "1000 3:15:d:concurrency:x"})
        await redis.set("d:concurrency:x:waiters", "mine")
        await redis.zadd("d:concurrency:x:woken", {b"\xff": 1})
    [limit] = await docket.concurrency()
    assert (limit.key, limit.limit, limit.woken, limit.waiters, limit.waiting) == (
        "d:concurrency:x",
        3,
        ("\\xff",),
        (),
        0,
    )
