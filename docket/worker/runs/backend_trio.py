"""Claims on trio: the nurseries that a task has open, generators that may hold one, and the nursery it is in."""

from __future__ import annotations

import contextlib
import inspect
import sys
import weakref
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import trio
from anyio.abc import TaskStatus
from trio.lowlevel import Task

from ...dependencies import current_execution
from ...notification import Notification
from ..roster import Running
from .claim_tasks import ClaimTasks, Run

__all__ = ["NurseryTasks"]


class NurseryTasks(ClaimTasks):
    """Claims as children of the work group. A body cannot raise ``trio.Cancelled`` by itself."""

    _nursery: trio.Nursery

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.scope = trio.CancelScope  # anyio's is one around it
        self._running: dict[object, Running] = {}
        self._closed, self._changed = False, Notification()
        self._generators = _Generators.hooked()

    def time(self) -> float:
        return trio.current_time()

    def is_over(self) -> bool:
        return not trio.lowlevel.in_trio_run()

    def start(self, run: Run, running: Running) -> None:
        place = running.begins_in = object()
        self._running[place] = running
        # Not by the group of anyio, which has a handle and a coroutine more per task: 4 us.
        self._nursery.start_soon(run, running, name=running.execution.function_name)

    def ended(self, place: object, error: BaseException | None = None) -> None:
        # This ends also what a handler or a storage has left open: it would be an error of the group around it.
        task: Any = trio.lowlevel.current_task()
        if task._child_nurseries:
            self.leave_scopes_open()
        around = task.parent_nursery._cancel_status
        if (
            task._cancel_status is not around
        ):  # as the exit of a scope around all would do, for 5 us of each claim
            task._activate_cancel_status(around)
        self._running.pop(place, None)
        if self._closed or self._generators.has_put_off:
            self._changed.notify()

    def close(self) -> None:
        self._closed = True
        self._changed.notify()

    async def attend(self, *, task_status: TaskStatus[None]) -> None:
        task_status.started()
        nursery = trio.lowlevel.current_task().parent_nursery
        assert nursery is not None
        self._nursery = nursery
        try:
            while self._running or not self._closed:
                await self._changed.wait()
                self._generators.close_those_of_ended_tasks()
        finally:
            self._generators.unhook()

    def detach(self, endless: Sequence[Running]) -> None:
        self._running = {this: one for this, one in self._running.items() if one not in endless}
        self._changed.notify()
        executions = {id(running.execution): running for running in endless}
        for task in self._nursery.child_tasks:
            running = executions.get(id(task.context.get(current_execution)))
            if running is not None:
                _move_out(task, running)

    def leave_scopes_open(self) -> Sequence[str]:
        # With a nursery in this list, the end of the task would be an error of the group around all claims.
        nurseries = trio.lowlevel.current_task()._child_nurseries  # pyright: ignore[reportPrivateUsage]
        left = [task.name for nursery in nurseries for task in nursery.child_tasks]
        for nursery in nurseries:
            nursery.cancel_scope.cancel()
            # Nothing can leave it any more: code that tries (a generator that is closed late) must not wait in it.
            nursery._closed = True  # pyright: ignore[reportPrivateUsage]
        nurseries.clear()
        return left


def _move_out(task: Any, running: Running) -> None:
    """Move a task from the nursery of the claims to that of the tasks that a run of trio ends with.

    As ``nursery.start()`` moves one that has started; there is no public way to do so later. Its cancellation is
    undone, since it would be delivered again at each checkpoint. The run of trio waits for the task all the same.
    """
    root: Any = trio.lowlevel.current_root_task()
    with contextlib.suppress(
        AttributeError, IndexError
    ):  # another version of trio: then the worker waits, too
        old: Any = task.parent_nursery
        new: Any = root.child_nurseries[1]  # of the system's tasks
        top = task._cancel_status
        while top is not old._cancel_status and top.parent is not old._cancel_status:
            top = top.parent
        scope: Any = running.stopped_by
        if scope is not None:
            scope._cancel_called = False
        if top is old._cancel_status:
            task._activate_cancel_status(new._cancel_status)
        else:
            top.parent = new._cancel_status
        task._parent_nursery = new
        new._children.add(task)
        old._children.remove(task)
        old._check_nursery_closed()


class _Generators:
    """Closes async generators that were dropped, and may hold a nursery open, when their task has ended.

    trio closes them at once, in another task. Leaving a nursery there wakes the task that entered it, whatever that
    waits for, and waits for ever: the run of the loop then never ends, or it ends with an internal error.
    """

    def __init__(self) -> None:
        self.users = 0
        self._before = sys.get_asyncgen_hooks()
        #: By the id of the generator: the task that began with it, and how many nurseries that had open.
        self._begun: dict[int, tuple[weakref.ref[Task], int]] = {}
        self._room = 1000
        self._put_off: list[tuple[Task, AsyncGenerator[Any, Any]]] = []

    @classmethod
    def hooked(cls) -> _Generators:
        """The one of the running loop; each caller must `unhook` it."""
        found = getattr(sys.get_asyncgen_hooks().firstiter, "__self__", None)
        if not isinstance(found, cls):
            found = cls()
            sys.set_asyncgen_hooks(found.began, found.dropped)
        found.users += 1
        return found

    def unhook(self) -> None:
        self.users -= 1
        if not self.users and getattr(sys.get_asyncgen_hooks().firstiter, "__self__", None) is self:
            sys.set_asyncgen_hooks(*self._before)

    def began(self, generator: AsyncGenerator[Any, Any]) -> None:
        """The hook for a generator that is iterated for the first time."""
        try:
            task = trio.lowlevel.current_task()
        except RuntimeError:
            pass
        else:
            if len(self._begun) >= self._room:  # most of them have ended, which no hook reports
                self._begun = {
                    key: (of, depth) for key, (of, depth) in self._begun.items() if _lives(of()) is not None
                }
                self._room = 1000 + 2 * len(self._begun)
            self._begun[id(generator)] = weakref.ref(task), len(task.child_nurseries)
        if self._before.firstiter is not None:
            self._before.firstiter(generator)

    def dropped(self, generator: AsyncGenerator[Any, Any]) -> None:
        """The hook for a generator that is dropped before its end."""
        of, depth = self._begun.pop(id(generator), (None, 0))
        task = None if of is None else _lives(of())
        if task is not None and len(task.child_nurseries) > depth:
            self._put_off.append((task, generator))
        elif self._before.finalizer is not None:
            self._before.finalizer(generator)

    @property
    def has_put_off(self) -> bool:
        """Whether some wait for the end of their task."""
        return bool(self._put_off)

    def close_those_of_ended_tasks(self) -> None:
        put_off, self._put_off = self._put_off, []
        for task, generator in put_off:
            if _lives(task) is not None:
                self._put_off.append((task, generator))
            elif self._before.finalizer is not None:
                self._before.finalizer(generator)


def _lives(task: Task | None) -> Task | None:
    return None if task is None or inspect.getcoroutinestate(task.coro) == inspect.CORO_CLOSED else task
