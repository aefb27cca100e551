"""Claims on asyncio: tasks of the loop, who has cancelled them, and how their SystemExit would end the loop.

Why not anyio alone: a child of its task group that is cancelled by ``Task.cancel()``, or in which a scope is left open,
takes the group along. Claims run code of others, so each has a task of its own. That is cheaper, too: 23 us instead
of 31 per task for start and end, measured on CPython 3.11.
"""

from __future__ import annotations

import asyncio
import contextlib
import dis
import sys
from collections.abc import Callable, Coroutine, Generator, Sequence
from types import TracebackType
from typing import Any

import anyio
from anyio import get_running_tasks
from anyio.abc import TaskGroup, TaskStatus

from ...dependencies import current_execution, is_hosting
from ...errors import TaskExited
from ...rules import leaves
from ...text import error_text
from ..roster import BodyScope, Running
from .claim_tasks import ClaimTasks, Run

__all__ = ["LoopTasks"]

#: How many seconds pass at most before a task that continues after a cancellation is cancelled again.
INSISTENCE = 0.1

#: A claim that is new begins in the step that starts it: most end there, and never wait for the loop. One that is
#: continued has a turn of its own, or a program that cancels all tasks in each turn would use its tries up.
_AT_ONCE: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
_LATER: dict[str, Any] = {}

_RAISE = dis.opmap["RAISE_VARARGS"]


class LoopTasks(ClaimTasks):
    """Claims as tasks of the loop's own, made by its task factory.

    Only the nest cancels the task that attends to them, or a loop that shuts down and cancels all its tasks.
    """

    def __init__(self, work: TaskGroup, scopes: Sequence[anyio.CancelScope]) -> None:
        super().__init__(work, scopes)
        self._loop = asyncio.get_running_loop()
        self._host: asyncio.Task[Any] | None = None
        self._count = 0
        self._tasks: dict[object, tuple[asyncio.Task[None], Running]] = {}
        self._unbegun: list[tuple[int, Running]] = []
        self._changed = asyncio.Event()
        self._closed = self._cuts_off = False
        self._error: BaseException | None = None

    def time(self) -> float:
        return self._loop.time()

    def is_over(self) -> bool:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return True
        return False

    def start(self, run: Run, running: Running) -> None:
        self._count = place = running.begins_in = self._count + 1
        if self._cuts_off:
            return  # nobody attends to it any more; as all that has not begun, it is settled in `settle_cut_off`
        name, factory = running.execution.function_name, self._loop.get_task_factory()
        try:
            if isinstance(factory, _TaskFactory) and factory.before is None:
                # As the loop does without a factory.
                at_once = _AT_ONCE if running.is_new else _LATER
                task = asyncio.Task(run(running), loop=self._loop, name=name, **at_once)
            else:
                task = self._loop.create_task(run(running), name=name)
        except KeyboardInterrupt as error:
            # Of an eager one: it is the loop's, not that of those that begin with it, nor ours.
            self._error = None
            self._loop.call_soon(_raise, error)
            return
        if running.begins_in == place:
            if not self._unbegun:  # after those that start together with it
                self._loop.call_soon(self._loop.call_soon, self._have_begun, run)
            self._unbegun.append((place, running))
        elif task.done():  # an eager one
            _retrieve(task)
            return
        self._tasks[place] = task, running

    def _have_begun(self, run: Run) -> None:
        """See that tasks have begun: the loop calls what it is given in that order, so they have had their turn.

        One that was cancelled before its first step has not, and nothing of the firewall has run: code of others
        cancels all tasks of the loop. A callback at the end of each task would tell, too, and cost more.
        """
        unbegun, self._unbegun = self._unbegun, []
        for place, running in unbegun:
            if running.begins_in != place or place not in self._tasks:
                continue
            if not self._tasks[place][0].done():  # a loop with another order
                if not self._unbegun:
                    self._loop.call_soon(self._have_begun, run)
                self._unbegun.append((place, running))
                continue
            self.ended(place)
            if not self.cuts_off():
                self.start(run, running)

    def ended(self, place: object, error: BaseException | None = None) -> None:
        ended = self._tasks.pop(place, None)
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self._error = self._error or error
            if ended is not None:
                ended[0].add_done_callback(_retrieve)  # `attend` raises it
        if self._error is not None or (self._closed and not self._tasks):
            self._changed.set()

    def close(self) -> None:
        self._closed = True
        self._changed.set()

    async def attend(self, *, task_status: TaskStatus[None]) -> None:
        task_status.started()
        self._host = asyncio.current_task()
        with _exits_contained(self._loop):
            try:
                while self._error is None and (self._tasks or not self._closed):
                    self._changed.clear()
                    await self._changed.wait()
                if self._error is not None:
                    raise self._error
            finally:
                self._cuts_off = True
                with anyio.CancelScope(shield=True):
                    await self._cut_off()

    async def _cut_off(self) -> None:
        """Cancel what is left until it ends: as in a scope, cancellation is a state, not an event."""
        pause = 0.0
        while self._tasks:
            for task, _ in self._tasks.values():
                task.cancel()
            await asyncio.wait([task for task, _ in self._tasks.values()], timeout=pause)
            # One that has not begun never takes itself off.
            self._tasks = {place: one for place, one in self._tasks.items() if not one[0].done()}
            pause = min(INSISTENCE, 2 * pause + 0.001)

    def detach(self, endless: Sequence[Running]) -> None:
        for place, (task, running) in list(self._tasks.items()):
            if running in endless:
                del self._tasks[place]
                task.add_done_callback(_retrieve)
                _disown(task, running.stopped_by)
        self._changed.set()

    def cuts_off(self) -> bool:
        if self._cuts_off or super().cuts_off():
            return True
        return self._host is not None and (self._host.done() or self._host.cancelling() > 0)

    def is_cancellation(self, error: BaseException) -> bool:
        if not super().is_cancellation(error):
            return False
        task = asyncio.current_task()
        # Else something was cancelled that it awaited, which is an error like any other.
        return (task is not None and task.cancelling() > 0) or any(map(_raised_by_hand, leaves(error)))

    def is_cancelled(self) -> bool:
        task = asyncio.current_task(self._loop)
        return task is not None and task.cancelling() > 0 and not self.cuts_off()

    async def absorb(self) -> None:
        task = asyncio.current_task()
        while task is not None and task.cancelling():
            task.uncancel()
        with contextlib.suppress(asyncio.CancelledError):  # one that was asked for and has not come yet
            await asyncio.sleep(0)

    def leave_scopes_open(self) -> Sequence[str]:
        mine = id(asyncio.current_task())
        children = {each.id: each.name for each in get_running_tasks() if each.parent_id == mine}
        for task in asyncio.all_tasks():
            if id(task) in children:
                # Not before it has begun: its coroutine would be one never awaited.
                self._loop.call_soon(task.cancel)
        return [str(name) for name in children.values()]


def _disown(task: asyncio.Task[None], scope: BodyScope | None) -> None:
    """Keep asyncio and anyio from what they do to a task that does not end. There is no public way.

    anyio cancels it again in each turn of the loop, which keeps the loop busy with nothing else; ``asyncio.run`` waits
    for every task that it knows; and asyncio logs an error where a pending task is collected.
    """
    handle: asyncio.Handle | None = getattr(scope, "_cancel_handle", None)
    if handle is not None:
        handle.cancel()
    with contextlib.suppress(AttributeError):
        asyncio.tasks._unregister_task(task)
        task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue]


def _retrieve(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # asyncio logs one that nobody has retrieved


def _raise(error: BaseException) -> None:
    raise error


def _raised_by_hand(error: BaseException) -> bool:
    """Whether a ``raise`` statement of the body's made it, not the event loop."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code.co_code
    library = str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
    return code[trace.tb_lasti] == _RAISE and library not in ("asyncio", "anyio", "uvloop")


# SystemExit ------------------------------------------------------------------------------------------------


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine whose SystemExit is raised as `TaskExited`."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # what tools read of a coroutine: cr_frame, cr_await, ...

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()

    def send(self, value: Any) -> Any:
        try:
            return self._inner.send(value)
        except SystemExit as error:
            raise TaskExited(error_text(error)) from error

    def throw(self, typ: Any, val: BaseException | object = None, tb: TracebackType | None = None, /) -> Any:
        try:
            return self._inner.throw(typ) if val is None else self._inner.throw(typ, val, tb)
        except SystemExit as error:
            raise TaskExited(error_text(error)) from error

    def close(self) -> None:
        self._inner.close()


class _TaskFactory:
    """Makes the tasks of a loop with the factory that was there ``before``; those of bodies are `_Contained`.

    A SystemExit in any task of asyncio's leaves the loop itself, past all code that awaits the task: that would be the
    end of the worker and of the program around it.
    """

    def __init__(self, before: Callable[..., Any] | None) -> None:
        self.before, self.users = before, 0

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Future[Any]:
        foreign = current_execution.get(None) is not None or is_hosting.get()
        if foreign and isinstance(coro, Coroutine):
            coro = _Contained(coro)  # pyright: ignore[reportUnknownArgumentType]
        if self.before is not None:
            return self.before(loop, coro, **options)
        return asyncio.Task(coro, loop=loop, **options)


@contextlib.contextmanager
def _exits_contained(loop: asyncio.AbstractEventLoop) -> Generator[None]:
    """Have a `_TaskFactory` make a loop's tasks; not where all are eager, which anyio detects by the factory."""
    before: Any = loop.get_task_factory()
    eager = getattr(asyncio, "eager_task_factory", None)
    if eager is not None and getattr(before, "__code__", None) is eager.__code__:
        yield
        return
    factory = before if isinstance(before, _TaskFactory) else _TaskFactory(before)
    if factory is not before:
        loop.set_task_factory(factory)
    factory.users += 1
    try:
        yield
    finally:
        factory.users -= 1
        if not factory.users and loop.get_task_factory() is factory:
            loop.set_task_factory(factory.before)
