"""Turns among the values of an argument: whoever has many tasks does not hold up those who have few."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias, cast

from ..errors import UsageError
from ..text import check_encodable, error_text, text_of
from .admission import declared_anywhere
from .given import given_among
from .introspection import get_dependency_parameters
from .per_function import PerFunction
from .per_value import PerValue, check_argument

__all__ = ["FairShare", "Weights", "share_of_call", "takes_turns"]

Weights: TypeAlias = Mapping[Any, float] | Callable[[Any], float] | None
"""How many turns a value has where one without a weight has one: by its value, or as a function of it says."""

#: A turn of the lightest is as long as a million of the heaviest: more than that no sum of turns could tell apart.
LEAST, MOST = 0.001, 1000.0


class FairShare(PerValue["FairShare"]):
    """Tasks that wait are begun in turns over the values of an argument, on all workers together.

    The argument is named (``FairShare("tenant")``), or is that in whose annotation it stands
    (``tenant: Annotated[str, FairShare()]``). Whoever has few tasks waits for one turn of the others at most, however
    many these have; the tasks of one value begin in their order. All tasks that name an argument alike take turns
    together, those of each level among themselves. ``weights`` says who has how many turns where others have one: a
    mapping (a value that is not in it has one) or a function of the value. It is asked where a task is put in its row:
    as it is added; of what was added by name, by the worker that gets it. A weight is from 0.001 to 1000.

    Raises: TypeError - the argument is no name, ``weights`` neither a mapping nor a function, a weight no number;
    UsageError (a ValueError) - a weight is zero or less, or beyond these bounds. With an argument that the task does
    not have: UsageError, where it is registered or first added. What a function says is checked where it is asked.
    """

    single = True

    def __init__(self, argument_name: str | None = None, *, weights: Weights = None) -> None:
        if argument_name is not None:
            if not isinstance(argument_name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"FairShare takes the name of an argument, not {argument_name!r}")
            check_encodable(argument_name, "the argument of FairShare,")
        if weights is not None and not isinstance(weights, Mapping) and not callable(weights):
            raise TypeError(
                f"weights takes a mapping of values to numbers or a function of a value, not {text_of(weights, repr)}"
            )
        self.argument_name = argument_name
        self._weigh: Callable[[Any], float] | None = None
        self._listed: dict[str, str] = {}
        if isinstance(weights, Mapping):
            for value, weight in cast("Mapping[Any, Any]", weights).items():
                self._listed[self._spelled("weights", value)[1]] = _weight(weight, value)
        else:
            self._weigh = weights

    def check(self, function: Any) -> None:
        if self.argument_name is not None:
            check_argument("FairShare", function, self.argument_name)
        elif any(each is self for each in get_dependency_parameters(function).values()):
            raise UsageError(
                'FairShare stands for no argument: name it, as in FairShare("tenant"), or put it into the annotation '
                "of one, as in tenant: Annotated[str, FairShare()]"
            )

    def of_call(
        self, parameter: str | None, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[str, str, str]:
        """The argument, the text of its value in a call, and the weight of that, as text.

        ``parameter`` is that in whose annotation it stands.
        Raises: UsageError (a ValueError), TypeError - the call lacks the argument, its value has no text, or its weight
        is none.
        """
        name = self.argument_name or parameter or ""
        value = self._argument(function, args, kwargs, name)
        _, spelled = self._spelled(name, value)
        return name, spelled, self._weight_of(value, spelled)

    def _weight_of(self, value: Any, spelled: str) -> str:
        if self._weigh is None:
            return self._listed.get(spelled, "1")
        try:
            weight = self._weigh(value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # it is the user's own code (I9)
            raise UsageError(
                f"the weights of FairShare could not say that of {spelled!r}: {error_text(error)}"
            ) from error
        return _weight(weight, value)

    async def __aenter__(self) -> Self:
        return self


def _weight(given: Any, value: Any) -> str:
    """A weight as scripts take it. Raises: TypeError, UsageError (a ValueError)."""
    if isinstance(given, bool) or not hasattr(cast("type[Any]", type(given)), "__float__"):
        raise TypeError(
            f"a weight of FairShare is a number, and that of {text_of(value, repr)} is {text_of(given, repr)}"
        )
    weight = float(given)
    if not math.isfinite(weight) or not LEAST <= weight <= MOST:
        raise UsageError(
            f"a weight of FairShare is from {LEAST} to {MOST:g}, and that of {text_of(value, repr)} is "
            f"{text_of(given, repr)}"
        )
    return f"{weight:.6g}"


#: By function: the FairShare of its tasks, and the parameter in whose annotation it stands; or nothing.
_shares: PerFunction[tuple[()] | tuple[str | None, FairShare]] = PerFunction()


def _declared(function: Callable[..., Any]) -> tuple[()] | tuple[str | None, FairShare]:
    known = _shares.get(function)
    if known is None:
        try:
            found = declared_anywhere(function, FairShare)
        except Exception:  # noqa: BLE001 - a signature that cannot be read is refused where it is registered or called
            found = []
        known = _shares[function] = found[0] if found else ()
    return known


def takes_turns(function: Callable[..., Any]) -> bool:
    """Whether calls of a function wait for turns: each one that is added asks."""
    known = _shares.get(function)
    return bool(_declared(function) if known is None else known)


def share_of_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[str, str, str] | None:
    """Whose turn a call waits for: the argument, the text of its value, and the weight of that; None for nobody's.

    Raises: UsageError (a ValueError), TypeError - as `FairShare.of_call`.
    """
    known = _declared(function)
    if not known:
        return None
    parameter, share = known
    for name, given in given_among(function, args, kwargs).items():
        if get_dependency_parameters(function)[name] is share:
            if not isinstance(given, FairShare):
                return None
            share = given
    return share.of_call(parameter, function, args, kwargs)
