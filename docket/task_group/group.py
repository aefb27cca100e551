"""Structured concurrency across machines: a block that is left once the tasks that were added in it have ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeAlias, TypeVar, get_args, overload

import anyio
from anyio.lowlevel import current_token

from .. import clock
from ..client import TaskFunction, check_chunk_size
from ..dependencies import current_execution
from ..errors import UsageError
from ..execution import Execution
from ..moments import Expires, TimeToLive, check_duration, check_expires
from ..numbers import check_whole, spelled
from ..parenthood import parent_on
from ..rules import Level, check_level
from ..signals import NOT_TRACED, Operation, signals
from ..text import checked_name, class_name
from .children import ChildCall, LookUp, Wanted
from .leaving import Leaving
from .nest import Nest
from .openers import Opener, Program, RunningTask
from .results import Results
from .view import Stop, View

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["OnFailure", "TaskGroup"]

P = ParamSpec("P")
R = TypeVar("R")

OnFailure: TypeAlias = Literal["cancel", "wait"]


class TaskGroup:
    """Tasks that are added in one block, run anywhere, and have ended when the block is left.

    `Docket.task_group` makes it, and says what it does. One task of the event loop enters and leaves it, as with the
    task groups of anyio; others may add to it meanwhile.
    """

    def __init__(
        self,
        docket: Docket,
        look_up: LookUp,
        *,
        name: str | None,
        on_failure: OnFailure,
        max_running: int | None,
        patience: timedelta,
    ) -> None:
        if on_failure not in get_args(OnFailure):
            raise UsageError(f'on_failure takes "cancel" or "wait", not {spelled(on_failure)}')
        if max_running is not None:
            check_whole("max_running", max_running, takes=", or None")
        check_duration("patience", patience)
        self._name = None if name is None else checked_name(name, "the name of a task group")
        _check_on_a_loop(docket)
        self._docket, self._look_up = docket, look_up
        self._on_failure, self._most, self._patience = on_failure, max_running, patience
        self._is_entered = False
        self._nest: Nest | None = None
        self._scope: anyio.CancelScope | None = None
        self._span = ExitStack()

    def __repr__(self) -> str:
        nest = self._nest
        how = "not open" if nest is None else "left" if nest.is_left else nest.view.group.id
        return f"<TaskGroup of docket {self._docket.name!r}: {how}>"

    @property
    def id(self) -> str:
        """By which `Docket.children` knows it. Raises: RuntimeError - the block was not entered."""
        if self._nest is None:
            raise RuntimeError("this task group has no id yet: it gets one as its block is entered")
        return self._nest.view.group.id

    # the block -------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._is_entered:
            raise RuntimeError("a task group is entered once: make another one with docket.task_group()")
        store = self._docket.store
        parent = parent_on(store)
        self._is_entered = True
        opener: Opener = Program(store) if parent is None else RunningTask(store, parent, self._name)
        with ExitStack() as stack:
            # What its body adds is added in this span, to which the runs of the children are linked by that.
            span = stack.enter_context(signals.operation("docket.task_group", self._docket.labels))
            await self._open(opener, span)
            self._span = stack.pop_all()
        return self

    async def _open(self, opener: Opener, span: Operation) -> None:
        store = self._docket.store
        group = await opener.open()
        if span is not NOT_TRACED:
            span.note("docket.group", group.id)
            span.note("docket.key", group.parent)
        stops = self._on_failure == "cancel"
        view = View(store.groups, group, stops, self._stop_body, opener.most_outage)
        nest = Nest(self._docket, opener, view, self._most)
        try:
            await opener.listen(view)  # before it is looked at: what happens in between is told
            if self._most is not None or group.joined:
                await view.insist(view.watch)
            if group.joined:
                await view.insist(view.look)
        except BaseException as error:
            await self._leaving(nest).see_to_children(error)
            raise
        # From here on nothing waits: a cancellation would come out, and leave scopes open that nobody leaves.
        await opener.begin(view)
        self._nest, self._scope = nest, anyio.CancelScope()
        self._scope.__enter__()
        if view.stopped is not None:
            self._scope.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> (
        bool | None
    ):  # "bool" would have type checkers take all that a body binds for unbound behind the block
        assert self._nest is not None
        assert self._scope is not None
        scope, self._scope = self._scope, None
        try:
            if scope.__exit__(kind, error, trace):
                error = None  # the body was stopped by the group itself
        except BaseException as left:  # noqa: BLE001 - what is left of a group that had our cancellation in it
            error = left
        try:
            with self._span:
                await self._leaving(self._nest).leave(error)
        finally:
            del error, trace  # lead to this frame
        return True

    def _leaving(self, nest: Nest) -> Leaving:
        return Leaving(self._docket, nest, self._patience)

    def _stop_body(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    def cancel(self) -> None:
        """Stop the body where it awaits next, and cancel all children. The block is left without an error for that.

        Raises: RuntimeError - the block was not entered, or was left.
        """
        self._opened().view.stop(Stop.ASKED)

    def _opened(self) -> Nest:
        if self._nest is None:
            raise RuntimeError(
                "this task group is not open: enter it with `async with docket.task_group() as group:`"
            )
        self._nest.check_not_left()
        return self._nest

    # adding ----------------------------------------------------------------------------------------------

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
    ) -> Callable[..., Coroutine[Any, Any, Execution[Any]]]:
        """Add a child: ``await group.add(function)(arguments)``, as `Docket.add`.

        Without a ``key`` it gets one by its place among the calls of the group: a parent that runs anew, since its
        worker died or was drained, finds by that what it has added before, and nothing runs twice. So add in a fixed
        order, or give keys. It waits while ``max_running`` children are under way, for a server that is away, and for
        the end of a child of an earlier group that has the key and is being cancelled. Where neither the call nor the
        task has a ``priority``, it is that of the parent.

        Raises: as `Docket.add`; RuntimeError - the group was left, or its children are being cancelled; UsageError
        (a ValueError) - the task repeats itself for ever, it needs a slot that a parent keeps, the key is that of a
        task which is not this group's and waits or runs, or another task was added in this place before.
        """
        wanted = self._wanted(function, when, key, ttl, expires, priority)

        def scheduler(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Execution[Any]]:
            nest = self._opened()
            return self._add(nest, wanted, wanted.key or nest.next_key(), args, kwargs)

        return scheduler

    def _wanted(
        self,
        function: TaskFunction | str,
        when: datetime | None,
        key: str | None,
        ttl: TimeToLive,
        expires: Expires,
        priority: Level,
    ) -> Wanted:
        looked_up = self._look_up(function, when, key, ttl)
        level = check_level(priority)
        return Wanted(*looked_up, when, ttl, check_expires(expires, when), level)

    async def _add(
        self, nest: Nest, wanted: Wanted, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Execution[Any]:
        wanted.check(args, kwargs)
        return await nest.add(nest.child(wanted, key, args, kwargs))

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
    ) -> Callable[P, ChildCall[R]]: ...
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
    ) -> Callable[P, ChildCall[R]]: ...
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
    ) -> Callable[..., ChildCall[Any]]: ...
    def call(
        self,
        function: TaskFunction | str,
        when: datetime | None = None,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
    ) -> Callable[..., ChildCall[Any]]:
        """Prepare and check a call for `add_many`; nothing is sent. Raises as `add`, at once."""
        wanted = self._wanted(function, when, key, ttl, expires, priority)

        def prepared(*args: Any, **kwargs: Any) -> ChildCall[Any]:
            self._opened()
            wanted.check(args, kwargs)
            return ChildCall(
                wanted.function,
                args,
                kwargs,
                wanted.key or "",
                when or clock.now(),
                wanted.name,
                ttl,
                wanted.expires,
                wanted.priority,
                group=self,
            )

        return prepared

    async def add_many(
        self, calls: Iterable[ChildCall[R]], *, chunk_size: int | None = 1000
    ) -> list[Execution[R]]:
        """Add many children, ``chunk_size`` of them per round trip (None: all), in order; see `add`.

        With ``max_running`` as many as there is room for go together.
        Raises: as `add`, and what the server refuses of a child: those before it, and of its chunk, were added;
        ValueError - ``chunk_size`` below 1.
        """
        check_chunk_size(chunk_size)
        nest = self._opened()
        children: list[Execution[Any]] = []
        for call in calls:
            self._check_call(call)
            expires = check_expires(call.expires, None)
            level = check_level(call.priority)
            name = call.function_name or ""
            wanted = Wanted(name, call.function, call.key, call.when, call.ttl, expires, level)
            children.append(nest.child(wanted, call.key or nest.next_key(), call.args, call.kwargs))
        await nest.add_many(children, chunk_size)
        return children

    def _check_call(self, call: object) -> None:
        if not isinstance(call, ChildCall):
            raise TypeError(
                "add_many of a task group takes calls that group.call(function)(arguments) has prepared, not "
                f"{class_name(call)}"
            )
        if call.group is not self:
            raise UsageError(
                f"a call of task {call.function_name!r} was prepared by another task group: prepare it by group.call "
                "of the group that it is for"
            )

    # children --------------------------------------------------------------------------------------------

    def results(self) -> AsyncIterator[Execution[Any]]:
        """Iterate over the children as they end, until all have that were added: completed, failed or cancelled.

        Each is given once, also where several iterate, and not kept after that: what adds a child for each that it is
        given needs memory only for those under way.
        Raises: RuntimeError - the block was left; redis.exceptions.RedisError.
        """
        return Results(self._opened())


def _check_on_a_loop(docket: Docket) -> None:
    """Refuse a group where no event loop runs: nothing could enter it. Raises: UsageError (a ValueError)."""
    try:
        current_token()
    except RuntimeError:  # no event loop runs in this thread
        pass
    else:
        return
    task = current_execution.get(None)
    if task is not None:
        raise UsageError(
            f"task {task.function_name!r} is a plain function, which runs in a thread without an event loop, and a "
            "task group is entered on one: make it `async def` (and call what blocks by anyio.to_thread.run_sync), or "
            "call an async function that opens the group by anyio.from_thread.run"
        )
    raise UsageError(
        "no event loop runs in this thread, and a task group is entered on one: write an async function that opens a "
        f"group of docket {docket.name!r}, and call that by anyio.run, or by `run` of a synchronous docket (`sync`)"
    )
