"""One scheduled call: its function and arguments, its state, its result."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, cast

from . import clock
from .client import (
    DROPPED,
    ExecutionEvents,
    ExecutionProgress,
    Packed,
    R,
    RemoteTask,
    Settable,
    TaskCall,
    TaskFunction,
    check_arguments,
    check_chunk_size,
    check_key,
    claim_by_hand,
    comes_after,
    compact_signature,
    end_by_hand,
    get_signature,
    place,
    place_many,
    remote_task,
    show_call,
    show_packed,
    signature_cache,
    wait_for_result,
)
from .dependencies import share_of_call, takes_turns
from .errors import (
    ExecutionCancelled,
    ExecutionExpired,
    ExecutionFailed,
    ResultExpired,
    ResultUnreadable,
    UnknownTask,
    Untrusted,
    UsageError,
)
from .moments import TimeToLive, check_moment, read_moment
from .numbers import check_whole, spelled
from .rules import (
    WAITING,
    Cancellation,
    Disposition,
    ExecutionState,
    Level,
    Priority,
    check_priority,
    waiting_state,
)
from .signals import Labels
from .store import (
    EXPIRES,
    Fence,
    Message,
    PictureEntry,
    ProgressEvent,
    Record,
    StateEvent,
    Written,
    decode_message,
    epoch,
    expires_field,
    expires_of,
    level_of,
    queued_at,
    share_field,
    turn_of,
    waits_for,
    why_expired,
    with_level,
    with_share,
    without_expiry,
    written_of,
)
from .text import printable, text_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link

    from .docket import Docket
    from .transport import Client

__all__ = [
    "Cancellation",
    "Disposition",
    "Execution",
    "ExecutionCancelled",
    "ExecutionExpired",
    "ExecutionFailed",
    "ExecutionProgress",
    "ExecutionState",
    "ProgressEvent",
    "RemoteTask",
    "ResultExpired",
    "ResultUnreadable",
    "RunningExecution",
    "StateEvent",
    "TaskCall",
    "TaskFunction",
    "Untrusted",
    "compact_signature",
    "get_signature",
    "remote_task",
    "schedule_many",
]

_signature_cache = signature_cache  # a name that users of pydocket rely on

#: To look a member of an enumeration up costs as much as to call a function, and each run asks for these.
_SCHEDULED, _RUNNING, _LOADED = ExecutionState.SCHEDULED, ExecutionState.RUNNING, Disposition.LOADED
_NORMAL = Priority.NORMAL


class Execution(Generic[R]):
    """A call of a task function under a key, on a docket.

    ``function``, ``args``, ``kwargs`` and ``key`` are the call. ``state``, times, ``worker`` and ``error`` are as of
    the last `sync`, or of the last event of `subscribe`; so are ``attempt`` and, where it is tried again, ``when`` and
    ``last_error``.
    """

    __slots__ = (
        "__dict__", "__weakref__",  # programs keep what is theirs on it
        "_args", "_docket", "_fence", "_function", "_function_name", "_generation", "_key", "_kwargs",
        "_progress", "_redelivered", "_trace_context", "attempt", "completed_at", "disposition", "error",
        "extra_fields", "message_id", "result_key", "schedule_exception", "started_at", "state", "ttl", "when",
        "worker",
    )  # fmt: skip

    # Of few executions, so these are no slots.
    last_error: str | None = None
    """What went wrong last: the error of the attempt that is retried, or of the run that failed; or that a worker did
    not know the task."""
    cancel_requested: bool = False
    """Whether it runs and was asked to stop."""
    is_paused: bool = False
    """Whether it waits and its task is paused, or all are: until somebody resumes it. `sync` does not tell."""
    waits_for: str | None = None
    """The name of the concurrency limit that it waits for, as `Docket.concurrency` has it."""
    waits_for_turn: str | None = None
    """For whose turn it waits, as ``argument:value`` (`FairShare`)."""
    waits_alike: int = 0
    """How many wait for the same turn, this one among them. Only `Docket.get_execution` tells."""
    is_put_back: bool = False
    """Whether it waits because a worker did not know its task. Only `Docket.snapshot` tells."""
    worker_is_gone: bool = False
    """Whether it runs and its worker has no heartbeat any more: it waits to be redelivered. `sync` does not tell."""
    _entry: bytes | None = None
    once_more: bool = False
    """Whether it was added to run once more after what its key has, if that has begun."""
    successor: Execution[Any] | None = None
    """What its key runs once more after this run. Only `Docket.get_execution` tells."""
    has_successor: bool = False
    """Whether its key runs once more after this run."""
    is_parent: bool = False
    """Whether it runs and has a task group open. While it only waits for that it holds no place of its worker."""
    times_begun: int = 0
    """How often this attempt was begun, as far as is known: more than once where its delivery was redelivered."""

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
        self._args: tuple[Any, ...] | Packed = args
        """`Packed`, with the named ones in it, in a call that was read for people and not opened yet."""
        self._kwargs = kwargs
        self._function_name = function_name or function.__name__
        self._trace_context = trace_context
        self._redelivered, self._generation = redelivered, generation
        self.when, self.attempt, self.message_id = when, attempt, message_id
        self.extra_fields: Mapping[bytes, bytes] = {}
        self.ttl: TimeToLive = ...
        """How long its record and result are kept, where that was given for this task; ``...`` where it was not."""
        self.state, self.disposition = _SCHEDULED, _LOADED
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
    def expires(self) -> datetime | None:
        """By when it is to have begun, or to be cancelled; None for any time. Unknown of one that has begun."""
        return expires_of(self.extra_fields, self.when) if self.extra_fields else None

    @property
    def priority(self) -> Priority:
        """Its level: what is due of a higher one begins first."""
        return level_of(self.extra_fields) if self.extra_fields else _NORMAL

    # its call --------------------------------------------------------------------------------------------

    @property
    def docket(self) -> Docket:
        return self._docket

    @property
    def function(self) -> TaskFunction:
        return self._function

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments. Of an execution that was read from the docket they are unpickled now.

        That runs what was pickled. What cannot be unpickled is an `Unreadable` with the reason.
        """
        args = self._args
        return args if type(args) is not Packed else self._open(args)[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """The named arguments; see `args`."""
        args = self._args
        return self._kwargs if type(args) is not Packed else self._open(args)[1]

    def _open(self, packed: Packed) -> tuple[tuple[Any, ...], dict[str, Any]]:
        opened, complete = packed.open()
        if complete:
            self._args, self._kwargs = opened
        return opened

    @property
    def written(self) -> Written:
        """How its arguments are written, as they say: `serializer`, `signed_by` and `sealed_by` in one."""
        held = self._args
        return written_of(held.payloads[0]) if type(held) is Packed else self._docket.payloads.writes

    @property
    def serializer(self) -> str:
        """The name of the serializer that its arguments are written with: ``pickle``, ``json``, ``sealed:json``."""
        return self.written.serializer

    @property
    def signed_by(self) -> str | None:
        """The id of the key that its arguments say they are signed by, which nobody has checked; None for none."""
        return self.written.signed_by

    @property
    def sealed_by(self) -> str | None:
        """The id of the key that its arguments say they are sealed with; None for none."""
        return self.written.sealed_by

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

    @property
    def trace_context(self) -> Context | None:
        """The OpenTelemetry context in which it was added, if one is known."""
        if self._trace_context is not None or not self.extra_fields:
            return self._trace_context
        try:
            from .instrumentation import context_of
        except ImportError:  # OpenTelemetry is not installed
            return None
        return context_of(self.extra_fields)

    def incoming_span_links(self) -> list[Link]:
        """A link to the span in which it was added, if one is known."""
        if (context := self.trace_context) is None:
            return []
        from .instrumentation import links_to

        return links_to(context)

    def get_argument(self, parameter: str) -> Any:
        """The value that the call gives to a parameter.

        Raises: KeyError - it gives none, or there is no such parameter.
        """
        bound = get_signature(self._function).bind_partial(*self.args, **self.kwargs)
        return bound.arguments[parameter]

    def check_arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Raise the TypeError of a call of this task with arguments that do not fit."""
        check_arguments(self._function, self._function_name, args, kwargs)

    def general_labels(self) -> Mapping[str, str]:
        return {"docket.task": self._function_name}

    def specific_labels(self) -> Mapping[str, str | int]:
        return {
            "docket.task": self._function_name,
            "docket.key": self._key,
            "docket.when": self.when.isoformat(),
            "docket.attempt": self.attempt,
        }

    def labels(self) -> Labels:
        """The attributes of a span about this execution."""
        return {**self._docket.labels(), **self.specific_labels(), "code.function.name": self._function_name}

    def call_repr(self) -> str:
        """The call for people: ``name(..., b=...){key}``. Values may be secret: only `Logged` ones are shown.

        Nothing is unpickled for it: of arguments that are still pickled it shows those that are plain values.
        """
        args = self._args
        if type(args) is Packed:
            return show_packed(self._function, self._function_name, args, self._key)
        return show_call(self._function, self._function_name, args, self._kwargs, self._key)

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

        Raises: DeliveryUnreadable - they describe none, or the arguments cannot be unpickled; Untrusted - their
        signature does not hold; UnknownTask (a
        KeyError) - a task that is not registered, and there is no ``fallback_task``.
        """
        decoded = decode_message(message)
        function = docket.tasks.get(decoded.function, fallback_task)
        if function is None:
            raise UnknownTask(f"no task named {decoded.function!r} is registered on docket {docket.name!r}")
        call = docket.payloads.open_call(decoded, function, to_run=True)
        execution = cls.of_message(
            docket, decoded, function, *call, redelivered=redelivered, message_id=message_id
        )
        if sync:
            await execution.sync()
        return execution

    @classmethod
    def of_message(
        cls,
        docket: Docket,
        message: Message,
        function: TaskFunction,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        redelivered: bool = False,
        message_id: bytes | None = None,
    ) -> Execution[Any]:
        """The execution that a message describes, with its arguments, which `Payloads.open_call` opens."""
        execution: Execution[Any] = Execution(
            docket, function, args, kwargs, message.key, message.when, message.attempt,
            None, redelivered, message.function, message.generation, message_id,
        )  # fmt: skip
        execution.extra_fields, execution.ttl = message.extra, message.ttl
        return execution

    @classmethod
    def to_show(cls, docket: Docket, message: Message) -> Execution[Any]:
        """The execution that a message describes, for people: its arguments stay pickled until a program reads them."""
        execution = cls.of_message(docket, message, docket.function_named(message.function), (), {})
        execution._args = Packed(message, execution._function, docket.payloads)
        return execution

    @classmethod
    def of_entry(cls, docket: Docket, entry: PictureEntry) -> Execution[Any]:
        """The execution of an entry of a picture."""
        execution = cls.to_show(docket, entry.message)
        execution.state, execution.worker = entry.state, entry.worker
        execution.started_at = entry.started_at
        if entry.cancel_requested:
            execution.cancel_requested = True
        if entry.tried is not None:
            execution.last_error = entry.tried
        if entry.is_parent:
            execution.is_parent = True
        if entry.has_successor:
            execution.has_successor = True
        if entry.begun:
            execution.times_begun = entry.begun
        if entry.row is not None:
            execution.waits_for = waits_for(docket.keys, entry.row)
            execution.waits_for_turn = turn_of(docket.keys, entry.row)
            execution.is_paused = execution.waits_for is None and execution.waits_for_turn is None
        if entry.message.passed_on is not None and entry.message.passed_on.times:
            execution.is_put_back = True
        return execution

    @property
    def queued_at(self) -> datetime | None:
        """When it was queued for the workers last, by the server's clock (UTC), as of the last `sync`.

        None where it waits for its time, was read from a list, or ran on a worker of pydocket's.
        """
        return queued_at(self._entry)

    def message(self) -> Message:
        """This execution as it travels.

        Raises: TypeError - the arguments cannot be pickled; TypeError, UsageError (a ValueError) - ``when`` is no
        moment that can be.
        """
        held, when = self._args, check_moment("when", self.when)
        extra = self.extra_fields
        if type(held) is Packed:
            args, kwargs = held.payloads
        else:
            args, kwargs = self._dumped(held, when)
            if takes_turns(self._function):
                share = share_of_call(self._function, held, self._kwargs)
                extra = with_share(extra, None if share is None else share_field(*share))
        return Message(
            key=self._key,
            when=when,
            function=self._function_name,
            args=args,
            kwargs=kwargs,
            attempt=self.attempt,
            generation=self._generation,
            extra=extra,
            ttl=self.ttl,
        )

    def _dumped(self, args: tuple[Any, ...], when: datetime) -> tuple[bytes, bytes]:
        try:
            return self._docket.payloads.call(
                args,
                self._kwargs,
                task=self._function_name,
                key=self._key,
                when=when,
                function=self._function,
            )
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # pickling runs the argument's own code: it may raise anything
            raise TypeError(
                f"the arguments of task {self._function_name!r} cannot be {self._docket.payloads.written}: "
                f"{text_of(error)}"
            ) from error

    def as_message(self) -> dict[bytes, bytes]:
        """The fields of the stream entry."""
        flat = [part if isinstance(part, bytes) else str(part).encode() for part in self.message().fields()]
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def apply(self, record: Record | None) -> None:
        """Take over what the docket has recorded; None leaves everything as it is."""
        if record is None or self._awaits_turn(record):
            return
        self.state, self.worker, self.error = record.state, record.worker, record.error
        self.started_at, self.completed_at = record.started_at, record.completed_at
        self.result_key, self.ttl = record.result_key, record.ttl
        if record.expires is not None:
            self.expire(record.expires)
        if record.generation != self._generation:  # else we know what the message says
            self.attempt = record.attempt
        last_error = record.error or record.tried
        if last_error != self.last_error:
            self.last_error = last_error
        if record.cancel_requested or self.cancel_requested or self.worker_is_gone:
            self.cancel_requested, self.worker_is_gone = record.cancel_requested, False
        if record.entry != self._entry:
            self._is_at(record)
        if record.is_parent or self.is_parent:
            self.is_parent = record.is_parent
        if record.begun != self.times_begun:
            self.times_begun = record.begun
        if self.is_paused and record.state not in WAITING:
            self.is_paused = False
        if record.row is not None or self.waits_for is not None or self.waits_for_turn is not None:
            self._stand_in(record.row)
        # The record has a double of the seconds: of the microseconds and of the offset we may know more than it does.
        if record.when is not None and epoch(record.when) != epoch(self.when):
            self.when = record.when

    def _is_at(self, record: Record) -> None:
        """Take over where the record says that its entry is: on the lane of its level."""
        self._entry = record.entry
        if record.entry is not None:
            self.prioritize(record.level)

    def _awaits_turn(self, record: Record) -> bool:
        """Whether the record is that of a run which this one is to follow, or was to; note what that means."""
        if record.has_successor != self.has_successor:
            self.has_successor = record.has_successor
        if not comes_after(self, record):
            return False
        self.has_successor = False
        self.state, self.error = _SCHEDULED, None
        if record.successor != self._generation:
            self.state, self.error = ExecutionState.CANCELLED, DROPPED
        self.worker = self.started_at = self.completed_at = None
        return True

    def _stand_in(self, row: str | None) -> None:
        """Note in which row it stands."""
        keys = self._docket.keys
        self.waits_for, self.waits_for_turn = waits_for(keys, row), turn_of(keys, row)

    def claimed(self, fence: Fence) -> None:
        """Note the claim that a worker runs it under."""
        self.message_id, self.worker, self.state = fence.message_id, fence.holder, _RUNNING
        self._fence = fence
        if self._progress is not None:
            self._progress.claimed(fence)

    def placed(self, disposition: Disposition, generation: int = 0, error: Exception | None = None) -> None:
        """Note the result of placing this execution: the generation that the key has now, or the error."""
        self.disposition, self.schedule_exception = disposition, error or self.schedule_exception
        if disposition is Disposition.SCHEDULED:
            self._generation = generation
            self.state = waiting_state(self.when, clock.now())
        elif disposition is Disposition.ALREADY_SCHEDULED:
            self._generation = generation
        elif disposition is Disposition.ONCE_MORE:
            self._generation, self.state = generation, ExecutionState.SCHEDULED
        elif disposition is Disposition.EXPIRED:
            self._generation, self.state = generation, ExecutionState.CANCELLED
            self.error = self.last_error = why_expired(self.expires or self.when)
            self.completed_at = clock.now()

    async def schedule(
        self, replace: bool = False, reschedule_message: bytes | None = None, expected_generation: int = 0
    ) -> Disposition:
        """Place this execution on its docket; with ``replace``, instead of what its key has.

        ``reschedule_message`` is the id of the delivery that this is the next run of; it ends in the same step.
        Nothing is placed (SUPERSEDED) where the key's generation is another than ``expected_generation``; 0 is any.
        Nothing is placed (STRUCK) where a strike forbids it.
        Raises: as `Docket.add`.
        """
        if expected_generation != 0:
            check_whole("expected_generation", expected_generation, 0)
        if reschedule_message is not None and not isinstance(reschedule_message, bytes | str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"reschedule_message takes the id of an entry, not {spelled(reschedule_message)}")
        await place(
            self._docket.store,
            self,
            replace=replace,
            rescheduled=reschedule_message or b"",
            expected=expected_generation,
        )
        return self.disposition

    def expire(self, expires: timedelta | datetime | None) -> None:
        """Have it cancelled unless it begins by a moment, or so long after it was placed; with None at any time."""
        extra = without_expiry(self.extra_fields)
        self.extra_fields = extra if expires is None else {EXPIRES: expires_field(expires), **extra}

    def prioritize(self, priority: Level) -> None:
        """Give it a level, before it is placed. Raises: UsageError (a ValueError) - it is none."""
        if (level := check_priority(priority)) is not self.priority:
            self.extra_fields = with_level(self.extra_fields, level)

    # by hand ---------------------------------------------------------------------------------------------

    async def claim(self, worker: str) -> bool:
        """Claim this run for ``worker``, in a program that is its own worker; False if it may not run any more.

        It is to be a delivery that the program has read from the stream (`from_message`): that is kept from others,
        and redelivered where it is not ended in time. What still waits there can be claimed too, but a worker of
        the docket may run it as well.
        Cancel: the claim may have been made all the same.
        """
        return await claim_by_hand(self._docket.store, self, worker)

    async def mark_as_completed(self, result_key: str | None = None) -> None:
        """End this run by hand; ``result_key`` is the key of its result. See `mark_as_cancelled`."""
        await end_by_hand(self._docket.store, self, ExecutionState.COMPLETED, result_key=result_key)

    async def mark_as_failed(self, error: str | None = None, result_key: str | None = None) -> None:
        """End this run by hand; ``error`` is the reason. See `mark_as_cancelled`."""
        await end_by_hand(self._docket.store, self, ExecutionState.FAILED, error, result_key)

    async def mark_as_cancelled(self) -> None:
        """End this run by hand, in any state: a waiting message is removed, and subscribers get the event.

        Without effect if it has ended, or if a newer run has the key (`state` is then that of the newer run).
        """
        await end_by_hand(self._docket.store, self, ExecutionState.CANCELLED)

    # its state -------------------------------------------------------------------------------------------

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

        ``ready`` is set once the subscription is in force: whatever happens from then on is yielded. After a lost
        connection it subscribes again, and yields the present state and progress in place of what was missed. One that
        is over a thousand events behind misses old reports of progress.
        Raises: redis.exceptions.ConnectionError, TimeoutError - the server stays away.
        Cancel: at any time; leave with ``break``. It unsubscribes with the last event, when it is closed
        (`contextlib.aclosing`) or no longer referred to. All that follow in an event loop share one connection.
        """
        check_key(self._key)
        return ExecutionEvents(self._docket.store, self, ready)

    def take_over(self, event: StateEvent | ProgressEvent) -> None:
        """Take over an event."""
        if event["type"] == "progress":
            self.progress.take_over(event)
            return
        self.state = ExecutionState(event["state"])
        if event["worker"] is not None:
            self.worker = event["worker"]
        self.started_at = read_moment(event["started_at"]) or self.started_at
        self.completed_at = read_moment(event["completed_at"]) or self.completed_at
        self.error = event["error"] if event["error"] is not None else self.error
        if self.cancel_requested or self.worker_is_gone or self.is_parent:
            self.cancel_requested = self.worker_is_gone = self.is_parent = False
        if self.waits_for is not None:  # it stands in no row, or the next `sync` tells in which
            self.waits_for = None
        if self.waits_for_turn is not None:
            self.waits_for_turn = None

    # its result ------------------------------------------------------------------------------------------

    async def get_result(self, *, timeout: timedelta | None = None, deadline: datetime | None = None) -> R:
        """Wait for the end and return what the task returned.

        Units: ``timeout`` is a duration from now, ``deadline`` an aware moment; give one or neither. With one of them
        it waits out an outage of Redis within that time; without, it raises as soon as Redis cannot be reached.
        Raises: the task's own exception where it failed; ExecutionCancelled; ResultExpired - the record or the
        result is no longer kept (``execution_ttl``); ExecutionFailed - it failed and its exception is not kept,
        cannot be unpickled here, or would end the program (SystemExit); ResultUnreadable - what is kept of the
        result cannot be unpickled here; Untrusted (a ResultUnreadable) - what is kept is not signed by a key that is
        known here; KeyUnreadable - there is something else than a record; TimeoutError - it
        did not end in time; redis.exceptions.ConnectionError.
        """
        return cast("R", await wait_for_result(self._docket.store, self, timeout, deadline))


class RunningExecution(Execution[Any]):
    """An execution that a worker has right now."""

    __slots__ = ("started",)

    worker: str | None
    started: datetime | None

    def __init__(self, execution: Execution[Any], worker: str | None, started: datetime | None) -> None:
        super().__init__(
            execution.docket, execution.function, (), {}, execution.key, execution.when, execution.attempt, None,
            execution.redelivered, execution.function_name, execution.generation, execution.message_id,
        )  # fmt: skip
        self._args, self._kwargs = execution._args, execution._kwargs  # as they are, be they unpickled or not
        self.state = execution.state
        self.worker = worker
        self.started = self.started_at = started
        self.cancel_requested = execution.cancel_requested
        self.last_error, self.times_begun = execution.last_error, execution.times_begun
        if execution.is_parent:
            self.is_parent = True
        if execution.has_successor:
            self.has_successor = True


async def schedule_many(
    redis: Client, executions: Sequence[Execution[Any]], *, replace: bool, chunk_size: int | None = 1000
) -> None:
    """Place executions of one docket in order, ``chunk_size`` of them in one round trip (None: all).

    Each gets a ``disposition``; one that the server refuses is FAILED, and its
    ``schedule_exception`` is the error. ``redis`` is not needed: the executions' own docket is asked.
    Raises: UsageError (a ValueError) - they belong to several dockets, or ``chunk_size`` is below 1; else as
    `Docket.add_many`. Cancel: some chunks may have been placed.
    """
    check_chunk_size(chunk_size)
    dockets = {id(execution.docket): execution.docket for execution in executions}
    if len(dockets) > 1:
        raise UsageError("schedule_many places executions of one docket; these belong to several")
    for docket in dockets.values():
        await place_many(docket.store, executions, chunk_size, replace=replace)
