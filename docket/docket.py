"""The docket: programs put work on it, and read from it what becomes of that."""

from __future__ import annotations

import logging
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast, overload

import attrs

from . import clock
from .client import (
    AnyFunction,
    KeyName,
    Remarks,
    SigningKey,
    SigningMode,
    TaskCall,
    TaskCollection,
    TaskFunction,
    check_arguments,
    check_chunk_size,
    check_function,
    check_key,
    check_on_this_loop,
    check_storage,
    collection_at,
    find_task,
    level_parameter,
    name_of,
    new_key,
    place_for,
    place_many,
    register_collection,
    register_task,
    signatures_of,
    stand_in,
)
from .errors import BadSetting, UsageError
from .execution import Execution, RunningExecution
from .moments import (
    DEFAULT_TTL,
    LONGEST,
    Expires,
    TimeToLive,
    check_expires,
    check_moment,
    check_setting,
    check_ttl,
)
from .numbers import check_whole
from .operating import (
    HISTORY_KEPT,
    HISTORY_TTL,
    DocketCatalogue,
    DocketFailures,
    DocketHistory,
    DocketLists,
    DocketPauses,
    DocketTrees,
)
from .rules import (
    WAITING,
    Cancellation,
    Disposition,
    ExecutionState,
    IfRunning,
    Level,
    Priority,
    check_if_running,
    check_level,
)
from .signals import signals, suppress_errors
from .snapshot import DocketSnapshot, DocketSnapshotMixin
from .store import (
    GROUP,
    ONCE,
    DocketStore,
    FailuresKept,
    Keys,
    LimitInUse,
    Message,
    Payloads,
    ResultStorage,
    ServerResults,
    Strikes,
    WorkerInfo,
    name_of_exception,
)
from .strikelist import DocketStrikes, LiteralOperator, Operator, Strike
from .tasks import standard_tasks
from .text import checked_name, text_of
from .transport import Client, Subscriptions, from_url, with_command_methods
from .variables import check_switch, is_set, switched_on

if TYPE_CHECKING:
    from redis.credentials import CredentialProvider

    from .memory import Hold
    from .serializers import AnySerializer
    from .synchronous import SyncDocket
    from .task_group import OnFailure, TaskGroup

__all__ = [
    "CLEAR_BATCH",
    "Docket",
    "DocketSnapshot",
    "DocketSnapshotMixin",
    "RunningExecution",
    "TaskCollection",
    "WorkerInfo",
]

logger = logging.getLogger("docket.docket")

P = ParamSpec("P")
R = TypeVar("R")

_ONCE: Mapping[bytes, bytes] = {ONCE: b"1"}

CLEAR_BATCH = 100
"""How many tasks `Docket.clear` cancels in one step: it keeps the server for a few milliseconds."""


class Docket(
    DocketLists,
    DocketFailures,
    DocketPauses,
    DocketHistory,
    DocketCatalogue,
    DocketTrees,
    DocketSnapshotMixin,
):
    """A named collection of scheduled calls on one server, shared by every process that opens it.

    ``async with Docket(...)`` may be entered and left in different tasks, threads and event loops, and again after it
    was left (I8); it connects when it is first used, in each event loop by itself.

    Units: ``heartbeat_interval`` and ``execution_ttl`` are durations; a worker
    unseen for ``heartbeat_interval * missed_heartbeats`` is gone; a final record and its result are kept for
    ``execution_ttl`` (zero: not at all; None: for ever, or until somebody deletes them). Where it is given it travels
    with the tasks that are added here; else that of the worker counts. ``result_storage`` keeps results elsewhere:
    anything with the ``AsyncKeyValue`` protocol of py-key-value-aio.

    ``history_ttl`` is how long workers keep rows of ended runs (`history`), ``history_kept`` how many of each task.
    Zero of the first switches the history off, with its figures (`throughput`); zero of the second only the rows.

    ``parent_task_spans``: the span of a run is a child of the span in which its task was added, not only linked to it.
    None: as the environment variable ``DOCKET_PARENT_TASK_SPANS`` says, else no. A `Worker` may say otherwise.

    ``failure_ttl`` and ``failures_kept``: of each key that has failed the last failure is kept for so long, and of so
    many keys at most, the newest; see `failures`. Zero of either: none. What the workers' docket says counts.

    ``serializer`` is how arguments, results and strikes travel: ``"pickle"``, ``"json"`` (as annotations say; the extra
    ``json``), either of them behind ``sealed:`` (with the keys of the variable ``DOCKET_SEALING_KEYS``), or an object
    with a ``name``, ``dumps`` and ``loads``, like `docket.serializers.Sealed`. None: as the variable
    ``DOCKET_SERIALIZER`` says, else pickles. ``accept`` are the names of those that are read, or they themselves: what
    this docket writes and pickles, unless it or the variable ``DOCKET_ACCEPT`` says otherwise. Without ``"pickle"``
    among them nothing that others have written to the server runs code here.

    ``signing_keys``, the newest first, each of 16 bytes or characters at least: what is put on the docket is signed
    with the first, and nothing is opened that none of them has signed. ``signatures="accept"`` lets pass what has no
    signature, for a while; "require" (else) does not. What is not given the environment says: ``DOCKET_SIGNING_KEYS``
    or ``DOCKET_SIGNING_KEYS_FILE``, ``DOCKET_SIGNATURES``, ``DOCKET_SIGNATURE_MAX_AGE``. ``signature_max_age``: how
    long after it was due a call may begin. See docs/security.md.

    Raises: BadUrl (a ValueError) - the URL names no server; BadSetting (a ValueError), also as it is entered: a
    ``result_storage`` that cannot work on the running event loop.
    """

    def __init__(
        self,
        name: str = "docket",
        url: str = "redis://localhost:6379/0",
        heartbeat_interval: timedelta = timedelta(seconds=2),
        missed_heartbeats: int = 5,
        execution_ttl: timedelta | None = DEFAULT_TTL,
        result_storage: ResultStorage | None = None,
        enable_internal_instrumentation: bool = False,
        credential_provider: CredentialProvider | None = None,
        parent_task_spans: bool | None = None,
        failure_ttl: timedelta = timedelta(days=7),
        failures_kept: int = 10_000,
        history_ttl: timedelta = HISTORY_TTL,
        history_kept: int = HISTORY_KEPT,
        serializer: AnySerializer | None = None,
        accept: Iterable[AnySerializer] | None = None,
        signing_keys: Sequence[SigningKey] | None = None,
        signatures: SigningMode | None = None,
        signature_max_age: timedelta | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise BadSetting(f"name takes a non-empty string, not {name!r}")
        check_setting("heartbeat_interval", heartbeat_interval, positive=True)
        check_whole("missed_heartbeats", missed_heartbeats, error=BadSetting)
        if missed_heartbeats > LONGEST // heartbeat_interval:
            raise BadSetting(
                f"missed_heartbeats={missed_heartbeats} times {heartbeat_interval} is over 100 years"
            )
        if execution_ttl is not None:
            check_setting("execution_ttl", execution_ttl)
        check_setting("failure_ttl", failure_ttl)
        check_whole("failures_kept", failures_kept, 0, error=BadSetting)
        check_setting("history_ttl", history_ttl)
        check_whole("history_kept", history_kept, least=0, error=BadSetting)
        name = checked_name(name, "the name of a docket")
        self.name, self.url = name, url
        self._heartbeat_interval, self._missed_heartbeats = heartbeat_interval, missed_heartbeats
        self.enable_internal_instrumentation = enable_internal_instrumentation
        if parent_task_spans is None:
            parent_task_spans = switched_on("DOCKET_PARENT_TASK_SPANS")
        self.parent_task_spans = check_switch("parent_task_spans", parent_task_spans)
        self._client = from_url(url, credential_provider=credential_provider, home=f"{{{name}}}")
        keys = Keys.on_cluster(name) if self._client.is_cluster else Keys(name)
        self._remarks = Remarks()
        if serializer is None and accept is None and not is_set("DOCKET_SERIALIZER", "DOCKET_ACCEPT"):
            self.payloads = Payloads(name)
        else:
            from .serializers import chosen  # most dockets have pickles, and need none of it

            serializers = chosen(serializer, accept)
            self.payloads = serializers.payloads(name)
            self._remarks.check = serializers.check
        if (signed := signatures_of(name, signing_keys, signatures, signature_max_age)) is not None:
            self.payloads = attrs.evolve(self.payloads, signatures=signed)
        self._store = DocketStore(
            client=self._client,
            keys=keys,
            ttl=execution_ttl,
            expiry=heartbeat_interval * missed_heartbeats,
            result_storage=check_storage(result_storage),
            strikes=Strikes(keys, self.payloads),
            payloads=self.payloads,
            ttl_travels=execution_ttl is not DEFAULT_TTL,
            failures_kept=FailuresKept(failure_ttl, failures_kept),
            subscriptions=Subscriptions(self._client),
            history_ttl=history_ttl,
            history_kept=history_kept,
        )
        self._server_results = ServerResults(lambda: self.client, keys)
        self.tasks: dict[str, TaskFunction] = {task.__name__: task for task in standard_tasks}
        self.strike_list = DocketStrikes(
            name, url, self._store.strikes, lambda: self.client, enable_internal_instrumentation
        )
        self._hold: Hold | None = None
        self._entered = 0
        self._entering = Lock()

    # opening and closing ---------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        signals.connect_opentelemetry()
        await check_on_this_loop(self._store.result_storage)
        with self._entering:
            self._entered += 1
            address = self._client.address
            if self._hold is None and address.memory is not None:
                from .memory import hold  # a docket on a real server never loads it

                self._hold = hold(address.memory, for_good=address.keep)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._entering:
            self._entered -= 1
            if self._entered:
                return
            hold, self._hold = self._hold, None
            self.strike_list.unfollow()
            self._client.close()
        if hold is not None:
            hold.close()

    def sync(self, *, backend: str = "asyncio", backend_options: dict[str, Any] | None = None) -> SyncDocket:
        """This docket for threads without an event loop: Django, Flask, scripts.

        It works in an event loop of its own, of this ``backend`` of anyio, in a thread of its own. Make one for each
        process: ``with Docket(...).sync() as docket: docket.add(function)(arguments)``.
        """
        from .synchronous import SyncDocket  # programs with an event loop never load it

        return SyncDocket(self, backend, backend_options)

    @property
    def store(self) -> DocketStore:
        """Everything that reads and writes this docket.

        Raises: RuntimeError - the docket has not been entered.
        """
        if not self._entered:
            raise RuntimeError(f"docket {self.name!r} is not connected to Redis: use `async with docket:`")
        return self._store

    @property
    def client(self) -> Client:
        """The connection to the server. Raises: as `store`."""
        return self.store.client

    @asynccontextmanager
    async def redis(self) -> AsyncGenerator[Client, None]:
        """A client with redis-py's command methods and bytes replies, on every kind of server."""
        yield with_command_methods(self.client)

    # settings, which may be changed at any time ----------------------------------------------------------

    @property
    def keys(self) -> Keys:
        """The names of everything that the docket keeps on the server."""
        return self._store.keys

    @property
    def execution_ttl(self) -> timedelta | None:
        return self._store.ttl

    @execution_ttl.setter
    def execution_ttl(self, ttl: timedelta | None) -> None:
        self._store = attrs.evolve(self._store, ttl=ttl, ttl_travels=True)

    @property
    def result_storage(self) -> ResultStorage:
        """Where results are kept, each as ``{"data": text}`` under the ``result_key`` of its run.

        Unless another storage was given it is that of the server, with all methods of py-key-value-aio's stores.
        """
        return self._store.result_storage or self._server_results

    @result_storage.setter
    def result_storage(self, storage: ResultStorage | None) -> None:
        if storage is self._server_results:
            storage = None
        self._store = attrs.evolve(self._store, result_storage=check_storage(storage))

    @property
    def heartbeat_interval(self) -> timedelta:
        return self._heartbeat_interval

    @heartbeat_interval.setter
    def heartbeat_interval(self, interval: timedelta) -> None:
        self._heartbeat_interval = interval
        self._store = attrs.evolve(self._store, expiry=interval * self._missed_heartbeats)

    @property
    def missed_heartbeats(self) -> int:
        return self._missed_heartbeats

    @missed_heartbeats.setter
    def missed_heartbeats(self, count: int) -> None:
        self._missed_heartbeats = count
        self._store = attrs.evolve(self._store, expiry=self._heartbeat_interval * count)

    # the names of its keys, shared with pydocket ---------------------------------------------------------

    prefix = KeyName(lambda keys: keys.prefix)
    """What all keys of the docket begin with."""
    queue_key = KeyName(lambda keys: keys.queue)
    """The sorted set of what waits for its time."""
    stream_key = KeyName(lambda keys: keys.stream)
    """The stream of what is due."""
    worker_group_name = KeyName(lambda keys: GROUP)
    """The consumer group of the stream."""
    redelivery_sweep_key = KeyName(lambda keys: keys.sweep_lease)
    """The lease of the worker that looks for abandoned deliveries."""
    results_collection = KeyName(lambda keys: keys.results_collection)
    """What the names of results begin with."""

    def key(self, suffix: str) -> str:
        """A key below the docket's prefix."""
        return f"{self.prefix}:{suffix}"

    def known_task_key(self, task_key: str) -> str:
        """Where pydocket before 0.14 noted that a key is taken."""
        return self.keys.known(task_key)

    def parked_task_key(self, task_key: str) -> str:
        """The message of a task that waits for its time."""
        return self.keys.parked(task_key)

    def stream_id_key(self, task_key: str) -> str:
        """Where pydocket before 0.14 noted a task's place on the stream."""
        return self.keys.stream_id(task_key)

    def runs_key(self, task_key: str) -> str:
        """The record of a key's run."""
        return self.keys.run(task_key)

    def cancel_channel(self, task_key: str) -> str:
        """The channel on which a cancellation is asked for."""
        return self.keys.cancel_channel(task_key)

    # tasks -----------------------------------------------------------------------------------------------

    def register(
        self,
        function: TaskFunction | AnyFunction,
        names: list[str] | None = None,
        *,
        priority: Level = None,
    ) -> None:
        """Make a function known as a task, by its own name or by ``names``. The name is what a task is known by.

        ``priority`` is the level of those calls that are added here and given none. Without it that is the `Priority`
        which is the default of a parameter of the task, if there is one.

        Raises: TypeError - not a callable with a name; ValueError - its dependencies contradict each other, a name
        stands for another function, or the level is none. A function that was written in the same place is replaced: a
        module may be loaded again.
        """
        register_task(self.tasks, self._remarks, cast("TaskFunction", function), names, priority)

    def register_collection(
        self,
        collection_path: str,
        names: Mapping[str, list[str]] | None = None,
        *,
        priority: Level = None,
    ) -> None:
        """Register every function of a collection: ``"module.path:name"`` of an iterable of functions.

        A mapping of names to functions registers them by these. ``names`` are as in `register`, for some of the
        functions, by the name that each goes by in the collection: ``{"send_mail": ["send_mail", "send_email"]}``.
        ``priority`` is that of all of them.

        Raises: ValueError - the path is not of that form, ``names`` is about a function that is not there, or as
        `register`; ImportError, AttributeError - nothing is there.
        """
        register_collection(self.tasks, self._remarks, collection_at(collection_path), names, priority)

    def register_exception(self, *types: type[BaseException]) -> None:
        """Have `Execution.get_result` raise exceptions of these types, where a task has raised one that is not pickled.

        With ``serializer="json"`` exceptions travel as the name of their type, their text and arguments. Those of
        Python and docket are raised as they were; others only if they are registered where the result is awaited.
        Without that, and of types with the same module and name, `ExecutionFailed` has all that is known.

        Raises: TypeError - something is no exception type.
        """
        for kind in types:
            if not isinstance(kind, type) or not issubclass(kind, BaseException):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"register_exception takes exception types, not {text_of(kind, repr)}")
            self.payloads.exceptions[name_of_exception(kind)] = kind

    def function_named(self, name: str) -> TaskFunction:
        """The task of that name, or a stand-in that can only be shown."""
        found = self.tasks.get(name)
        return stand_in(name) if found is None else found

    def labels(self) -> Mapping[str, str]:
        """The attributes that telemetry gives to this docket."""
        return {"docket.name": self.name}

    # scheduling ------------------------------------------------------------------------------------------

    # The second overload of each does not match an `async def` for mypy, which infers one result for both of its
    # parts. With `Callable[P, R]` alone it would: then an Any among the parameters makes the call ambiguous to mypy,
    # and all types of it are lost.

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
    ) -> Callable[P, Coroutine[Any, Any, Execution[R]]]: ...
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
    ) -> Callable[P, Coroutine[Any, Any, Execution[R]]]: ...
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
    ) -> Callable[..., Coroutine[Any, Any, Execution[Any]]]: ...
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
    ) -> Callable[..., Coroutine[Any, Any, Execution[Any]]]:
        """Schedule a call: ``await docket.add(function)(arguments)``.

        A key that is already scheduled, queued or running is left as it is (see the execution's
        ``disposition``), unless ``if_running`` is ``"once_more"``: then a run that has begun is followed by one more,
        with the last of the calls that were added so meanwhile, once it has ended (ONCE_MORE); and what waits gives way
        to the call. ``when`` is an aware datetime; the past and None mean now. ``ttl`` is how long the record and
        the result of this task are kept after its end, whichever worker runs it: a duration (zero: not at all), or None
        for ever. Without it ``execution_ttl`` counts. What has not begun by ``expires`` is not begun but cancelled: a
        moment by the server's clock, or a duration that counts from ``when``, or from the placing where there is none.
        Once it has begun it does not expire any more: a retry, a redelivery and the next run of a chain have no expiry.
        What is due of a higher ``priority`` begins first (`Priority`, or "high", "normal", "low"); without one it is
        that of the task, else normal. Retries and the next runs of a chain keep it.

        Raises: at once, ValueError for a naive ``when`` or ``expires``, a ``ttl`` out of range, an unknown
        ``priority`` or another ``if_running`` than the two (or "once_more" without a key), TypeError for a key
        that is not a string or an ``expires`` that is neither, UnknownTask (a KeyError) for a name that is not
        registered; when awaited, TypeError for arguments that do not fit the signature or cannot be pickled,
        redis.exceptions.RedisError when the server cannot be reached in bounded time or refuses.
        Cancel: the task may or may not have been placed.
        """
        once_more = if_running != "skip" and check_if_running(if_running, key)
        return self._placing("docket.add", function, when, key, ttl, expires, priority, once_more=once_more)

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
    ) -> Callable[P, Coroutine[Any, Any, Execution[R]]]: ...
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
    ) -> Callable[P, Coroutine[Any, Any, Execution[R]]]: ...
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
    ) -> Callable[..., Coroutine[Any, Any, Execution[Any]]]: ...
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
    ) -> Callable[..., Coroutine[Any, Any, Execution[Any]]]:
        """Schedule one run of a task with Perpetual or Cron, which no other run follows: for a button "run it now".

        The chain of the task, if it has one, goes on beside it, untouched. A retry is part of the run. For other tasks
        it is the same as `add`, whose arguments and errors it has.
        """
        once_more = if_running != "skip" and check_if_running(if_running, key)
        return self._placing(
            "docket.add", function, when, key, ttl, expires, priority, extra=_ONCE, once_more=once_more
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
    ) -> Callable[P, Coroutine[Any, Any, Execution[R]]]: ...
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
    ) -> Callable[P, Coroutine[Any, Any, Execution[R]]]: ...
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
    ) -> Callable[..., Coroutine[Any, Any, Execution[Any]]]: ...
    def replace(
        self,
        function: TaskFunction | str,
        when: datetime,
        key: str,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
    ) -> Callable[..., Coroutine[Any, Any, Execution[Any]]]:
        """Schedule a call instead of the one that its key has. A run in progress continues, its outcome is discarded.

        Raises: as `add`.
        """
        return self._placing("docket.replace", function, when, key, ttl, expires, priority, replace=True)

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
        """Prepare and check a call for `add_many` or `replace_many`; nothing is sent. Raises as `add`, at once."""
        check_if_running(if_running, key)
        name, found, key = self._look_up(function, when, key, ttl)
        until = check_expires(expires, when)
        given = check_level(priority)

        def prepared(*args: Any, **kwargs: Any) -> TaskCall[Any]:
            check_arguments(found, name, args, kwargs)
            return TaskCall(
                found,
                args,
                kwargs,
                key or new_key(),
                when or clock.now(),
                name,
                ttl,
                until,
                given,
                if_running,
            )

        return prepared

    async def add_many(
        self, calls: Iterable[TaskCall[R]], *, chunk_size: int | None = 1000
    ) -> list[Execution[R]]:
        """Schedule many calls, ``chunk_size`` of them per round trip (None: all at once), in order.

        One call that the server refuses does not stop the others: its disposition is FAILED and its
        ``schedule_exception`` is the error.
        Raises: ValueError - ``chunk_size`` below 1; TypeError - arguments that cannot be pickled (nothing of that
        chunk is sent); redis.exceptions.ConnectionError - earlier chunks have been placed.
        """
        return await self._place_many("docket.add_many", calls, chunk_size, replace=False)

    async def replace_many(
        self, calls: Iterable[TaskCall[R]], *, chunk_size: int | None = 1000
    ) -> list[Execution[R]]:
        """Schedule many calls instead of those that their keys have; otherwise as `add_many`."""
        return await self._place_many("docket.replace_many", calls, chunk_size, replace=True)

    def task_group(
        self,
        *,
        name: str | None = None,
        on_failure: OnFailure = "cancel",
        max_running: int | None = None,
        patience: timedelta = timedelta(seconds=30),
    ) -> TaskGroup:
        """A group of tasks: ``async with docket.task_group() as group: await group.add(function)(arguments)``.

        The block is left when all that were added have ended, retries included, wherever they run. A child that fails
        for good stops the body and cancels its siblings (``on_failure="wait"``: the others end first). Whatever else
        ends the block early cancels the children, too: an exception, a scope around it, `cancel` of the task that has
        opened it. Those that run are asked to stop, and waited for: for ``patience`` at most. While ``max_running``
        children are under way, `TaskGroup.add` waits.

        In a task the group belongs to its run. While that waits, it holds no place of its worker; where it is
        redelivered or handed back, it finds its children where they are: by the ``name`` of the group, or its number
        among those of the run. So groups that are open side by side need names. In a plain program the children are
        cancelled once it has given no sign of life for 30 seconds. Groups nest to any depth.

        Raises: UsageError (a ValueError) - ``on_failure`` is neither of the two, ``max_running`` is below 1,
        ``patience`` is below zero; no event loop runs in this thread. As the block is entered: RuntimeError - the
        docket was not; UsageError - the run has had a group of this name, or has one open in another task of the event
        loop, and neither has a name; ExecutionCancelled - another run has taken the place of this task;
        redis.exceptions.RedisError. Out of the block: an ExceptionGroup of what the body has raised, if anything, and
        what children have failed with, 100 at most; a cancellation as it is; ExecutionCancelled - others have cancelled
        the group, since its parent is over for them.
        """
        from .task_group import TaskGroup  # most programs open none

        return TaskGroup(
            self,
            self._look_up_child,
            name=name,
            on_failure=on_failure,
            max_running=max_running,
            patience=patience,
        )

    def _look_up_child(
        self, function: TaskFunction | str, when: datetime | None, key: str | None, ttl: TimeToLive
    ) -> tuple[str, TaskFunction, str | None]:
        return self._look_up(function, when, key, ttl, once=True)  # a group refuses what begins a chain

    def own_level(
        self, name: str, function: TaskFunction, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Priority | None:
        """The level that a task gives to a call which is given none: see `register`. None where it gives none."""
        return self._remarks.level_of(name, level_parameter(function), args, kwargs)

    def _placing(
        self,
        operation: str,
        function: TaskFunction | str,
        when: datetime | None,
        key: str | None,
        ttl: TimeToLive,
        expires: Expires,
        priority: Level,
        *,
        extra: Mapping[bytes, bytes] | None = None,
        replace: bool = False,
        once_more: bool = False,
    ) -> Callable[..., Coroutine[Any, Any, Execution[Any]]]:
        name, found, key = self._look_up(function, when, key, ttl, once=extra is not None)
        until = check_expires(expires, when)
        given, remarks = None if priority is None else check_level(priority), self._remarks

        async def scheduler(*args: Any, **kwargs: Any) -> Execution[Any]:
            parameter = check_arguments(found, name, args, kwargs)
            execution: Execution[Any] = Execution(
                self, found, args, kwargs, key or new_key(), when or clock.now(), 1, function_name=name
            )
            execution.ttl = ttl
            if extra is not None:
                execution.extra_fields = extra
            if until is not None:
                execution.expire(until)
            level = given
            if level is None and (parameter is not None or remarks.levels):
                level = remarks.level_of(name, parameter, args, kwargs)
            if level is not None:
                execution.prioritize(level)
            if once_more:
                execution.once_more = True
            return await place_for(operation, self.store, execution, replace=replace)

        return scheduler

    def _look_up(
        self,
        function: TaskFunction | str,
        when: datetime | None,
        key: str | None,
        ttl: TimeToLive,
        *,
        once: bool = False,
    ) -> tuple[str, TaskFunction, str | None]:
        """Check what is to be called, when and under which key; the name and the function of the task, and the key."""
        name, found = find_task(self.tasks, self._remarks, function, self.name)
        if when is not None:
            check_moment("when", when)
        if key is not None:
            key = check_key(key)
        if ttl is not ...:
            check_ttl(ttl)
        if name in self._remarks.automatic and key != name and not once:
            self._remarks.warn_once(
                name,
                "a second chain",
                f"task {name!r} is automatic: workers keep its chain under the key {name!r}, and this call begins a "
                f"second one beside it, which goes on for ever. To run it once, call docket.run_once({name})()",
            )
        return name, found, key

    async def _place_many(
        self, operation: str, calls: Iterable[TaskCall[Any]], chunk_size: int | None, *, replace: bool
    ) -> list[Execution[Any]]:
        check_chunk_size(chunk_size)
        executions = [self._execution_of(call, replace) for call in calls]
        labels = lambda: {**self.labels(), "docket.batch.count": len(executions)}  # noqa: E731
        with signals.operation(operation, labels) as span:
            await place_many(self.store, executions, chunk_size, replace=replace)
            struck = sum(execution.disposition is Disposition.STRUCK for execution in executions)
            span.note("docket.batch.stricken", struck)
        return executions

    def _execution_of(self, call: TaskCall[Any], replace: bool) -> Execution[Any]:
        """The execution of a prepared call; one that was made by hand is checked like any other."""
        check_moment("when", call.when)
        key = check_key(call.key)
        given = call.function_name
        if not isinstance(given, str) or self.tasks.get(given) is not call.function:
            check_function(call.function)  # what is registered was checked then
        name = checked_name(given or name_of(call.function), "the name of a task")
        parameter = check_arguments(call.function, name, call.args, call.kwargs)
        execution: Execution[Any] = Execution(
            self, call.function, call.args, call.kwargs, key, call.when, 1, function_name=name
        )
        execution.ttl = check_ttl(call.ttl)
        if call.expires is not None:
            execution.expire(check_expires(call.expires, None))
        level = check_level(call.priority) or self._remarks.level_of(name, parameter, call.args, call.kwargs)
        if level is not None:
            execution.prioritize(level)
        if call.if_running != "skip" and check_if_running(call.if_running, key):
            if replace:
                raise UsageError(
                    'if_running="once_more" is for add_many: replace_many takes the place of a run'
                )
            execution.once_more = True
        return execution

    async def schedule(self, execution: Execution[Any]) -> None:
        """Place an execution that was made by hand."""
        await place_for("docket.schedule", execution.docket.store, execution)

    async def cancel(self, key: str) -> Cancellation:
        """Cancel what waits under ``key``; stop it where it runs. Without effect on what has ended.

        The server decides what it is in the step that cancels it; see `Cancellation`.
        Raises: TypeError - not a string; UsageError (a ValueError) - it cannot be a key.
        """
        return await self._cancel(check_key(key))

    async def _cancel(self, key: str, failed_at: bytes = b"") -> Cancellation:
        with signals.operation("docket.cancel", lambda: {**self.labels(), "docket.key": key}):
            cancellation = await self.store.schedule.cancel(key, failed_at)
            if cancellation:
                for each in signals.subscribers:
                    with suppress_errors:
                        each.cancelled(self.name, 1)
        return cancellation

    async def clear(self) -> int:
        """Cancel everything that waits; what runs goes on. Return how many tasks that were."""
        with signals.operation("docket.clear", self.labels):
            cleared = await self.store.schedule.clear(CLEAR_BATCH)
        if cleared:
            logger.info("Cancelled all %d waiting tasks of docket %r", cleared, self.name)
        for each in signals.subscribers:
            with suppress_errors:
                each.cancelled(self.name, cleared)
        return cleared

    # striking --------------------------------------------------------------------------------------------

    async def strike(
        self,
        function: TaskFunction | str | None = None,
        parameter: str | None = None,
        operator: Operator | LiteralOperator = "==",
        value: Hashable | None = None,
    ) -> None:
        """Forbid a task, or calls in which a parameter compares so with ``value``, of one task or of all (None).

        ``between`` takes ``(lower, upper)``, both included. In force, in every process, for whatever is added once
        this has returned (its disposition is STRUCK), and for what waits: a worker cancels it instead of running it.
        What runs goes on. A task need not be registered.
        Raises: UsageError (a ValueError) - an unknown operator, a comparison without a parameter, a ``between`` that
        is no ordered pair; TypeError - a value that cannot be hashed, compared so, or pickled.
        """
        words = (_named(function), parameter, operator, value)
        with signals.operation("docket.strike", lambda: self._strike_labels(*words)):
            await self.strike_list.strike(*words)

    async def restore(
        self,
        function: TaskFunction | str | None = None,
        parameter: str | None = None,
        operator: Operator | LiteralOperator = "==",
        value: Hashable | None = None,
    ) -> None:
        """Take back the strike that was made with the same words; others stay. Raises as `strike`."""
        words = (_named(function), parameter, operator, value)
        with signals.operation("docket.restore", lambda: self._strike_labels(*words)):
            await self.strike_list.restore(*words)

    def _strike_labels(
        self, function: str | None, parameter: str | None, operator: str, value: Hashable
    ) -> Mapping[str, str]:
        # What is no operator is refused inside of the operation.
        return {**self.labels(), **Strike(function, parameter, cast("Operator", operator), value).labels()}

    async def strikes(self) -> list[Strike]:
        """The strikes in effect at this moment."""
        await self.strike_list.wait_for_strikes_loaded()
        return self.strike_list.strikes()

    async def wait_for_strikes_loaded(self) -> None:
        """Read the strikes; from then on ``strike_list`` shows them, also those that other programs make later.

        It takes a connection of its own until the docket is left. Adding and running look by themselves.
        """
        await self.strike_list.wait_for_strikes_loaded()

    # reading ---------------------------------------------------------------------------------------------

    async def get_execution(self, key: str) -> Execution[Any] | None:
        """The execution under ``key`` as it is recorded, or None.

        Of one that is retried: which attempt is next, or runs (``attempt``), when (``when``), and what the one before
        raised (``last_error``). Of one that waits: whether it is paused (``is_paused``), and for which concurrency
        limit (``waits_for``) or whose turn (``waits_for_turn``) it waits. Of one that runs: whether it
        was asked to stop (``cancel_requested``), and whether its worker is gone (``worker_is_gone``).
        """
        key = check_key(key)
        store = self.store
        record, progress = await store.records.read(key)
        if record is None or record.function is None or record.args is None or record.kwargs is None:
            return None
        execution = Execution.to_show(
            self,
            Message(
                key=key,
                when=record.when or clock.now(),
                function=record.function,
                args=record.args,
                kwargs=record.kwargs,
                generation=record.generation,
            ),
        )
        execution.apply(record)
        execution.attempt = record.attempt
        execution.progress.apply(progress)
        if record.has_successor and (following := await store.records.successor(key)) is not None:
            execution.successor = Execution.to_show(self, following)
        if execution.waits_for_turn is not None and record.row is not None:
            execution.waits_alike = await store.records.in_row(record.row)
        if record.state in WAITING and await store.pauses.is_paused(record.function):
            execution.is_paused = True
        if record.state is ExecutionState.SCHEDULED:
            ((attempt, level),) = await store.records.of_scheduled([(key, record)])
            execution.prioritize(level)
            if record.attempt == 1:  # pydocket records none
                execution.attempt = attempt
        elif record.state is ExecutionState.RUNNING and record.worker is not None and not record.by_hand:
            execution.worker_is_gone = not await store.liveness.lives(record.worker)
        return execution

    async def concurrency(self) -> list[LimitInUse]:
        """Every concurrency limit in use, sorted by name: the tasks that run and those that wait, in their order."""
        return await self.store.admissions.in_use()


def _named(function: TaskFunction | str | None) -> str | None:
    return name_of(function) if callable(function) else function
