"""One scheduled call: what it is, where it stands, what came of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from . import clock
from .client.chunks import schedule_many, tell_placed
from .client.packed import Packed
from .client.presentation import compact_signature
from .client.progress import ExecutionProgress
from .client.results import wait_for_result
from .client.signatures import TaskCall, TaskFunction, check_key, get_signature, signature_cache
from .client.striking import place
from .client.subscription import ExecutionEvents, Settable
from .errors import ExecutionCancelled, ExecutionFailed, ResultExpired, ResultUnreadable, UnknownTask
from .invocation import Invocation
from .linking import carrying
from .moments import read_moment
from .numbers import check_whole, spelled
from .rules import Disposition, ExecutionState
from .store import (
    Fence,
    Message,
    PictureEntry,
    ProgressEvent,
    Record,
    StateEvent,
    decode_message,
    epoch,
    load_call,
)
from .text import checked_name, printable, readable

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from .docket import Docket

__all__ = [
    "Disposition",
    "Execution",
    "ExecutionCancelled",
    "ExecutionFailed",
    "ExecutionProgress",
    "ExecutionState",
    "ProgressEvent",
    "ResultExpired",
    "ResultUnreadable",
    "StateEvent",
    "TaskCall",
    "TaskFunction",
    "compact_signature",
    "get_signature",
    "schedule_many",
]

_signature_cache = signature_cache  # a name that users of pydocket rely on

R = TypeVar("R", covariant=True)


class Execution(Invocation, Generic[R]):
    """A call of a task function under a key, on a docket.

    ``function``, ``args``, ``kwargs`` and ``key`` say what is called; ``state`` and what follows from it is as of
    the last `sync` (or of the event that was last seen).
    """

    __slots__ = (
        "__weakref__", "_fence", "_progress", "completed_at", "disposition", "error", "result_key",
        "schedule_exception", "started_at", "state", "worker",
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
        trace_context: Context | None = None,
        redelivered: bool = False,
        function_name: str | None = None,
        generation: int = 0,
        message_id: bytes | None = None,
    ) -> None:
        self._docket, self._function, self._key = docket, function, key
        self._args, self._kwargs = args, kwargs
        self._function_name = function_name or function.__name__
        self._trace_context = trace_context
        self._redelivered, self._generation = redelivered, generation
        self.when, self.attempt, self.message_id = when, attempt, message_id
        self.extra_fields = {}
        self.state = ExecutionState.SCHEDULED
        self.disposition = Disposition.LOADED
        self.schedule_exception: Exception | None = None
        self.worker: str | None = None
        self.started_at: datetime | None = None
        self.completed_at: datetime | None = None
        self.error: str | None = None
        self.result_key: str | None = None
        self._fence: Fence | None = None
        self._progress: ExecutionProgress | None = None

    def __repr__(self) -> str:
        return f"<Execution {printable(self._function_name)} key={self._key!r} {self.state.value}>"

    @property
    def progress(self) -> ExecutionProgress:
        """How far it is, as of the last `sync`; in a worker, the progress of this very run."""
        if self._progress is None:
            self._progress = ExecutionProgress(self._docket, self._key, self._fence)
        return self._progress

    # to and from the docket ------------------------------------------------------------------------------

    @classmethod
    async def from_message(
        cls,
        docket: Docket,
        message: Mapping[bytes, bytes],
        redelivered: bool = False,
        fallback_task: TaskFunction | None = None,
        message_id: bytes | None = None,
        sync: bool = True,
    ) -> Execution[Any]:
        """The execution that the fields of a stream entry describe; with ``sync``, where it stands.

        Raises: DeliveryUnreadable - they describe none, or the arguments cannot be unpickled; UnknownTask (a
        KeyError) - a task that is not registered, and there is no ``fallback_task``.
        """
        decoded = decode_message(message)
        function = docket.tasks.get(decoded.function, fallback_task)
        if function is None:
            raise UnknownTask(f"no task named {decoded.function!r} is registered on docket {docket.name!r}")
        execution = cls.of_message(docket, decoded, function, redelivered=redelivered, message_id=message_id)
        if sync:
            await execution.sync()
        return execution

    @classmethod
    def of_message(
        cls,
        docket: Docket,
        message: Message,
        function: TaskFunction,
        *,
        redelivered: bool = False,
        message_id: bytes | None = None,
    ) -> Execution[Any]:
        """The execution that a message describes.

        Raises: DeliveryUnreadable - the arguments cannot be unpickled.
        """
        args, kwargs = load_call(message.args, message.kwargs, message.function)
        return cls._of(docket, message, function, args, kwargs, redelivered, message_id)

    @classmethod
    def _of(
        cls,
        docket: Docket,
        message: Message,
        function: TaskFunction,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        redelivered: bool = False,
        message_id: bytes | None = None,
    ) -> Execution[Any]:
        execution: Execution[Any] = Execution(
            docket, function, args, kwargs, message.key, message.when, message.attempt,
            None, redelivered, message.function, message.generation, message_id,
        )  # fmt: skip
        execution.extra_fields = message.extra
        return execution

    @classmethod
    def to_show(cls, docket: Docket, message: Message) -> Execution[Any]:
        """The execution that a message describes, for people: its arguments stay pickled until somebody asks."""
        execution = cls._of(docket, message, docket.function_named(message.function), (), {})
        execution._args = Packed(message.args, message.kwargs)
        return execution

    @classmethod
    def of_entry(cls, docket: Docket, entry: PictureEntry) -> Execution[Any]:
        """The execution of an entry of a picture."""
        execution = cls.to_show(docket, entry.message)
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
        # The record has a double of the seconds: of the microseconds and of the offset we may know more than it does.
        if record.when is not None and epoch(record.when) != epoch(self.when):
            self.when = record.when

    def claimed(self, fence: Fence) -> None:
        """Note the claim that a worker runs it under."""
        self.message_id, self.worker, self.state = fence.message_id, fence.holder, ExecutionState.RUNNING
        self._fence = fence
        if self._progress is not None:
            self._progress.claimed(fence)

    def placed(self, disposition: Disposition, generation: int = 0) -> None:
        """Note what came of placing this execution, and the generation that the key has now."""
        self.disposition = disposition
        if disposition is Disposition.SCHEDULED:
            self._generation = generation
            self.state = ExecutionState.QUEUED if self.when <= clock.now() else ExecutionState.SCHEDULED
        elif disposition is Disposition.ALREADY_SCHEDULED:
            self._generation = generation

    async def schedule(
        self, replace: bool = False, reschedule_message: bytes | None = None, expected_generation: int = 0
    ) -> Disposition:
        """Place this execution on its docket; with ``replace``, instead of what its key has.

        ``reschedule_message`` is the id of the delivery that this is the next run of; it ends in the same step.
        Nothing is placed (SUPERSEDED) where the key's generation is another than ``expected_generation``; 0 is any.
        Nothing is placed (STRUCK) where a strike forbids it.
        Raises: as `Docket.add`.
        """
        self.extra_fields = carrying(self.extra_fields)
        if expected_generation != 0:
            check_whole("expected_generation", expected_generation, 0)
        if reschedule_message is not None and not isinstance(reschedule_message, bytes | str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"reschedule_message takes the id of an entry, not {spelled(reschedule_message)}")
        try:
            placed = await place(
                self._docket,
                self,
                replace=replace,
                rescheduled=reschedule_message or b"",
                expected=expected_generation,
            )
        except UnicodeEncodeError:  # only what was made by hand can have such names
            check_key(self._key)
            checked_name(self._function_name, "the name of a task")
            raise
        self.placed(placed.disposition, placed.generation)
        if not reschedule_message:  # the end of the run tells of its next one
            # Who knows the generation that is there goes on with a chain, and cancels nothing.
            tell_placed(self, replace=replace and not expected_generation)
        if placed.disposition is Disposition.ALREADY_SCHEDULED:
            await self.sync()
        return self.disposition

    # by hand ---------------------------------------------------------------------------------------------

    async def claim(self, worker: str) -> bool:
        """Make this run ``worker``'s, for a program that is its own worker; False where it is not to run any more.

        It is to be a delivery that the program has read from the stream (`from_message`): that is kept from others,
        and redelivered where it is not ended in time. What still waits there can be claimed too, but a worker of
        the docket may run it as well.
        Cancel: the claim may have been made all the same.
        """
        check_key(self._key)
        worker = checked_name(worker, "the name of a worker")
        fence = await self._docket.store.by_hand.claim(self._key, self._generation, worker, self.message_id)
        if fence is None:
            return False
        self.started_at = clock.now()
        self.claimed(fence)
        return True

    async def mark_as_completed(self, result_key: str | None = None) -> None:
        """End this run by hand; ``result_key`` says where its result is kept. See `mark_as_cancelled`."""
        await self._end(ExecutionState.COMPLETED, result_key=result_key)

    async def mark_as_failed(self, error: str | None = None, result_key: str | None = None) -> None:
        """End this run by hand; ``error`` says why. See `mark_as_cancelled`."""
        await self._end(ExecutionState.FAILED, error, result_key)

    async def mark_as_cancelled(self) -> None:
        """End this run by hand, wherever it stands: what waits is removed, who waits for it hears of it.

        Without effect where it has ended, or a newer run has the key (`state` then says how that stands).
        """
        await self._end(ExecutionState.CANCELLED)

    async def _end(
        self, state: ExecutionState, error: str | None = None, result_key: str | None = None
    ) -> None:
        if result_key is not None:
            result_key = checked_name(result_key, "the key of a result")
        error = None if error is None else readable(error)
        ended = await self._docket.store.by_hand.conclude(
            check_key(self._key),
            self._generation,
            self.message_id,
            state=state.value,
            error=error,
            result_key=result_key,
        )
        if not ended:
            await self.sync()
            return
        self.state, self.error, self.result_key = state, error, result_key
        self.completed_at = clock.now()

    # where it stands -------------------------------------------------------------------------------------

    async def sync(self) -> None:
        """Read state, times, error and progress from the docket."""
        await self.refresh()

    async def refresh(self) -> Record | None:
        """`sync`, and return what is recorded; None where nothing is."""
        record, progress = await self._docket.store.records.read(check_key(self._key))
        self.apply(record)
        self.progress.apply(progress)
        return record

    async def is_superseded(self) -> bool:
        """Whether a newer generation owns the key."""
        live = await self._docket.store.records.generation(self._key)
        return live is None or 0 < self._generation < live

    def subscribe(self, *, ready: Settable | None = None) -> AsyncGenerator[StateEvent | ProgressEvent, None]:
        """Yield the present state and progress, then every change, until the execution has ended.

        ``ready`` is set once the subscription is in force: whatever happens from then on is yielded.
        Raises: redis.exceptions.ConnectionError - the connection was lost; events may have been missed.
        Cancel: at any time; leave with ``break``. Its connection is freed with the last event, when it is closed
        (`contextlib.aclosing`) or no longer referred to.
        """
        check_key(self._key)
        return ExecutionEvents(self, ready)

    def take_over(self, event: StateEvent | ProgressEvent) -> None:
        """Take over what an event says."""
        if event["type"] == "progress":
            self.progress.take_over(event)
            return
        self.state = ExecutionState(event["state"])
        if event["worker"] is not None:
            self.worker = event["worker"]
        self.started_at = read_moment(event["started_at"]) or self.started_at
        self.completed_at = read_moment(event["completed_at"]) or self.completed_at
        self.error = event["error"] if event["error"] is not None else self.error

    # what came of it -------------------------------------------------------------------------------------

    async def get_result(self, *, timeout: timedelta | None = None, deadline: datetime | None = None) -> R:
        """Wait for the end and return what the task returned.

        Units: ``timeout`` is a duration from now, ``deadline`` an aware moment; give one or neither.
        Raises: the task's own exception where it failed; ExecutionCancelled; ResultExpired - the record or the
        result is no longer kept (``execution_ttl``); ExecutionFailed - it failed and its exception is not kept,
        cannot be unpickled here, or would end the program (SystemExit); ResultUnreadable - what is kept of the
        result cannot be unpickled here; KeyUnreadable - there is something else than a record; TimeoutError - it
        did not end in time; redis.exceptions.ConnectionError.
        """
        return cast("R", await wait_for_result(self, timeout, deadline))
