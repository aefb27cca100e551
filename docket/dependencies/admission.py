"""Admission: the base class of the rules that decide before a task begins, and the exception that refuses a run."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from uncalled_for import Dependency as _Dependency

from ..errors import UsageError
from ..moments import check_duration
from ..rules import AdmissionRule
from .introspection import get_annotation_dependencies, get_dependency_parameters
from .per_value import PerValue

__all__ = [
    "ADMISSION_BLOCKED_RETRY_DELAY",
    "Admission",
    "AdmissionBlocked",
    "admission_dependencies",
    "check_admission",
    "declared_anywhere",
]

T = TypeVar("T", covariant=True)
D = TypeVar("D")

ADMISSION_BLOCKED_RETRY_DELAY = timedelta(milliseconds=100)
"""The pause before a run that its own dependency refused is tried again, unless the exception has another one."""


class AdmissionBlocked(Exception):
    """Raise it in the ``__aenter__`` of a dependency of your own to keep a task from running now.

    The run is no failure and its attempt does not count. It is tried again after ``retry_delay`` (None: 100 ms); with
    ``reschedule=False`` it is dropped for good: its state becomes cancelled. With ``handled=True`` nothing is written:
    the code that raises it has to settle the run, otherwise the delivery stays pending and is redelivered when its
    lease runs out.

    Raises: TypeError - ``retry_delay`` is no timedelta; UsageError (a ValueError) - it is over a hundred years.
    """

    def __init__(
        self,
        execution: Any,
        reason: str = "admission control",
        *,
        handled: bool = False,
        reschedule: bool = True,
        retry_delay: timedelta | None = None,
    ) -> None:
        if retry_delay is not None:
            if isinstance(retry_delay, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
                retry_delay = max(
                    retry_delay, timedelta(0)
                )  # it may be the rest of a time that is over by now
            check_duration("retry_delay", retry_delay)
        self.execution, self.reason = execution, reason
        self.handled, self.reschedule, self.retry_delay = handled, reschedule, retry_delay
        super().__init__(f"Task {execution.key} blocked by {reason}")


class Admission(PerValue[T], abc.ABC):
    """A rule that the worker checks before it resolves any dependency; entering it does nothing."""

    scope: str | None = None

    def _counted_by(self, execution: Any) -> tuple[str, str | None]:
        """What the rule counts by: the name of an argument and the text of its value; or the task's name, and None.

        Raises: UsageError (a ValueError) - the value has no text, or one that is too long for a key.
        """
        return (execution.function_name, None) if self._bound is None else self._spelled(*self._bound)

    async def __aenter__(self) -> Any:
        if self._bound is not None:
            self._spelled(*self._bound)  # raises for a bad value, which the gate leaves to the call
        return self

    @abc.abstractmethod
    def rule(self, execution: Any) -> AdmissionRule:
        """The rule for one execution.

        Raises: UsageError (a ValueError) - the call lacks the rule's argument, or its value cannot be counted by.
        """


def admission_dependencies(
    function: Any, also: Mapping[str, _Dependency[Any]]
) -> list[tuple[str | None, Admission[Any]]]:
    """The rules for calls of ``function``, each with the parameter in whose metadata it stands.

    The rules of its dependencies (`Depends`) count as its own, and so do ``also``, a worker's.
    """
    found: list[tuple[str | None, Admission[Any]]] = [
        (None, rule) for rule in also.values() if isinstance(rule, Admission)
    ]
    return found + declared_anywhere(function, Admission)


def declared_anywhere(function: Any, kind: type[D]) -> list[tuple[str | None, D]]:
    """The dependencies of a kind that a function declares, or what supplies its parameters: each with the parameter in
    whose metadata it stands."""
    found: list[tuple[str | None, D]] = [(None, each) for each in _declared(function, kind, set())]
    for name, dependencies in get_annotation_dependencies(function).items():
        found += ((name, each) for each in dependencies if isinstance(each, kind))
    return found


def _declared(function: Any, kind: type[D], seen: set[Any]) -> Iterator[D]:
    for dependency in get_dependency_parameters(function).values():
        factory = getattr(dependency, "factory", None)
        if isinstance(dependency, kind):
            yield dependency
        elif factory is not None and factory not in seen:
            seen.add(factory)
            yield from _declared(factory, kind, seen)


def check_admission(function: Any) -> None:
    """Refuse rules and shares that can never work for this function.

    Raises: UsageError (a ValueError) - a rule names an argument that the function does not have, or whose value is not
    known before its dependencies are resolved.
    """
    supplied = get_dependency_parameters(function)
    each: list[tuple[str | None, PerValue[Any]]] = declared_anywhere(function, PerValue)
    for name, rule in each:
        if name is not None and name in supplied:
            raise UsageError(
                f"{type(rule).__name__} is decided before dependencies are resolved, so it cannot be about {name!r}, "
                "which a dependency supplies; put it on an argument of the call"
            )
        rule.check(function)
