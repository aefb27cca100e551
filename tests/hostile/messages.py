# ruff: noqa: E501 - a row is a line
"""Messages, records and keys that others have written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from docket import Docket, Execution
from docket.errors import DeliveryUnreadable, ExecutionFailed
from docket.store.pickles import dump_any
from tests.hostile.harness import KEY, NAME, End, Function, Row, ends, fails, returns, set_aside

__all__ = ["MESSAGES"]

NOW = datetime(2026, 1, 1, tzinfo=UTC)

GOOD: dict[str, Any] = {
    "key": KEY, "when": NOW.isoformat(), "function": NAME, "args": dump_any(()), "kwargs": dump_any({}),
    "attempt": 1, "generation": 1,
}  # fmt: skip


def returning() -> Function:
    async def culprit(*args: Any, **kwargs: Any) -> str:
        return "returned"

    return culprit


def message(drop: str = "", record: dict[str, Any] | None = None, **fields: Any) -> Any:
    """Puts a message on the stream that differs from a good one, with its record."""

    async def place(docket: Docket, function: Function) -> Execution[Any]:
        docket.register(function)
        found = {name: value for name, value in {**GOOD, **fields}.items() if name != drop}
        async with docket.redis() as redis:
            message_id = await redis.xadd(docket.stream_key, found)
            run = {
                "state": "queued",
                "known": "1",
                "generation": 1,
                "stream_id": message_id,
                **(record or {}),
            }
            await redis.hset(docket.runs_key(KEY), mapping=run)
        return Execution(docket, function, (), {}, KEY, NOW, 1)

    return place


def due(drop: str = "", score: float = 0, **fields: Any) -> Any:
    """Parks a task that is due, which differs from a good one."""

    async def place(docket: Docket, function: Function) -> Execution[Any]:
        docket.register(function)
        found = {name: value for name, value in {**GOOD, **fields}.items() if name != drop}
        async with docket.redis() as redis:
            await redis.hset(docket.keys.parked(KEY), mapping=found)
            await redis.hset(
                docket.runs_key(KEY),
                mapping={"state": "scheduled", "known": "1", "generation": 1, "when": "0"},
            )
            await redis.zadd(docket.keys.queue, {KEY: score})
        return Execution(docket, function, (), {}, KEY, NOW, 1)

    return place


def spoiled(name: Callable[[Docket], str], *, kind: str) -> Any:
    """A key of the docket's own is of another type."""

    async def prepare(docket: Docket) -> None:
        async with docket.redis() as redis:
            if kind == "string":
                await redis.set(name(docket), "of another type")
            else:
                await redis.rpush(name(docket), "of", "another", "type")

    return prepare


def member(name: Callable[[Docket], str], *, scored: bool) -> Any:
    """A member of a set of the docket's own that is no text."""

    async def prepare(docket: Docket) -> None:
        async with docket.redis() as redis:
            if scored:
                await redis.zadd(name(docket), {b"\xff\xfe": datetime.now(UTC).timestamp()})
            else:
                await redis.sadd(name(docket), b"\xff\xfe")

    return prepare


def row(said: str, end: End, **more: Any) -> Row:
    return Row(said=said, make=returning, end=end, **more)


OWN: list[tuple[str, Callable[[Docket], str]]] = [
    ("dead", lambda docket: docket.keys.dead), ("limits", lambda docket: docket.keys.limits), ("waiting", lambda docket: docket.keys.waiting),
    ("workers", lambda docket: docket.keys.workers), ("task-workers", lambda docket: docket.keys.task_workers(NAME)),
    ("worker-tasks", lambda docket: docket.keys.worker_tasks("worker")), ("leases", lambda docket: docket.keys.sweep_lease),
    ("perpetual:lock", lambda docket: docket.keys.perpetual_lock),
    ("results", lambda docket: docket.keys.result_envelope(f"{KEY}:1")), ("parked", lambda docket: docket.keys.parked("another")),
]  # fmt: skip

MESSAGES = [
    *(row(f"a message without {field}", set_aside(f"no field '{field}'"), place=message(field)) for field in ("when", "function", "args", "kwargs", "attempt")),
    *(row(f"a message whose {field} is {value!r}", set_aside(), place=message(**{field: value}), slow=value != values[0]) for field, values in {
        "when": ["yesterday", "", "2026-01-01T00:00:00", b"\xff"],
        "attempt": ["many", "", "-1", "1.5", "9" * 5000, b"\xff"],
        "function": [b"\xff\xfe"],
    }.items() for value in values),
    *(row(f"a message whose attempt is {value}", returns("returned"), place=message(attempt=value)) for value in ("1", "7", "9" * 15)),
    *(row(f"a message whose {field} are {value[:20]!r}", fails(DeliveryUnreadable, "arguments"), place=message(**{field: value}), slow=field == "kwargs") for field in ("args", "kwargs") for value in (
        b"", b"junk", b"\x80\x05cno.such.module\nthing\n.", dump_any(7), dump_any(None), dump_any("text"), dump_any({1: 2}) , b"(" * 5000, b"\x80\x05" + b"]" * 5000,
    )),
    *(row(f"a message that was put back {value!r}", set_aside(), place=message(**{"docket:unknown": value})) for value in ("junk", "1 2", "-1 -1 -1", "9" * 5000 + " 1 1", "1 " + "9" * 30 + " 1", "1 1 " + "9" * 30)),
    row("a message that was put back", returns("returned"), place=message(**{"docket:unknown": "1 2 3"})),
    *(row(f"a {what} with {count} fields", fails(ExecutionFailed), reported=False, place=place(**{f"field-{at}": at for at in range(count)})) for what, place in (("message", message), ("due task", due)) for count in (1100, 20_000)),
    *(row(f"a record whose {field} is {value!r}", ends(), reported=False, place=message(record={field: value}), slow=value != values[0]) for field, values in {
        "state": ["dancing", b"\xff"], "generation": ["x", "9" * 30, "-1", "1.5"], "claim": ["x", "9" * 30], "when": ["x", "inf", "nan"], "started_at": ["x"],
        "cancel_requested": ["x", "9" * 30], "admitted": ["x"], "reserved": ["x"], "stream_id": ["x", "0-0"],
    }.items() for value in values),
    *(row(f"a due task without {field}", ends(), reported=False, place=due(field)) for field in ("key", "when", "function", "args", "kwargs", "attempt", "generation")),
    row("a due task whose message is another's", fails(ExecutionFailed), reported=False, place=due(key="another")),
    *(row(f"a progress that is a {kind}", returns("returned"), prepare=spoiled(lambda docket: docket.keys.progress(KEY), kind=kind)) for kind in ("string", "list")),
    *(row(f"a {name} that is a {kind}", returns("returned"), prepare=spoiled(key, kind=kind), slow=kind == "list") for name, key in OWN for kind in ("string", "list")),
    *(row(f"a member of {name} that is no text", returns("returned"), prepare=member(key, scored=scored)) for name, key, scored in (
        ("workers", lambda docket: docket.keys.workers, True), ("task-workers", lambda docket: docket.keys.task_workers(NAME), True),
        ("worker-tasks", lambda docket: docket.keys.worker_tasks("worker"), False), ("waiting", lambda docket: docket.keys.waiting, False),
    )),
]  # fmt: skip
