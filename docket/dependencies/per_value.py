"""The base of what a task declares about each value of one of its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from uncalled_for import Dependency as _Dependency

from ..errors import UsageError
from ..text import error_text, readable
from .base import Dependency, copied
from .introspection import get_dependency_parameters
from .signatures import get_signature

__all__ = ["PerValue", "check_argument"]

T = TypeVar("T", covariant=True)

LONGEST_VALUE = 65_536
"""The most characters in the text of a value by which a rule counts."""


class PerValue(Dependency[T]):
    """What is about each value of an argument separately, if one is named or it stands in its annotation."""

    _bound: tuple[str, Any] | None = None

    def bind_to_parameter(self, name: str, value: Any) -> Self:
        """The same, applied to each value of a parameter separately."""
        bound = copied(self)
        bound._bound = (name, value)
        return bound

    def argument(self, execution: Any, name: str) -> Any:
        """The value of an argument in a call, or its default.

        Raises: UsageError (a ValueError) - there is no such argument.
        """
        return self._argument(execution.function, execution.args, execution.kwargs, name)

    def _argument(self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str) -> Any:
        signature = get_signature(function)
        given = signature.bind_partial(*args, **kwargs).arguments
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

    def check(self, function: Any) -> None:
        """Refuse what can never work for this function. Raises: UsageError (a ValueError)."""


def check_argument(kind: str, function: Any, name: str) -> None:
    """Refuse the name of an argument that calls of this function do not have. Raises: UsageError (a ValueError)."""
    parameters, supplied = get_signature(function).parameters, get_dependency_parameters(function)
    available = [each for each in parameters if each not in supplied]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if name not in available and not takes_any:
        raise UsageError(f"{kind} argument {name!r} not found in task arguments. Available: {available}")
