"""Whether a strike that this process has read forbids a call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..dependencies import get_dependency_parameters
from ..rules import Operator
from ..store import Strikes
from ..text import text_of
from .signatures import get_signature

__all__ = ["Strikable", "are_struck", "is_struck", "may_strike"]

logger = logging.getLogger("docket.strikelist")


class Strikable(Protocol):
    """A call that a strike may forbid."""

    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def function_name(self) -> str: ...
    @property
    def args(self) -> tuple[Any, ...]: ...
    @property
    def kwargs(self) -> dict[str, Any]: ...


def is_struck(strikes: Strikes, call: Strikable) -> bool:
    """Whether a strike, or a condition of this process, forbids a call. Raises: whatever a condition raises."""
    effect = strikes.log.effect
    if effect:
        with strikes.lock:
            if effect.forbids(call.function_name, lambda: _arguments(call), _log_incompatible):
                return True
    return bool(strikes.conditions) and any(condition(call) for condition in strikes.conditions)


def may_strike(strikes: Strikes) -> bool:
    """Whether there is any strike, or condition of this process, to ask."""
    return bool(strikes.conditions or strikes.log.effect)


def are_struck(strikes: Strikes, values: Mapping[str, Any]) -> bool:
    """Whether a strike on every task forbids these values of parameters."""
    with strikes.lock:
        return strikes.log.effect.forbids_values(values, _log_incompatible)


def _log_incompatible(operator: Operator, struck: object, value: object) -> None:
    # An argument may be secret, so its type has to do.
    logger.warning(
        "Incompatible type for strike condition: %s %s %s",
        type(value).__name__,
        operator.value,
        text_of(struck, repr),
        exc_info=True,
    )


def _arguments(call: Strikable) -> Mapping[str, Any]:
    """The values that a call gives to the parameters of its function, by name; none where it does not fit."""
    signature = get_signature(call.function)
    try:
        bound = signature.bind_partial(*call.args, **call.kwargs)
    except TypeError:
        return {}
    given = set(bound.arguments)
    bound.apply_defaults()
    supplied = get_dependency_parameters(call.function)
    values = {name: value for name, value in bound.arguments.items() if name in given or name not in supplied}
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            values = {**values[parameter.name], **values}
    return values
