"""Cuts tracebacks down to the user's code, and frees the frames that they keep."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from types import FrameType, TracebackType
from typing import Any, TypeVar, cast

from uncalled_for import Dependency

from ..rules import is_a
from .locks import refuse_thread_lock

__all__ = ["DependencyStack", "clear_calls", "cut_to_the_users_code"]

T = TypeVar("T")

#: Packages through which an error of a task, or of one of its dependencies, comes out.
_PLUMBING = frozenset(
    {"anyio", "asyncio", "concurrent", "contextlib", "docket", "outcome", "trio", "uncalled_for"}
)


#: The true content of an error: a class of the user may return anything by these names, or raise (I9).
_trace: Any = cast("Any", BaseException.__traceback__).__get__
_set_trace: Any = cast("Any", BaseException.__traceback__).__set__
_cause: Any = cast("Any", BaseException.__cause__).__get__
_context: Any = cast("Any", BaseException.__context__).__get__
_EXCEPTIONS: Any = BaseExceptionGroup.exceptions

#: How dependencies close that have nothing to close.
_NOTHING_TO_CLOSE: Any = cast("Any", Dependency).__aexit__

#: The most errors of one chain or group that are looked at: there may be thousands.
_MOST = 1000


def cut_to_the_users_code(error: BaseException) -> None:
    """Drop from an error's traceback the frames of our own and of libraries, down to the first one of the user.

    Their variables lead to the error again: such a circle would keep all locals of the task until the garbage
    collector finds it. The last frame stays in any case. The same of what caused it, and of what is in a group.
    """
    for one in _chain((error,)):
        trace = _trace(one)
        cut = _of_the_user(trace)
        if cut is not trace:
            _set_trace(one, cut)


def clear_calls(errors: Sequence[BaseException]) -> None:
    """Clear the frames that these errors came out through of calls that the caller has made, and that are over.

    A variable of such a frame may lead to the error again: a circle that keeps all locals of the task until the
    garbage collector finds it. From Python 3.12 on a frame that outlives its call also keeps those that it was called
    from. Frames of the user's code are left as they are; so are those that it has not called, which may go on.
    """
    if not errors:
        return
    here = inspect.currentframe()
    over: dict[FrameType | None, bool] = {here and here.f_back: True}
    del here  # a circle
    for error in _chain(errors):
        trace = _trace(error)
        while trace is not None:
            calls: list[FrameType] = []
            frame = cast("FrameType | None", trace.tb_frame)
            while frame is not None and frame not in over:
                calls.append(frame)
                frame = frame.f_back
            # Those that do not lead to the caller may be another task's, or thread's, which goes on.
            reached = over.get(frame, False)
            for call in calls:
                over[call] = reached
                if reached and _is_plumbing(call):
                    call.clear()
            trace = trace.tb_next


def _chain(errors: Sequence[BaseException]) -> Iterable[BaseException]:
    """The errors, their causes, and the errors in their groups."""
    if len(errors) == 1:  # and most are alone
        (one,) = errors
        if _cause(one) is None and _context(one) is None and not is_a(one, BaseExceptionGroup):
            return errors
    return _linked(errors)


def _linked(errors: Sequence[BaseException]) -> Iterator[BaseException]:
    left = list(errors)
    seen: set[int] = set()
    while left and len(seen) < _MOST:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        for other in (_cause(one), _context(one)):
            if other is not None:
                left.append(other)
        if is_a(one, BaseExceptionGroup):
            left += cast("tuple[BaseException, ...]", _EXCEPTIONS.__get__(one))


class DependencyStack(AsyncExitStack):
    """An exit stack that leaves no reference cycle behind, and takes no lock that blocks the event loop.

    In the standard one, after an error of a closing dependency, a frame is kept alive by a variable of its own.
    """

    def enter_context(self, cm: AbstractContextManager[T, Any]) -> T:
        refuse_thread_lock(cm)
        return super().enter_context(cm)

    async def enter_async_context(self, cm: AbstractAsyncContextManager[T, Any]) -> T:
        kind = type(cm)
        if getattr(kind, "__aexit__", None) is _NOTHING_TO_CLOSE:  # as most dependencies
            return await kind.__aenter__(cm)
        return await super().enter_async_context(cm)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            suppressed = await super().__aexit__(kind, error, trace)
            if suppressed and error is not None:
                clear_calls([error])
            return suppressed
        except BaseException as raised:
            below = _trace(raised).tb_next
            if below is not None:
                below.tb_frame.clear()  # the frame of the call above, which is over
            clear_calls([raised])
            raise
        finally:
            del error, trace


def _of_the_user(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_next is not None and _is_plumbing(trace.tb_frame):
        trace = trace.tb_next
    return trace


def _is_plumbing(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _PLUMBING
