"""The docket for threads without an event loop: what a Docket awaits is waited for here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    NoReturn,
    ParamSpec,
    Self,
    TypedDict,
    TypeVar,
    TypeVarTuple,
    Unpack,
    cast,
    overload,
)

from ..client import AnyFunction, TaskCall, TaskFunction
from ..errors import UsageError
from ..execution import Execution
from ..moments import Expires, TimeToLive
from ..operating import BulkResult, Counts, DeadLetter, Failure, FailureGroup, Pause, WaitingState
from ..rules import Cancellation, IfRunning, Level
from ..store import LimitInUse, WorkerInfo
from ..strikelist import LiteralOperator, Operator, Strike
from ..values import define, frozen
from .catalogue import SyncCatalogue
from .execution import SyncExecution, wrapped
from .history import SyncHistory
from .loop import LoopThread
from .trees import SyncTrees

if TYPE_CHECKING:
    from ..agenda import Agenda
    from ..docket import Docket

__all__ = ["SyncDocket", "SyncPage", "SyncSnapshot"]

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


@define
class SyncSnapshot:
    """As `docket.docket.DocketSnapshot`, of executions for threads without an event loop."""

    taken: datetime
    total_tasks: int
    future: Sequence[SyncExecution]
    running: Sequence[SyncExecution]
    workers: Collection[WorkerInfo]


@frozen(kw_only=True)
class SyncPage:
    """As `docket.operating.Page`, of executions for threads without an event loop."""

    executions: Sequence[SyncExecution]
    after: str | None
    looked_at: int
    total: int


class _Words(TypedDict):
    """Which failures are wanted."""

    error: str | None
    since: datetime | None
    until: datetime | None


class SyncDocket(SyncHistory, SyncCatalogue, SyncTrees):
    """A docket for threads without an event loop; `Docket.sync` makes it. Each method waits for its end.

    One serves all threads of a process, for as long as that lives. It starts an event loop in a thread of its own when
    it is first used, in each process by itself: it may be made before a fork, as a module of a web application is
    imported, and used after it. ``with`` or `close` ends the thread; so does the end of the process.

    What a method takes, returns and raises is as with the method of `Docket`, with `SyncExecution` for `Execution`.
    Raises: RuntimeError - besides, each of them: it was closed; an event loop runs in the calling thread.
    """

    def __init__(
        self, docket: Docket, backend: str = "asyncio", backend_options: dict[str, Any] | None = None
    ) -> None:
        self.docket = docket
        """The docket, for what needs no waiting: its name, its tasks, its settings."""
        self._loop = LoopThread(docket, backend, backend_options)

    def __repr__(self) -> str:
        return f"<SyncDocket {self.docket.name!r}>"

    # opening and closing ---------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._loop.enter()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.leave()

    def close(self) -> None:
        """End the thread. What other threads wait for is cancelled, and raises RuntimeError there. Idempotent."""
        self._loop.close()

    def run(self, function: Callable[[Unpack[Ts]], Awaitable[R]], *args: *Ts) -> R:
        """Call any async function in the docket's event loop: for what has no method here.

        ``sync_docket.run(Worker(sync_docket.docket).run_until_finished)``
        """
        return self._loop.call(function, *args)

    # tasks -----------------------------------------------------------------------------------------------

    def register(
        self,
        function: TaskFunction | AnyFunction,
        names: list[str] | None = None,
        *,
        priority: Level = None,
    ) -> None:
        """See `Docket.register`."""
        self.docket.register(function, names, priority=priority)

    def register_exception(self, *types: type[BaseException]) -> None:
        """See `Docket.register_exception`."""
        self.docket.register_exception(*types)

    def register_collection(
        self,
        collection_path: str,
        names: Mapping[str, list[str]] | None = None,
        *,
        priority: Level = None,
    ) -> None:
        """See `Docket.register_collection`."""
        self.docket.register_collection(collection_path, names, priority=priority)

    # scheduling; for the overloads see Docket ------------------------------------------------------------

    @overload
    def add(
        self,
        function: Callable[P, Awaitable[R]],
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[P, SyncExecution[R]]: ...
    @overload
    def add(
        self,
        function: Callable[P, Awaitable[R]] | Callable[P, R],
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[P, SyncExecution[R]]: ...
    @overload
    def add(
        self,
        function: str,
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[..., SyncExecution[Any]]: ...
    def add(
        self,
        function: TaskFunction | str,
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[..., SyncExecution[Any]]:
        """Schedule a call: ``docket.add(function)(arguments)``. See `Docket.add`."""
        return self._placing(
            self.docket.add(
                cast("TaskFunction", function),
                when,
                key,
                ttl,
                expires=expires,
                priority=priority,
                if_running=if_running,
            )
        )

    @overload
    def run_once(
        self,
        function: Callable[P, Awaitable[R]],
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[P, SyncExecution[R]]: ...
    @overload
    def run_once(
        self,
        function: Callable[P, Awaitable[R]] | Callable[P, R],
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[P, SyncExecution[R]]: ...
    @overload
    def run_once(
        self,
        function: str,
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[..., SyncExecution[Any]]: ...
    def run_once(
        self,
        function: TaskFunction | str,
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[..., SyncExecution[Any]]:
        """Schedule one run of a task, which no other run of its chain follows. See `Docket.run_once`."""
        return self._placing(
            self.docket.run_once(
                cast("TaskFunction", function),
                when,
                key,
                ttl,
                expires=expires,
                priority=priority,
                if_running=if_running,
            )
        )

    @overload
    def replace(
        self,
        function: Callable[P, Awaitable[R]],
        when: datetime,
        key: str,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
    ) -> Callable[P, SyncExecution[R]]: ...
    @overload
    def replace(
        self,
        function: Callable[P, Awaitable[R]] | Callable[P, R],
        when: datetime,
        key: str,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
    ) -> Callable[P, SyncExecution[R]]: ...
    @overload
    def replace(
        self,
        function: str,
        when: datetime,
        key: str,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
    ) -> Callable[..., SyncExecution[Any]]: ...
    def replace(
        self,
        function: TaskFunction | str,
        when: datetime,
        key: str,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
    ) -> Callable[..., SyncExecution[Any]]:
        """Schedule a call instead of the one that its key has. See `Docket.replace`."""
        return self._placing(
            self.docket.replace(
                cast("TaskFunction", function), when, key, ttl, expires=expires, priority=priority
            )
        )

    def _placing(self, place: Callable[..., Awaitable[Execution[Any]]]) -> Callable[..., SyncExecution[Any]]:
        def placing(*args: Any, **kwargs: Any) -> SyncExecution[Any]:
            return self._wrap(self._loop.call(partial(place, *args, **kwargs)))

        return placing

    @overload
    def call(
        self,
        function: Callable[P, Awaitable[R]],
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[P, TaskCall[R]]: ...
    @overload
    def call(
        self,
        function: Callable[P, Awaitable[R]] | Callable[P, R],
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[P, TaskCall[R]]: ...
    @overload
    def call(
        self,
        function: str,
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[..., TaskCall[Any]]: ...
    def call(
        self,
        function: TaskFunction | str,
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[..., TaskCall[Any]]:
        """Prepare and check a call for `add_many` or `replace_many`; nothing is sent. See `Docket.call`."""
        return self.docket.call(
            cast("TaskFunction", function),
            when,
            key,
            ttl,
            expires=expires,
            priority=priority,
            if_running=if_running,
        )

    def add_many(
        self, calls: Iterable[TaskCall[R]], *, chunk_size: int | None = 1000
    ) -> list[SyncExecution[R]]:
        """Schedule many calls. See `Docket.add_many`."""
        placed = self._loop.call(partial(self.docket.add_many, list(calls), chunk_size=chunk_size))
        return [self._wrap(execution) for execution in placed]

    def replace_many(
        self, calls: Iterable[TaskCall[R]], *, chunk_size: int | None = 1000
    ) -> list[SyncExecution[R]]:
        """Schedule many calls instead of those that their keys have. See `Docket.replace_many`."""
        placed = self._loop.call(partial(self.docket.replace_many, list(calls), chunk_size=chunk_size))
        return [self._wrap(execution) for execution in placed]

    def scatter(
        self,
        agenda: Agenda,
        over: timedelta,
        start: datetime | None = None,
        jitter: timedelta | None = None,
        *,
        seed: int | Random | None = None,
    ) -> list[SyncExecution]:
        """Schedule every call of an agenda. See `Agenda.scatter`."""
        placed = self._loop.call(partial(agenda.scatter, self.docket, over, start, jitter, seed=seed))
        return [self._wrap(execution) for execution in placed]

    def schedule(self, execution: Execution[Any] | SyncExecution[Any]) -> None:
        """Place an execution that was made by hand."""
        made = execution.wrapped if isinstance(execution, SyncExecution) else execution
        self._loop.call(self.docket.schedule, made)

    def task_group(self, **settings: Any) -> NoReturn:
        """Refuse: a task group stops its block where a child fails, and nothing stops a thread.

        Write an async function that opens the group, and have the docket's event loop run it: ``docket.run(function)``.
        Raises: UsageError (a ValueError).
        """
        raise UsageError(
            "a synchronous docket has no task group, which stops its block where a child fails: nothing stops a "
            "thread. Write an async function with `async with sync_docket.docket.task_group() as group:` in it, and "
            "call that by sync_docket.run(function)"
        )

    def cancel(self, key: str) -> Cancellation:
        """Cancel what waits under ``key``; stop it where it runs. See `Docket.cancel`."""
        return self._loop.call(self.docket.cancel, key)

    def clear(self) -> int:
        """Cancel everything that waits; what runs goes on. Return how many tasks that were."""
        return self._loop.call(self.docket.clear)

    # failures --------------------------------------------------------------------------------------------

    def failures(
        self,
        task: TaskFunction | str | None = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        after: Failure | str | None = None,
    ) -> list[Failure]:
        """What has failed, the newest first. See `Docket.failures`."""
        words = _Words(error=error, since=since, until=until)
        return self._loop.call(partial(self.docket.failures, task, limit=limit, after=after, **words))

    def retrying(
        self,
        task: TaskFunction | str | None = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        after: Failure | str | None = None,
    ) -> list[Failure]:
        """What has failed and is tried again, the soonest first. See `Docket.retrying`."""
        words = _Words(error=error, since=since, until=until)
        return self._loop.call(partial(self.docket.retrying, task, limit=limit, after=after, **words))

    def failure(self, key: str) -> Failure | None:
        """The last failure of a key. See `Docket.failure`."""
        return self._loop.call(self.docket.failure, key)

    def failure_groups(
        self,
        task: TaskFunction | str | None = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        retrying: bool = False,
    ) -> list[FailureGroup]:
        """All failures by task and class of the error. See `Docket.failure_groups`."""
        words = _Words(error=error, since=since, until=until)
        return self._loop.call(partial(self.docket.failure_groups, task, retrying=retrying, **words))

    def count_failures(
        self,
        task: TaskFunction | str | None = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> dict[tuple[str, str], int]:
        """How many failures there are, by task and class of the error."""
        words = _Words(error=error, since=since, until=until)
        return self._loop.call(partial(self.docket.count_failures, task, **words))

    def retry(self, key: str, *, when: datetime | None = None) -> SyncExecution:
        """Run what failed under ``key`` again. See `Docket.retry`."""
        return self._wrap(self._loop.call(partial(self.docket.retry, key, when=when)))

    def retry_all(
        self,
        task: TaskFunction | str | None = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> BulkResult:
        """Retry all failures that there are now. See `Docket.retry_all`."""
        words = _Words(error=error, since=since, until=until)
        return self._loop.call(partial(self.docket.retry_all, task, **words))

    def discard(self, key: str) -> bool:
        """Forget the failure of a key. See `Docket.discard`."""
        return self._loop.call(self.docket.discard, key)

    def discard_all(
        self,
        task: TaskFunction | str | None = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> BulkResult:
        """Forget all failures that there are now. See `Docket.discard_all`."""
        words = _Words(error=error, since=since, until=until)
        return self._loop.call(partial(self.docket.discard_all, task, **words))

    def run_now(self, key: str, *, priority: Level = None) -> bool:
        """Let what waits for its time under ``key`` run now. See `Docket.run_now`."""
        return self._loop.call(partial(self.docket.run_now, key, priority=priority))

    # striking --------------------------------------------------------------------------------------------

    def strike(
        self,
        function: TaskFunction | str | None = None,
        parameter: str | None = None,
        operator: Operator | LiteralOperator = "==",
        value: Hashable | None = None,
    ) -> None:
        """Forbid a task, or calls in which a parameter compares so with ``value``. See `Docket.strike`."""
        self._loop.call(self.docket.strike, function, parameter, operator, value)

    def restore(
        self,
        function: TaskFunction | str | None = None,
        parameter: str | None = None,
        operator: Operator | LiteralOperator = "==",
        value: Hashable | None = None,
    ) -> None:
        """Take back the strike that was made with the same words."""
        self._loop.call(self.docket.restore, function, parameter, operator, value)

    def strikes(self) -> list[Strike]:
        """The strikes in effect at this moment."""
        return self._loop.call(self.docket.strikes)

    def wait_for_strikes_loaded(self) -> None:
        """Read the strikes, so that ``docket.strike_list`` shows them."""
        self._loop.call(self.docket.wait_for_strikes_loaded)

    # operating -------------------------------------------------------------------------------------------

    def pause(
        self, task: TaskFunction | AnyFunction | str | None = None, *, reason: str = "", by: str = ""
    ) -> bool:
        """Have workers begin no more runs of a task, or of any. See `Docket.pause`."""
        return self._loop.call(partial(self.docket.pause, task, reason=reason, by=by))

    def resume(self, task: TaskFunction | AnyFunction | str | None = None) -> int:
        """Have workers run a task again, or all of them. See `Docket.resume`."""
        return self._loop.call(self.docket.resume, task)

    def pauses(self) -> list[Pause]:
        """What is paused at this moment."""
        return self._loop.call(self.docket.pauses)

    # reading ---------------------------------------------------------------------------------------------

    def get_execution(self, key: str) -> SyncExecution | None:
        """The execution under ``key`` as it is recorded, or None."""
        execution = self._loop.call(self.docket.get_execution, key)
        return None if execution is None else self._wrap(execution)

    def snapshot(self) -> SyncSnapshot:
        """Everything that waits and runs, and the live workers, at about this moment."""
        seen = self._loop.call(self.docket.snapshot)
        future, running = ([self._wrap(each) for each in group] for group in (seen.future, seen.running))
        return SyncSnapshot(seen.taken, seen.total_tasks, future, running, seen.workers)

    def workers(self) -> Collection[WorkerInfo]:
        """The live workers of this docket."""
        return self._loop.call(self.docket.workers)

    def task_workers(self, task_name: str) -> Collection[WorkerInfo]:
        """The live workers that can run a task."""
        return self._loop.call(self.docket.task_workers, task_name)

    def concurrency(self) -> list[LimitInUse]:
        """Every concurrency limit in use. See `Docket.concurrency`."""
        return self._loop.call(self.docket.concurrency)

    def counts(self) -> Counts:
        """See `Docket.counts`."""
        return self._loop.call(self.docket.counts)

    def executions(
        self,
        state: WaitingState,
        *,
        task: TaskFunction | str | None = None,
        contains: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> SyncPage:
        """See `Docket.executions`."""
        read = partial(self.docket.executions, state, task=task, contains=contains, limit=limit, after=after)
        page = self._loop.call(read)
        return SyncPage(
            executions=[*map(self._wrap, page.executions)],
            after=page.after,
            looked_at=page.looked_at,
            total=page.total,
        )

    def dead_letters(self, *, limit: int = 50, before: str | None = None) -> tuple[list[DeadLetter], int]:
        """See `Docket.dead_letters`."""
        return self._loop.call(partial(self.docket.dead_letters, limit=limit, before=before))

    def _wrap(self, execution: Execution[R]) -> SyncExecution[R]:
        return wrapped(self._loop, execution)
