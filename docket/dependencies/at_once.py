"""Opens the dependencies of a call where none of them waits for anything: without a scope, a stack, or the engine.

That holds for those of docket, and for `Depends` on a plain function whose value is neither to be entered nor awaited.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Self, cast

from uncalled_for import Dependency as _Dependency
from uncalled_for import FailedDependency
from uncalled_for.functional import _Depends  # pyright: ignore[reportPrivateUsage]

from .checks import is_generator_function
from .concurrency import ConcurrencyLimit
from .contextual import FromContext
from .cooldown import Cooldown
from .cron import Cron
from .debounce import Debounce
from .introspection import declared, get_annotation_dependencies, get_dependency_parameters
from .perpetual import Perpetual
from .progress import Progress
from .ratelimit import RateLimit
from .resolution import Resolved, bound_beside
from .retry import ExponentialRetry, Retry
from .signatures import arguments_of, simple_parameters
from .timeout import Timeout
from .tracebacks import cut_to_the_users_code

__all__ = ["AtOnce"]

#: Subclasses may do anything.
_KINDS: frozenset[type[Any]] = frozenset(
    {
        ConcurrencyLimit, Cooldown, Cron, Debounce, ExponentialRetry, FromContext, Perpetual, Progress, RateLimit,
        Retry, Timeout,
    }
)  # fmt: skip

#: What most plain functions supply: nothing to enter, nothing to await.
_SETTLED: frozenset[type[Any]] = frozenset(
    {bool, bytes, dict, float, frozenset, int, list, set, str, tuple, type(None)}
)
_UNSETTLED = AbstractAsyncContextManager, AbstractContextManager, Awaitable


class AtOnce:
    """How the dependencies of a function open at once, found out once. It does not refer to the function."""

    __slots__ = ("_ahead", "_beside", "_by_name", "_suppliers")

    def __init__(
        self,
        suppliers: Sequence[tuple[str, _Dependency[Any], Callable[[], Any] | None]],
        beside: Mapping[str, list[_Dependency[Any]]],
        ahead: tuple[str, ...],
        by_name: frozenset[str],
    ) -> None:
        self._suppliers, self._beside = suppliers, beside
        #: The parameters before the first one that a dependency supplies, and all that none supplies.
        self._ahead, self._by_name = ahead, by_name

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Self | None:
        """How those of ``function`` do; None where one of them may wait for something, or has something to close."""
        by_position, by_name = simple_parameters(function)
        supplied = get_dependency_parameters(function)
        suppliers = [(name, each, _plain_supplier(each)) for name, each in supplied.items()]
        factories = [factory for _, _, factory in suppliers if factory is not None]
        if (
            not by_name
            or any(factory is None and type(each) not in _KINDS for _, each, factory in suppliers)
            or any(
                type(each) not in _KINDS for _, each in declared(function) if each not in supplied.values()
            )
            or any(
                factory in factories[:at] for at, factory in enumerate(factories)
            )  # is called once for both
        ):
            return None
        ahead = tuple(_until(by_position, supplied))
        return cls(suppliers, get_annotation_dependencies(function), ahead, by_name - supplied.keys())

    def takes(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether the function can be called so, and these are no arguments in place of dependencies."""
        if len(args) > len(self._ahead):
            return False
        return not kwargs or (
            self._by_name.issuperset(kwargs) and kwargs.keys().isdisjoint(self._ahead[: len(args)])
        )

    async def open(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Resolved:
        """Open them for a call that it `takes`.

        Where ``left`` is set, a value is to be entered or awaited after all, and `resolve` goes on from there.
        """
        found = Resolved()
        supplied = found.supplied
        for name, dependency, factory in self._suppliers:
            try:
                if factory is None:
                    supplied[name] = await dependency.__aenter__()
                    continue
                value = factory()
                if type(value) not in _SETTLED and isinstance(value, _UNSETTLED):
                    found.left = name, value
                    return found
                supplied[name] = value
            except Exception as error:  # noqa: BLE001 - foreign code; it fails the task
                cut_to_the_users_code(error)
                found.failed.append(FailedDependency(name, error))
        if self._beside:
            given = arguments_of(function, args, kwargs)
            for name, dependency in bound_beside(function, given, found, self._beside):
                try:
                    found.others.append(await dependency.__aenter__())
                except Exception as error:  # noqa: BLE001 - foreign code; it fails the task
                    cut_to_the_users_code(error)
                    found.failed.append(FailedDependency(name, error))
        found.note_acting()
        return found


def _plain_supplier(dependency: _Dependency[Any]) -> Callable[[], Any] | None:
    """The function that supplies a `Depends`, if it is called without arguments, and perhaps makes nothing to await."""
    if type(dependency) is not _Depends:
        return None
    depends = cast("_Depends[Any]", dependency)
    factory: Any = depends.factory
    if (
        depends.bindings
        or get_dependency_parameters(factory)
        or inspect.iscoroutinefunction(factory)
        or is_generator_function(getattr(factory, "__wrapped__", None))
    ):
        return None
    return factory


def _until(names: Sequence[str], supplied: Mapping[str, Any]) -> Iterator[str]:
    for name in names:
        if name in supplied:
            return
        yield name
