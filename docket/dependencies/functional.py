"""Dependencies that a function supplies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeVar, cast, overload

from uncalled_for import DependencyFactory
from uncalled_for import Shared as _Shared
from uncalled_for.functional import _Depends  # pyright: ignore[reportPrivateUsage]

from .checks import check_supplier

__all__ = ["Depends", "Shared"]

R = TypeVar("R")


@overload
def Depends(dependency: Callable[..., AbstractAsyncContextManager[R]], **bindings: Any) -> R: ...
@overload
def Depends(dependency: Callable[..., AbstractContextManager[R]], **bindings: Any) -> R: ...
@overload
def Depends(dependency: Callable[..., Awaitable[R]], **bindings: Any) -> R: ...
@overload
def Depends(dependency: DependencyFactory[R], **bindings: Any) -> R: ...
def Depends(dependency: DependencyFactory[R], **bindings: Any) -> R:
    """The value of ``dependency``: a function or a context manager, ``async`` or not, called once per execution.

    ``bindings`` are arguments for it; one that is a dependency itself, such as `CallArgument`, is resolved first. Its
    other parameters are resolved like those of a task. A context manager is left when the task has ended.

    Raises: TypeError - ``dependency`` is a generator function that is not decorated as a context manager.
    """
    check_supplier("Depends", dependency)
    return cast("R", _Depends(dependency, **bindings))


@overload
def Shared(factory: Callable[..., AbstractAsyncContextManager[R]]) -> R: ...
@overload
def Shared(factory: Callable[..., AbstractContextManager[R]]) -> R: ...
@overload
def Shared(factory: Callable[..., Awaitable[R]]) -> R: ...
@overload
def Shared(factory: DependencyFactory[R]) -> R: ...
def Shared(factory: DependencyFactory[R]) -> R:
    """The value of ``factory``, as with `Depends`, but called once for each run of a worker and shared by its tasks.

    A context manager is left after the last task has ended.
    Raises: as `Depends`.
    """
    check_supplier("Shared", factory)
    return cast("R", _Shared(cast("Any", factory)))
