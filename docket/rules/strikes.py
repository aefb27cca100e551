"""The strikes in effect: the fold of their instructions, and the calls that it forbids. Pure.

A strike names a task, a parameter with a condition on its value, or both. Each is restored by naming the same again;
strikes of a whole task and of its parameters are independent of each other.
"""

from __future__ import annotations

import enum
import operator as comparing
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Literal, TypeAlias, cast

import attrs

from ..errors import UsageError
from ..text import check_encodable
from ..values import define, frozen

__all__ = [
    "Condition",
    "LiteralOperator",
    "MinimalStrike",
    "Operator",
    "ParameterStrikes",
    "StrikesInEffect",
    "TaskStrikes",
    "checked_condition",
]


class Operator(str, enum.Enum):  # noqa: UP042 - a StrEnum would print as its value, where users of pydocket see the name
    """How the value of a parameter compares with the value of a strike."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    GREATER_THAN = ">"
    GREATER_THAN_OR_EQUAL = ">="
    LESS_THAN = "<"
    LESS_THAN_OR_EQUAL = "<="
    BETWEEN = "between"
    """``(lower, upper)``, both included."""


LiteralOperator: TypeAlias = Literal["==", "!=", ">", ">=", "<", "<=", "between"]

MinimalStrike: TypeAlias = tuple[Operator, Hashable]
ParameterStrikes: TypeAlias = dict[str, set[MinimalStrike]]
TaskStrikes: TypeAlias = dict[str, ParameterStrikes]

#: Called with a strike that cannot be compared with a value, from within the ``except``.
Complain: TypeAlias = Callable[[Operator, object, object], None]


def _between(value: Any, bounds: Any) -> Any:
    lower, upper = bounds
    return lower <= value <= upper


_COMPARE: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQUAL: comparing.eq,
    Operator.NOT_EQUAL: comparing.ne,
    Operator.GREATER_THAN: comparing.gt,
    Operator.GREATER_THAN_OR_EQUAL: comparing.ge,
    Operator.LESS_THAN: comparing.lt,
    Operator.LESS_THAN_OR_EQUAL: comparing.le,
    Operator.BETWEEN: _between,
}


@frozen(eq=False)
class Condition:
    """The calls that a strike forbids: by task (None: all), parameter (None: the whole task) and comparison."""

    function: str | None
    parameter: str | None
    operator: Operator
    value: Any


def checked_condition(
    function: str | None, parameter: str | None, operator: Operator | str, value: Any
) -> Condition:
    """Make a condition of these words.

    Raises: UsageError (a ValueError) - an unknown operator, nothing named, a comparison without a parameter, a
    ``between`` that is no ordered pair, a name that UTF-8 cannot hold; TypeError - a name that is no string, a value
    that cannot be hashed or compared by the operator.
    """
    for name, given in (("function", function), ("parameter", parameter)):
        if given is not None and not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"the {name} of a strike is named by a str, not by {given!r}")
        if given:
            check_encodable(given, f"the {name} of a strike")
    try:
        found = Operator(operator)
    except ValueError:
        known = ", ".join(each.value for each in Operator)
        raise UsageError(f"{operator!r} is not a valid Operator; use one of {known}") from None
    if function is None and parameter is None:
        raise UsageError("a strike names a function, a parameter, or both")
    if parameter is None:
        if found is not Operator.EQUAL or value is not None:
            raise UsageError(
                f"{found.value} {value!r} has no parameter to be compared with: name it, or leave the comparison out "
                "to strike the whole task"
            )
    else:
        _check_value(parameter, found, value)
    return Condition(function, parameter, found, value)


def _check_value(parameter: str, operator: Operator, value: Any) -> None:
    try:
        hash(value)
    except TypeError as error:
        raise TypeError(
            f"a strike on {parameter!r} takes a hashable value (a tuple instead of a list), not {value!r}: {error}"
        ) from None
    if operator is Operator.BETWEEN:
        pair = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else ()
        if len(pair) != 2:
            raise UsageError(f"'between' takes a pair (lower, upper), not {value!r}")
        try:
            ordered = bool(pair[0] <= pair[1])
        except Exception as error:
            raise TypeError(f"'between' takes a pair that can be ordered, not {value!r}: {error}") from error
        if not ordered:
            raise UsageError(
                f"'between' takes (lower, upper); {value!r} is the wrong way round, and matches nothing"
            )
        return
    try:
        bool(_COMPARE[operator](value, value))
    except Exception as error:
        raise TypeError(
            f"a strike on {parameter!r} with {operator.value} takes a value that can be compared so, not {value!r}: "
            f"{error}"
        ) from error


@define(eq=False)
class StrikesInEffect:
    """The fold of instructions so far."""

    tasks: TaskStrikes = attrs.field(factory=dict[str, ParameterStrikes])
    """By task, then by parameter. A task that is struck as a whole has an entry, too, maybe an empty one."""
    parameters: ParameterStrikes = attrs.field(factory=dict[str, "set[MinimalStrike]"])
    """By parameter, for every task that has it."""
    _whole: set[str] = attrs.field(init=False, factory=set[str])

    def __bool__(self) -> bool:
        return bool(self.tasks or self.parameters)

    def conditions(self) -> list[Condition]:
        """All conditions: whole tasks first, then parameters of tasks, then parameters of every task."""
        return [
            *(
                Condition(function, None, Operator.EQUAL, None)
                for function in self.tasks
                if function in self._whole
            ),
            *(each for function, struck in self.tasks.items() for each in _conditions(function, struck)),
            *_conditions(None, self.parameters),
        ]

    def has(self, condition: Condition) -> bool:
        """Whether this very condition is struck.

        Raises: TypeError - the value cannot be hashed.
        """
        function, parameter = condition.function, condition.parameter
        if parameter is None:
            return function in self._whole
        struck = self.parameters if function is None else self.tasks.get(function, {})
        return (condition.operator, condition.value) in struck.get(parameter, ())

    def strike(self, condition: Condition) -> None:
        """Add a strike. One that names nothing has no effect.

        Raises: TypeError - the value cannot be hashed.
        """
        function, parameter = condition.function, condition.parameter
        strike = (condition.operator, condition.value)
        hash(strike)
        if parameter is not None:
            struck = self.parameters if function is None else self.tasks.setdefault(function, {})
            struck.setdefault(parameter, set()).add(strike)
        elif function is not None:
            self._whole.add(function)
            self.tasks.setdefault(function, {})

    def restore(self, condition: Condition) -> None:
        """Remove the strike of this condition. If there is none, nothing changes.

        Raises: TypeError - the value cannot be hashed.
        """
        function, parameter = condition.function, condition.parameter
        strike = (condition.operator, condition.value)
        hash(strike)
        if parameter is not None:
            struck = self.parameters if function is None else self.tasks.get(function, {})
            if parameter in struck:
                struck[parameter].discard(strike)
                if not struck[parameter]:
                    del struck[parameter]
        elif function is not None:
            self._whole.discard(function)
        if function is not None and function not in self._whole and not self.tasks.get(function, True):
            del self.tasks[function]

    def forbids(self, function: str, arguments: Callable[[], Mapping[str, Any]], complain: Complain) -> bool:
        """Whether a call is struck. ``arguments`` is called only if a value decides.

        A strike that cannot be compared with a value does not match it.
        """
        if function in self._whole:
            return True
        own = self.tasks.get(function)
        if not own and not self.parameters:
            return False
        given = arguments()
        return _matches(self.parameters, given, complain) or (bool(own) and _matches(own, given, complain))

    def forbids_values(self, values: Mapping[str, Any], complain: Complain) -> bool:
        """Whether values of parameters are struck for every task."""
        return _matches(self.parameters, values, complain)


def _conditions(function: str | None, struck: ParameterStrikes) -> Iterable[Condition]:
    for parameter, strikes in struck.items():
        for operator, value in strikes:
            yield Condition(function, parameter, operator, value)


def _matches(struck: ParameterStrikes, values: Mapping[str, Any], complain: Complain) -> bool:
    return any(
        _holds(operator, values[parameter], value, complain)
        for parameter, strikes in struck.items()
        if parameter in values
        for operator, value in strikes
    )


def _holds(operator: Operator, value: Any, struck: Any, complain: Complain) -> bool:
    try:
        return bool(_COMPARE[operator](value, struck))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a comparison runs the values' own code, which may raise anything
        complain(operator, struck, value)
        return False
