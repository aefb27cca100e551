"""One scheduled call: what it is, where it stands, what came of it."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

import anyio
from redis.exceptions import ConnectionError

from . import clock
from .calls import TaskCall, TaskFunction, get_signature, signature_cache
from .errors import ExecutionCancelled, ExecutionFailed, ResultExpired, UsageError
from .events import ProgressEvent, StateEvent
from .rules import FINAL, Disposition, ExecutionState
from .store import Message, PictureEntry, ProgressRecord, Record, dump, load

if TYPE_CHECKING:
    from .docket import Docket

__all__ = [
    "Disposition",
    "Execution",
    "ExecutionCancelled",
    "ExecutionFailed",
    "ExecutionState",
    "ProgressEvent",
    "ResultExpired",
    "StateEvent",
    "TaskCall",
    "TaskFunction",
    "get_signature",
]

_signature_cache = signature_cache  # a name that users of pydocket rely on

R = TypeVar("R", covariant=True)

#: How often a wait for a result looks at the record itself, in case the server lost it and with it the event.
RECHECK = timedelta(seconds=30)


class Settable(Protocol):
    """Anything with ``set()``: the events of anyio, asyncio, trio or threading."""

    def set(self) -> Any: ...


class Execution(Generic[R]):
    """A call of a task function under a key, on a docket.

    ``function``, ``args``, ``kwargs`` and ``key`` say what is called; ``state`` and what follows from it is as of
    the last `sync` (or of the event that was last seen).
    """

    __slots__ = (
        "__weakref__", "_args", "_docket", "_function", "_function_name", "_generation", "_key", "_kwargs",
        "_redelivered", "attempt", "completed_at", "disposition", "error", "extra_fields", "message_id", "progress",
        "result_key", "schedule_exception", "started_at", "state", "when", "worker",
    )  # fmt: skip

    def __init__(
        self,
        docket: Docket,
        function: TaskFunction,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        key: str,
        when: datetime,
        attempt: int,
        trace_context: object = None,
        redelivered: bool = False,
        function_name: str | None = None,
        generation: int = 0,
        message_id: bytes | None = None,
    ) -> None:
        self._docket, self._function, self._args, self._kwargs, self._key = docket, function, args, kwargs, key
        self._function_name = function_name or function.__name__
        self._redelivered, self._generation = redelivered, generation
        self.when, self.attempt, self.message_id = when, attempt, message_id
        self.state = ExecutionState.SCHEDULED
        self.disposition = Disposition.LOADED
        self.schedule_exception: Exception | None = None
        self.worker: str | None = None
        self.started_at: datetime | None = None
        self.completed_at: datetime | None = None
        self.error: str | None = None
        self.result_key: str | None = None
        self.progress = ProgressRecord()
        self.extra_fields: Mapping[bytes, bytes] = {}

    def __repr__(self) -> str:
        return f"<Execution {self._function_name} key={self._key!r} {self.state.value}>"

    # what it is ------------------------------------------------------------------------------------------

    @property
    def docket(self) -> Docket:
        return self._docket

    @property
    def function(self) -> TaskFunction:
        return self._function

    @property
    def args(self) -> tuple[Any, ...]:
        return self._args

    @property
    def kwargs(self) -> dict[str, Any]:
        return self._kwargs

    @property
    def key(self) -> str:
        return self._key

    @property
    def function_name(self) -> str:
        """The name it is registered under."""
        return self._function_name

    @property
    def redelivered(self) -> bool:
        """Whether another worker had this delivery before and did not finish it."""
        return self._redelivered

    @property
    def generation(self) -> int:
        """Which placing of the key this is, from 1; 0 before it is placed."""
        return self._generation

    def get_argument(self, parameter: str) -> Any:
        """The value that the call gives to a parameter; None where it gives none."""
        bound = get_signature(self._function).bind_partial(*self._args, **self._kwargs)
        return bound.arguments.get(parameter)

    def general_labels(self) -> Mapping[str, str]:
        return {"docket.task": self._function_name}

    def specific_labels(self) -> Mapping[str, str | int]:
        return {
            "docket.task": self._function_name,
            "docket.key": self._key,
            "docket.when": self.when.isoformat(),
            "docket.attempt": self.attempt,
        }

    # to and from the docket ------------------------------------------------------------------------------

    def message(self) -> Message:
        """This execution as it travels.

        Raises: TypeError - the arguments cannot be pickled.
        """
        return Message(
            key=self._key,
            when=self.when,
            function=self._function_name,
            args=self._pickle(self._args),
            kwargs=self._pickle(self._kwargs),
            attempt=self.attempt,
            generation=self._generation,
            extra=self.extra_fields,
        )

    def _pickle(self, arguments: tuple[Any, ...] | dict[str, Any]) -> bytes:
        try:
            return dump(arguments)
        except Exception as error:  # pickling runs the argument's own code: it may raise anything
            raise TypeError(f"the arguments of task {self._function_name!r} cannot be pickled: {error}") from error

    def as_message(self) -> dict[bytes, bytes]:
        flat = [part if isinstance(part, bytes) else str(part).encode() for part in self.message().fields()]
        return dict(zip(flat[::2], flat[1::2], strict=True))

    @classmethod
    def of_message(
        cls, docket: Docket, message: Message, function: TaskFunction, *, redelivered: bool = False,
        message_id: bytes | None = None,
    ) -> Execution[Any]:  # fmt: skip
        """The execution that a message describes.

        Raises: whatever unpickling the arguments raises.
        """
        execution: Execution[Any] = Execution(
            docket, function, load(message.args), load(message.kwargs), message.key, message.when, message.attempt,
            None, redelivered, message.function, message.generation, message_id,
        )  # fmt: skip
        execution.extra_fields = message.extra
        return execution

    @classmethod
    def of_entry(cls, docket: Docket, entry: PictureEntry) -> Execution[Any]:
        execution = cls.of_message(docket, entry.message, docket.function_named(entry.message.function))
        if entry.worker is not None:
            execution.state, execution.worker = ExecutionState.RUNNING, entry.worker
            execution.started_at = entry.started_at
        elif entry.message.when <= clock.now():
            execution.state = ExecutionState.QUEUED
        return execution

    def apply(self, record: Record | None) -> None:
        """Take over what the docket has recorded; None leaves everything as it is."""
        if record is None:
            return
        self.state, self.worker, self.error = record.state, record.worker, record.error
        self.started_at, self.completed_at = record.started_at, record.completed_at
        self.result_key = record.result_key
        if record.when is not None and record.when != self.when:
            self.when = record.when

    def placed(self, disposition: Disposition, generation: int = 0) -> None:
        """Note what came of placing this execution."""
        self.disposition = disposition
        if disposition is Disposition.SCHEDULED:
            self._generation = generation
            self.state = ExecutionState.QUEUED if self.when <= clock.now() else ExecutionState.SCHEDULED

    async def schedule(self, replace: bool = False) -> Disposition:
        """Place this execution on its docket; with ``replace``, instead of what its key has."""
        placed = await self._docket.writes.place(self.message(), replace=replace)
        if placed.disposition is Disposition.SCHEDULED:
            self.placed(Disposition.SCHEDULED, placed.generation)
        else:
            self.placed(Disposition.ALREADY_SCHEDULED)
            await self.sync()
        return self.disposition

    # where it stands -------------------------------------------------------------------------------------

    async def sync(self) -> None:
        """Read state, times, error and progress from the docket."""
        await self._sync()

    async def _sync(self) -> Record | None:
        record, self.progress = await self._docket.records.read(self._key)
        self.apply(record)
        return record

    async def is_superseded(self) -> bool:
        """Whether a newer generation owns the key."""
        live = await self._docket.records.generation(self._key)
        return live is None or 0 < self._generation < live

    async def subscribe(self, *, ready: Settable | None = None) -> AsyncGenerator[StateEvent | ProgressEvent, None]:
        """Yield the present state and progress, then every change, until the execution has ended.

        ``ready`` is set once the subscription is in force: whatever happens from then on is yielded.
        Raises: redis.exceptions.ConnectionError - the connection was lost; events may have been missed.
        Cancel: at any time; leave with ``break`` and close the generator (`contextlib.aclosing`) to free its
        connection at once.
        """
        keys = self._docket.keys
        async with self._docket.client.pubsub() as pubsub:
            await pubsub.subscribe(keys.state_channel(self._key), keys.progress(self._key))
            # Subscribed first, read afterwards: no event falls in between.
            record = await self._sync()
            if ready is not None:
                ready.set()
            if record is not None:
                yield self._state_event()
                yield self._progress_event()
            while record is None or self.state not in FINAL:
                if (event := _event((await pubsub.receive()).payload)) is not None:
                    self._take_over(event)
                    yield event

    def _state_event(self) -> StateEvent:
        return {
            "type": "state",
            "key": self._key,
            "state": self.state,
            "when": self.when.isoformat(),
            "worker": self.worker,
            "started_at": _iso(self.started_at),
            "completed_at": _iso(self.completed_at),
            "error": self.error,
        }

    def _progress_event(self) -> ProgressEvent:
        progress = self.progress
        return {
            "type": "progress",
            "key": self._key,
            "current": progress.current,
            "total": progress.total,
            "message": progress.message,
            "updated_at": _iso(progress.updated_at),
        }

    def _take_over(self, event: StateEvent | ProgressEvent) -> None:
        if event["type"] == "progress":
            self.progress = ProgressRecord(
                current=event["current"],
                total=event["total"],
                message=event["message"],
                updated_at=_moment(event["updated_at"]),
            )
            return
        self.state = ExecutionState(event["state"])
        if event["worker"] is not None:
            self.worker = event["worker"]
        self.started_at = _moment(event["started_at"]) or self.started_at
        self.completed_at = _moment(event["completed_at"]) or self.completed_at
        self.error = event["error"] if event["error"] is not None else self.error

    # what came of it -------------------------------------------------------------------------------------

    async def get_result(self, *, timeout: timedelta | None = None, deadline: datetime | None = None) -> R:
        """Wait for the end and return what the task returned.

        Units: ``timeout`` is a duration from now, ``deadline`` an aware moment; give one or neither.
        Raises: the task's own exception where it failed; ExecutionCancelled; ResultExpired - the record or the
        result is no longer kept (``execution_ttl``); ExecutionFailed - it failed and its exception is not kept;
        TimeoutError - it did not end in time; redis.exceptions.ConnectionError.
        """
        if timeout is not None and deadline is not None:
            raise UsageError("Cannot specify both timeout and deadline")
        limit = math.inf
        if timeout is not None:
            limit = timeout.total_seconds()
        elif deadline is not None:
            if deadline.tzinfo is None:
                raise UsageError(f"deadline={deadline.isoformat()} has no time zone")
            limit = (deadline - clock.now()).total_seconds()
        with anyio.move_on_after(max(limit, 0)) as scope:
            await self._wait_until_final()
            return cast("R", await self._outcome())
        if scope.cancelled_caught:
            raise TimeoutError(f"Timeout waiting for execution {self._key!r} of {self._function_name!r}")
        raise AssertionError("unreachable")

    async def _wait_until_final(self) -> None:
        record = await self._sync()
        while record is not None and record.state not in FINAL:
            recheck = math.inf if self._docket.client.is_memory else RECHECK.total_seconds()
            try:
                with anyio.move_on_after(recheck):
                    if await self._follow():
                        record = await self._sync()  # an event does not name the result
                        # pydocket announces the end of a replaced run too: the record decides
                        if record is None or record.state in FINAL:
                            return
            except ConnectionError:
                pass  # the next read raises if the server stays away
            record = await self._sync()
        if record is None:
            raise ResultExpired(
                f"nothing is recorded of execution {self._key!r}: its execution_ttl "
                f"({self._docket.execution_ttl}) has passed, or the docket was cleared"
            )

    async def _follow(self) -> bool:
        """Wait for the final event; False if there is no record that one could come for."""
        keys = self._docket.keys
        async with self._docket.client.pubsub() as pubsub:
            await pubsub.subscribe(keys.state_channel(self._key))
            # Subscribed first, read afterwards: no event falls in between.
            if await self._sync() is None:
                return False
            while self.state not in FINAL:
                if (event := _event((await pubsub.receive()).payload)) is not None:
                    self._take_over(event)
        return True

    async def _outcome(self) -> Any:
        if self.state is ExecutionState.CANCELLED:
            raise ExecutionCancelled(f"execution {self._key!r} of {self._function_name!r} was cancelled")
        if self.result_key is None:
            if self.state is ExecutionState.FAILED:
                raise ExecutionFailed(self.error or f"execution {self._key!r} failed")
            if not self._docket.execution_ttl:
                raise ResultExpired(f"execution {self._key!r} has completed; with execution_ttl=0 no result is kept")
            return None
        stored = await self._docket.read_result(self.result_key)
        if stored is None:
            raise ResultExpired(f"the result of execution {self._key!r} is no longer kept")
        if self.state is ExecutionState.FAILED:
            raise stored[0]
        return stored[0]


def _event(payload: bytes) -> StateEvent | ProgressEvent | None:
    """A published event with all its fields; None where it is of a kind that we do not know."""
    # pydocket's scheduler leaves control characters of a key as they are
    event: dict[str, Any] = json.loads(payload, strict=False)
    if event.get("type") == "state":
        event["state"] = ExecutionState(event["state"])
        return cast("StateEvent", {**dict.fromkeys(StateEvent.__annotations__), **event})
    if event.get("type") == "progress":
        return cast("ProgressEvent", {**dict.fromkeys(ProgressEvent.__annotations__), **event})
    return None


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
