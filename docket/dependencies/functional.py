"""What a function supplies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeVar, cast, overload

from uncalled_for import DependencyFactory
from uncalled_for.functional import _Depends  # pyright: ignore[reportPrivateUsage]

__all__ = ["Depends"]

R = TypeVar("R")


@overload
def Depends(dependency: Callable[..., AbstractAsyncContextManager[R]], **bindings: Any) -> R: ...
@overload
def Depends(dependency: Callable[..., AbstractContextManager[R]], **bindings: Any) -> R: ...
@overload
def Depends(dependency: Callable[..., Awaitable[R]], **bindings: Any) -> R: ...
@overload
def Depends(dependency: Callable[..., R], **bindings: Any) -> R: ...
def Depends(dependency: DependencyFactory[R], **bindings: Any) -> R:
    """What ``dependency`` supplies: a function or a context manager, ``async`` or not, called once per execution.

    ``bindings`` are arguments for it; one that is a dependency itself, `CallArgument` say, is resolved first. Its
    other parameters are resolved as a task's are. A context manager is left when the task has ended.
    """
    return cast("R", _Depends(dependency, **bindings))
