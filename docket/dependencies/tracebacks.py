"""Of a traceback, the part that is about the user's code."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import cast

__all__ = ["DependencyStack", "cut_to_the_users_code"]

#: Packages through which an error of a task, or of what it depends on, comes out.
_PLUMBING = frozenset(
    {"anyio", "asyncio", "concurrent", "contextlib", "docket", "outcome", "trio", "uncalled_for"}
)


#: How many errors of one chain, or group, are looked at: somebody may have nested thousands.
_MOST = 1000


def cut_to_the_users_code(error: BaseException) -> None:
    """Drop from an error's traceback the frames that it came out through, down to the first one of the user's.

    Their variables lead to the error again: such a circle would keep all locals of the task until the garbage
    collector finds it. The last frame stays in any case. The same of what caused it, and of what is in a group.
    """
    left, seen = [error], set[int]()
    while left and len(seen) < _MOST:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _of_the_user(one.__traceback__)
        left += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, BaseExceptionGroup):
            left += cast("tuple[BaseException, ...]", one.exceptions)


class DependencyStack(AsyncExitStack):
    """An exit stack that nothing circles in once it is left.

    The library's own keeps, where something raises as it closes, its frame by a variable of that frame.
    """

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await super().__aexit__(kind, error, trace)
        except BaseException as raised:
            if raised.__traceback__ is not None and raised.__traceback__.tb_next is not None:
                raised.__traceback__.tb_next.tb_frame.clear()  # that of the call above, which is over
            raise
        finally:
            del error, trace


def _of_the_user(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_next is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] not in _PLUMBING:
            break
        trace = trace.tb_next
    return trace
