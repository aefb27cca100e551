"""Admission: the base class of the rules that decide before a task begins, and the exception that refuses a run."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Self, TypeVar

from uncalled_for import Dependency as _Dependency

from ..errors import UsageError
from ..moments import check_duration
from ..rules import AdmissionRule
from ..text import error_text, readable
from .base import Dependency, copied
from .introspection import get_annotation_dependencies, get_dependency_parameters
from .signatures import get_signature

__all__ = [
    "ADMISSION_BLOCKED_RETRY_DELAY",
    "Admission",
    "AdmissionBlocked",
    "admission_dependencies",
    "check_admission",
]

T = TypeVar("T", covariant=True)

ADMISSION_BLOCKED_RETRY_DELAY = timedelta(milliseconds=100)
"""The pause before a run that its own dependency refused is tried again, unless the exception has another one."""

LONGEST_VALUE = 65_536
"""The most characters in the text of a value by which a rule counts."""


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


class Admission(Dependency[T], abc.ABC):
    """A rule that the worker checks before it resolves any dependency; entering it does nothing."""

    scope: str | None = None
    _bound: tuple[str, Any] | None = None
    _task: str | None = None

    def bind_to_parameter(self, name: str, value: Any) -> Self:
        """The same rule, applied to each value of a parameter separately."""
        bound = copied(self)
        bound._bound = (name, value)
        return bound

    def argument(self, execution: Any, name: str) -> Any:
        """The value of an argument in a call, or its default.

        Raises: UsageError (a ValueError) - there is no such argument.
        """
        signature = get_signature(execution.function)
        given = signature.bind_partial(*execution.args, **execution.kwargs).arguments
        if name in given:
            return given[name]
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD and name in given.get(parameter.name, {}):
                return given[parameter.name][name]
        parameter = signature.parameters.get(name)
        if (
            parameter is None
            or parameter.default is parameter.empty
            or isinstance(parameter.default, _Dependency)
        ):
            raise UsageError(
                f"{type(self).__name__} argument {name!r} not found in task arguments. Available: {[*given]}"
            )
        return parameter.default

    def _counted_by(self, execution: Any) -> tuple[str, str | None]:
        """What the rule counts by: the name of an argument and the text of its value; or the task's name, and None.

        Raises: UsageError (a ValueError) - the value has no text, or one that is too long for a key.
        """
        return (execution.function_name, None) if self._bound is None else self._spelled(*self._bound)

    def _spelled(self, name: str, value: Any) -> tuple[str, str]:
        kind = type(self).__name__
        try:
            text = value if type(value) is str else str.__str__(format(value))  # as pydocket spells it
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the value's own code may raise anything (I9)
            raise UsageError(
                f"{kind} counts per value of {name!r}, which has no text: asked for it, it raised {error_text(error)}"
            ) from error
        if len(text) > LONGEST_VALUE:
            raise UsageError(
                f"{kind} counts per value of {name!r}, whose text is {len(text)} characters long; at most "
                f"{LONGEST_VALUE} can be a part of a key"
            )
        return name, text if text.isascii() else readable(text)

    async def __aenter__(self) -> Any:
        if self._bound is not None:
            self._spelled(*self._bound)  # raises for a bad value, which the gate leaves to the call
        return self

    @abc.abstractmethod
    def rule(self, execution: Any) -> AdmissionRule:
        """The rule for one execution.

        Raises: UsageError (a ValueError) - the call lacks the rule's argument, or its value cannot be counted by.
        """

    def check(self, function: Any) -> None:
        """Refuse a rule that can never work for this function. Raises: UsageError (a ValueError)."""


def admission_dependencies(
    function: Any, also: Mapping[str, _Dependency[Any]]
) -> list[tuple[str | None, Admission[Any]]]:
    """The rules for calls of ``function``, each with the parameter in whose metadata it stands.

    The rules of its dependencies (`Depends`) count as its own, and so do ``also``, a worker's.
    """
    found: list[tuple[str | None, Admission[Any]]] = [
        (None, rule) for rule in also.values() if isinstance(rule, Admission)
    ]
    found += ((None, rule) for rule in _declared(function, set()))
    for name, dependencies in get_annotation_dependencies(function).items():
        found += ((name, rule) for rule in dependencies if isinstance(rule, Admission))
    return found


def _declared(function: Any, seen: set[Any]) -> Iterator[Admission[Any]]:
    for dependency in get_dependency_parameters(function).values():
        factory = getattr(dependency, "factory", None)
        if isinstance(dependency, Admission):
            yield dependency
        elif factory is not None and factory not in seen:
            seen.add(factory)
            yield from _declared(factory, seen)


def check_admission(function: Any) -> None:
    """Refuse rules that can never work for this function.

    Raises: UsageError (a ValueError) - a rule names an argument that the function does not have, or whose value is not
    known before its dependencies are resolved.
    """
    supplied = get_dependency_parameters(function)
    for name, rule in admission_dependencies(function, {}):
        if name is not None and name in supplied:
            raise UsageError(
                f"{type(rule).__name__} is decided before dependencies are resolved, so it cannot be about {name!r}, "
                "which a dependency supplies; put it on an argument of the call"
            )
        rule.check(function)
