"""Tasks whose code is in other programs: a name and a signature to schedule them by."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from ..errors import UnknownTask
from ..text import checked_name
from .signatures import TaskFunction, check_function

__all__ = ["RemoteTask", "remote_task"]

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
S = TypeVar("S")

#: Of a task of which nothing but the name is known.
_ANYTHING = inspect.Signature(
    [
        inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
        inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
    ]
)


class RemoteTask(Generic[P, R]):
    """A task whose code is not in this program; `remote_task` makes it.

    It is scheduled like the function that it stands for, and is never entered on a docket: a worker of this process
    takes no such task, unless the function itself is registered there.
    """

    __name__: str

    def __init__(self, name: str, stub: TaskFunction | None = None) -> None:
        if stub is None:
            self.__signature__ = _ANYTHING
        else:
            functools.update_wrapper(self, stub)
        self.__name__ = checked_name(name, "the name of a task")

    def __repr__(self) -> str:
        return f"remote_task({self.__name__!r})"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Raise UnknownTask: there is no code to call."""
        raise UnknownTask(
            f"the code of task {self.__name__!r} is not here: this is a stub of it, which can be scheduled "
            "(docket.add(stub)(...)) and not called; a worker needs the function itself (docket.register(function))"
        )


class _Named(Protocol):
    """A decorator that gives the stub another name than that of its function."""

    @overload
    def __call__(self, stub: Callable[P, Awaitable[S]], /) -> RemoteTask[P, S]: ...
    @overload
    def __call__(self, stub: Callable[P, Awaitable[S]] | Callable[P, S], /) -> RemoteTask[P, S]: ...


@overload
def remote_task(task: Callable[P, Awaitable[S]], *, name: str | None = None) -> RemoteTask[P, S]: ...
@overload
def remote_task(
    task: Callable[P, Awaitable[S]] | Callable[P, S], *, name: str | None = None
) -> RemoteTask[P, S]: ...
@overload
def remote_task(task: str) -> TaskFunction: ...
@overload
def remote_task(*, name: str) -> _Named: ...
def remote_task(task: TaskFunction | str | None = None, *, name: str | None = None) -> Any:
    """A task for programs without its code: by a stub, a function with the same signature and no body, or by its name.

    ::

        @remote_task
        async def send_welcome(customer: int) -> None: ...


        await docket.add(send_welcome)(12345)
        await docket.add(remote_task("send_welcome"))(12345)

    The name of the task is that of the stub, or ``name``. Arguments are checked against the stub; of a task by its
    name all are accepted, and a strike on a parameter counts for those that are given by that name. (A worker checks
    both again.) Where the docket knows the task itself, it is that which counts.

    Raises: TypeError - neither a function nor a name; UsageError (a ValueError) - the name cannot be part of a key.
    """
    if isinstance(task, str):
        if name is not None:
            raise TypeError(f"remote_task takes one name, not {task!r} and {name!r}")
        return RemoteTask[..., Any](task)
    if task is None:
        if name is None:
            raise TypeError(
                "remote_task takes a stub, a function with the signature of the task, or its name"
            )
        return functools.partial(remote_task, name=name)
    if not callable(task):
        raise TypeError(f"remote_task takes a function or a name, not {task!r}")
    check_function(task, "the stub of a task")
    named: object = name if name is not None else getattr(task, "__name__", None)
    if not isinstance(named, str):
        raise TypeError(f"{task!r} has no __name__: give it one by remote_task(..., name='...')")
    return RemoteTask[..., Any](named, task)
