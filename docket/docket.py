"""The docket: where programs put work, and what they can ask about it."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar, cast, overload

from redis.exceptions import RedisError
from uncalled_for import validate_dependencies

from . import clock
from .calls import TaskCall, TaskFunction, check_arguments, check_key, check_when, new_key
from .errors import BadSetting, UnknownTask, UsageError
from .execution import Execution
from .rules import Disposition
from .snapshot import DocketSnapshot, RunningExecution
from .store import GROUP, Keys, Liveness, Records, Schedule, WorkerInfo, load, load_value
from .transport import Client

if TYPE_CHECKING:
    from redis.credentials import CredentialProvider

__all__ = ["Docket", "DocketSnapshot", "RunningExecution", "TaskCollection", "WorkerInfo"]

P = ParamSpec("P")
R = TypeVar("R")
TaskCollection = Iterable[TaskFunction]

CLEAR_BATCH = 1000


class ResultStorage(Protocol):
    """py-key-value-aio's ``AsyncKeyValue``, as far as results need it."""

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None: ...

    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: float | None = None
    ) -> None: ...


class Docket:
    """A named collection of scheduled calls on one server, shared by every process that opens it.

    ``async with Docket(...)`` may be entered and left in different tasks, and again after it was left (I8); it
    connects when it is first used. Units: ``heartbeat_interval`` and ``execution_ttl`` are durations; a worker
    unseen for ``heartbeat_interval * missed_heartbeats`` is gone; a final record and its result are kept for
    ``execution_ttl`` (zero: not at all). ``result_storage`` keeps results elsewhere: anything with the
    ``AsyncKeyValue`` protocol of py-key-value-aio.

    Raises: BadUrl (a ValueError) - the URL names no server; BadSetting (a ValueError).
    """

    def __init__(
        self,
        name: str = "docket",
        url: str = "redis://localhost:6379/0",
        heartbeat_interval: timedelta = timedelta(seconds=2),
        missed_heartbeats: int = 5,
        execution_ttl: timedelta = timedelta(minutes=15),
        result_storage: ResultStorage | None = None,
        enable_internal_instrumentation: bool = False,
        credential_provider: CredentialProvider | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise BadSetting(f"name takes a non-empty string, not {name!r}")
        if heartbeat_interval <= timedelta(0):
            raise BadSetting(f"heartbeat_interval takes a positive duration, not {heartbeat_interval}")
        if missed_heartbeats < 1:
            raise BadSetting(f"missed_heartbeats takes a whole number from 1, not {missed_heartbeats}")
        if execution_ttl < timedelta(0):
            raise BadSetting(f"execution_ttl takes a duration from zero, not {execution_ttl}")
        self.name, self.url = name, url
        self.heartbeat_interval, self.missed_heartbeats = heartbeat_interval, missed_heartbeats
        self.execution_ttl = execution_ttl
        self.result_storage = result_storage
        self.enable_internal_instrumentation = enable_internal_instrumentation
        self.keys = Keys(name)
        self.tasks: dict[str, TaskFunction] = {}
        self._credential_provider = credential_provider
        self._client: Client | None = None
        self._entered = 0
        # A bad URL is the caller's mistake: say so here, not at the first use.
        Client.from_url(url, credential_provider=credential_provider).close()

    # opening and closing ---------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._entered += 1
        if self._client is None:
            self._client = Client.from_url(self.url, credential_provider=self._credential_provider)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered -= 1
        if not self._entered and self._client is not None:
            client, self._client = self._client, None
            client.close()

    @property
    def client(self) -> Client:
        """The connection to the server.

        Raises: RuntimeError - the docket has not been entered.
        """
        if self._client is None:
            raise RuntimeError(f"docket {self.name!r} is not connected to Redis: use `async with docket:`")
        return self._client

    @asynccontextmanager
    async def redis(self) -> AsyncGenerator[Client, None]:
        """A client with redis-py's command methods and bytes replies, on every kind of server."""
        yield self.client

    @property
    def writes(self) -> Schedule:
        return Schedule(self.client, self.keys, self.execution_ttl)

    @property
    def records(self) -> Records:
        return Records(self.client, self.keys)

    @property
    def liveness(self) -> Liveness:
        return Liveness(self.client, self.keys, self.heartbeat_interval * self.missed_heartbeats)

    # tasks -----------------------------------------------------------------------------------------------

    def register(self, function: TaskFunction, names: list[str] | None = None) -> None:
        """Make a function known as a task, by its own name or by ``names``.

        Raises: TypeError - not a callable with a name; ValueError - its dependencies contradict each other.
        """
        if not callable(function):
            raise TypeError(f"a task is a callable, not {function!r}")
        validate_dependencies(function)
        for name in names or [_name_of(function)]:
            self.tasks[name] = function

    def register_collection(self, collection_path: str) -> None:
        """Register every function of a collection: ``"module.path:name"`` of an iterable of functions.

        Raises: ValueError - the path is not of that form; ImportError, AttributeError - nothing is there.
        """
        module_name, colon, member = collection_path.partition(":")
        if not (module_name and colon and member):
            raise UsageError(f"a task collection is named as 'module:collection', not {collection_path!r}")
        collection = getattr(importlib.import_module(module_name), member)
        if callable(collection) or not isinstance(collection, Iterable):
            raise UsageError(f"{collection_path!r} is {type(collection).__name__}, not an iterable of functions")
        for function in cast("TaskCollection", collection):
            self.register(function)

    def function_named(self, name: str) -> TaskFunction:
        """The task of that name, or a stand-in that can only be shown."""
        return self.tasks.get(name) or _stand_in(name)

    def _task(self, function: TaskFunction | str) -> tuple[str, TaskFunction]:
        if isinstance(function, str):
            if (found := self.tasks.get(function)) is None:
                known = ", ".join(sorted(self.tasks)) or "none"
                raise UnknownTask(
                    f"no task named {function!r} is registered on docket {self.name!r} (registered: {known}); "
                    "register it with docket.register(function) or docket.register_collection('module:collection')"
                )
            return function, found
        name = _name_of(function)
        if self.tasks.get(name) is not function:
            self.register(function)
        return name, function

    def labels(self) -> Mapping[str, str]:
        return {"docket.name": self.name}

    # scheduling ------------------------------------------------------------------------------------------

    @overload
    def add(
        self, function: Callable[P, Awaitable[R]], when: datetime | None = None, key: str | None = None
    ) -> Callable[P, Awaitable[Execution[R]]]: ...
    @overload
    def add(
        self, function: str, when: datetime | None = None, key: str | None = None
    ) -> Callable[..., Awaitable[Execution[Any]]]: ...
    def add(
        self, function: Callable[..., Awaitable[Any]] | str, when: datetime | None = None, key: str | None = None
    ) -> Callable[..., Awaitable[Execution[Any]]]:
        """Schedule a call: ``await docket.add(function)(arguments)``.

        A key that is already scheduled, queued or running is left as it is (the execution's ``disposition`` says
        so). ``when`` is an aware datetime; the past and None mean now.

        Raises: at once, ValueError for a naive ``when``, TypeError for a key that is not a string, UnknownTask (a
        KeyError) for a name that is not registered; when awaited, TypeError for arguments that do not fit the
        signature or cannot be pickled, redis.exceptions.RedisError when the server cannot be reached in bounded
        time or refuses.
        Cancel: the task may or may not have been placed.
        """
        prepare = self._preparing(function, when, key)

        async def scheduler(*args: Any, **kwargs: Any) -> Execution[Any]:
            execution = prepare(args, kwargs)
            await execution.schedule()
            return execution

        return scheduler

    @overload
    def replace(
        self, function: Callable[P, Awaitable[R]], when: datetime, key: str
    ) -> Callable[P, Awaitable[Execution[R]]]: ...
    @overload
    def replace(self, function: str, when: datetime, key: str) -> Callable[..., Awaitable[Execution[Any]]]: ...
    def replace(
        self, function: Callable[..., Awaitable[Any]] | str, when: datetime, key: str
    ) -> Callable[..., Awaitable[Execution[Any]]]:
        """Schedule a call instead of whatever its key has. A run in progress ends without a say. Raises as `add`."""
        prepare = self._preparing(function, when, key)

        async def scheduler(*args: Any, **kwargs: Any) -> Execution[Any]:
            execution = prepare(args, kwargs)
            await execution.schedule(replace=True)
            return execution

        return scheduler

    @overload
    def call(
        self, function: Callable[P, Awaitable[R]], when: datetime | None = None, key: str | None = None
    ) -> Callable[P, TaskCall]: ...
    @overload
    def call(self, function: str, when: datetime | None = None, key: str | None = None) -> Callable[..., TaskCall]: ...
    def call(
        self, function: Callable[..., Awaitable[Any]] | str, when: datetime | None = None, key: str | None = None
    ) -> Callable[..., TaskCall]:
        """Prepare and check a call for `add_many` or `replace_many`; nothing is sent. Raises as `add`, at once."""
        prepare = self._preparing(function, when, key)

        def prepared(*args: Any, **kwargs: Any) -> TaskCall:
            execution = prepare(args, kwargs)
            return TaskCall(execution.function, args, kwargs, execution.key, execution.when, execution.function_name)

        return prepared

    def _preparing(
        self, function: TaskFunction | str, when: datetime | None, key: str | None
    ) -> Callable[[tuple[Any, ...], dict[str, Any]], Execution[Any]]:
        name, found = self._task(function)
        if when is not None:
            check_when(when)
        if key is not None:
            check_key(key)

        def prepare(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Execution[Any]:
            check_arguments(found, name, args, kwargs)
            return Execution(self, found, args, kwargs, key or new_key(), when or clock.now(), 1, function_name=name)

        return prepare

    async def add_many(self, calls: Iterable[TaskCall], *, chunk_size: int | None = 1000) -> list[Execution[Any]]:
        """Schedule many calls, ``chunk_size`` of them per round trip (None: all at once), in order.

        One call that the server refuses does not stop the others: its disposition is FAILED and its
        ``schedule_exception`` says why.
        Raises: ValueError - ``chunk_size`` below 1; TypeError - arguments that cannot be pickled (nothing of that
        chunk is sent); redis.exceptions.ConnectionError - earlier chunks have been placed.
        """
        return await self._place_many(calls, chunk_size, replace=False)

    async def replace_many(self, calls: Iterable[TaskCall], *, chunk_size: int | None = 1000) -> list[Execution[Any]]:
        """Schedule many calls instead of whatever their keys have; otherwise as `add_many`."""
        return await self._place_many(calls, chunk_size, replace=True)

    async def _place_many(
        self, calls: Iterable[TaskCall], chunk_size: int | None, *, replace: bool
    ) -> list[Execution[Any]]:
        if chunk_size is not None and chunk_size < 1:
            raise UsageError(f"chunk_size takes a whole number from 1, or None, not {chunk_size!r}")
        executions: list[Execution[Any]] = []
        for call in calls:
            name = call.function_name or _name_of(call.function)
            executions.append(Execution(self, call.function, call.args, call.kwargs, call.key, call.when, 1, function_name=name))
        size = chunk_size or len(executions) or 1
        for at in range(0, len(executions), size):
            await self._place_chunk(executions[at : at + size], replace=replace)
        return executions

    async def _place_chunk(self, executions: Sequence[Execution[Any]], *, replace: bool) -> None:
        placed = await self.writes.place_many([execution.message() for execution in executions], replace=replace)
        for execution, reply in zip(executions, placed, strict=True):
            if isinstance(reply, RedisError):
                execution.schedule_exception = reply
                execution.placed(Disposition.FAILED)
            elif reply.disposition is Disposition.SCHEDULED:
                execution.placed(Disposition.SCHEDULED, reply.generation)
            else:
                execution.placed(Disposition.ALREADY_SCHEDULED)

    async def schedule(self, execution: Execution[Any]) -> None:
        """Place an execution that was made by hand."""
        await execution.schedule()

    async def cancel(self, key: str) -> None:
        """Cancel what waits under ``key``; stop it where it runs. Without effect on what has ended.

        Raises: TypeError - not a string.
        """
        check_key(key)
        await self.writes.cancel(key)

    async def clear(self) -> int:
        """Cancel everything that waits; what runs goes on. Return how many tasks that were."""
        return await self.writes.clear(CLEAR_BATCH)

    # asking ----------------------------------------------------------------------------------------------

    async def get_execution(self, key: str) -> Execution[Any] | None:
        """The execution under ``key`` as it is recorded, or None."""
        check_key(key)
        record, progress = await self.records.read(key)
        if record is None or record.function is None or record.args is None or record.kwargs is None:
            return None
        function = self.function_named(record.function)
        execution: Execution[Any] = Execution(
            self, function, load(record.args), load(record.kwargs), key, record.when or clock.now(), 1,
            function_name=record.function, generation=record.generation,
        )  # fmt: skip
        execution.apply(record)
        execution.progress = progress
        return execution

    async def snapshot(self) -> DocketSnapshot:
        """Everything that waits and runs, and the live workers, at about this moment."""
        taken = clock.now()
        picture = await self.records.picture()
        future = [Execution.of_entry(self, entry) for entry in picture.waiting]
        running = [
            RunningExecution(Execution.of_entry(self, entry), entry.worker, entry.started_at) for entry in picture.running
        ]
        return DocketSnapshot(taken, len(future) + len(running), future, running, await self.workers())

    async def workers(self) -> Collection[WorkerInfo]:
        """The live workers of this docket."""
        return await self.liveness.workers()

    async def task_workers(self, task_name: str) -> Collection[WorkerInfo]:
        """The live workers that can run a task."""
        return await self.liveness.workers(task_name)

    async def read_result(self, result_key: str) -> tuple[Any] | None:
        """A stored result or exception as a 1-tuple; None where it is no longer kept."""
        if self.result_storage is None:
            return await self.records.result(result_key)
        stored = await self.result_storage.get(result_key)
        return None if stored is None else (load_value(str(stored["data"])),)

    # where things are kept -------------------------------------------------------------------------------

    @property
    def prefix(self) -> str:
        return self.keys.prefix

    def key(self, suffix: str) -> str:
        """A key below this docket's prefix."""
        return f"{self.prefix}:{suffix}"

    @property
    def worker_group_name(self) -> str:
        return GROUP

    @property
    def queue_key(self) -> str:
        return self.keys.queue

    @property
    def stream_key(self) -> str:
        return self.keys.stream

    @property
    def redelivery_sweep_key(self) -> str:
        return self.keys.sweep_lease

    @property
    def workers_set(self) -> str:
        return self.keys.workers

    @property
    def results_collection(self) -> str:
        return self.keys.results_collection

    def known_task_key(self, task_key: str) -> str:
        return f"{self.prefix}:known:{task_key}"

    def parked_task_key(self, task_key: str) -> str:
        return self.keys.parked(task_key)

    def stream_id_key(self, task_key: str) -> str:
        return f"{self.prefix}:stream-id:{task_key}"

    def runs_key(self, task_key: str) -> str:
        return self.keys.run(task_key)

    def cancel_channel(self, task_key: str) -> str:
        return self.keys.cancel_channel(task_key)

    def worker_tasks_set(self, worker_name: str) -> str:
        return self.keys.worker_tasks(worker_name)

    def task_workers_set(self, task_name: str) -> str:
        return self.keys.task_workers(task_name)


def _name_of(function: TaskFunction) -> str:
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(f"{function!r} has no __name__; register it with docket.register(function, names=[...])")
    return name


def _stand_in(name: str) -> TaskFunction:
    async def unregistered(*args: Any, **kwargs: Any) -> None:
        raise UnknownTask(f"no task named {name!r} is registered here")

    unregistered.__name__ = name
    return unregistered
