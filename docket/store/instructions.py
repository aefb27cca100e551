"""One instruction of the strikes: what it means, and how it travels."""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar, Literal, Self, TypeAlias

from ..errors import Untrusted
from ..rules import Condition, Operator
from ..text import check_encodable, error_text, readable, text_of
from .foreign import shown
from .payloads import Payloads
from .plain import NotPlain

__all__ = ["Restore", "Strike", "StrikeInstruction", "StrikeMessage", "instruction_in", "message_of"]

StrikeMessage: TypeAlias = dict[bytes, bytes]

_PICKLES = Payloads()


class StrikeInstruction(abc.ABC):
    """One instruction as it travels: strike or restore a task, a parameter with a value, or both."""

    direction: ClassVar[Literal["strike", "restore"]]

    def __init__(
        self, function: str | None, parameter: str | None, operator: Operator, value: Hashable
    ) -> None:
        self.function, self.parameter, self.operator, self.value = function, parameter, operator, value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.call_repr()}>"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.direction, self.function, self.parameter, self.operator))

    @property
    def condition(self) -> Condition:
        """What it is about."""
        return Condition(self.function, self.parameter, Operator(self.operator), self.value)

    @classmethod
    def about(cls, condition: Condition) -> Self:
        """The instruction about a condition."""
        return cls(condition.function, condition.parameter, condition.operator, condition.value)

    def as_message(self) -> StrikeMessage:
        """The fields of the stream entry, with a plain pickle for the value.

        Raises: TypeError - the value cannot be pickled; UsageError (a ValueError) - UTF-8 cannot hold a name.
        """
        return message_of(self, _PICKLES)

    @classmethod
    def from_message(cls, message: StrikeMessage) -> StrikeInstruction:
        """The instruction that the fields of a stream entry describe.

        Raises: KeyError, ValueError - they describe none, or the value cannot be unpickled.
        """
        return instruction_in(message, _PICKLES.open_strike)

    def labels(self) -> Mapping[str, str]:
        """Its labels in telemetry."""
        labels: dict[str, str] = {}
        if self.function is not None:
            labels["docket.task"] = readable(self.function)
        if self.parameter is not None:
            labels |= {
                "docket.parameter": readable(self.parameter),
                "docket.operator": str.__str__(self.operator),  # an enum's own would be its name
                "docket.value": text_of(self.value, repr),
            }
        return labels

    def call_repr(self) -> str:
        """For people: ``task(parameter == value)``, a ``*`` for whatever is not named."""
        value = "*" if self.parameter is None else text_of(self.value, repr)
        return f"{self.function or '*'}({self.parameter or '*'} {Operator(self.operator).value} {value})"


class Strike(StrikeInstruction):
    """From now on, what it is about is neither placed nor run."""

    direction = "strike"


class Restore(StrikeInstruction):
    """Takes back the strike that is about the same."""

    direction = "restore"


def message_of(instruction: StrikeInstruction, payloads: Payloads) -> StrikeMessage:
    """As `StrikeInstruction.as_message`, with the value as ``payloads`` have it."""
    for name, given in (("function", instruction.function), ("parameter", instruction.parameter)):
        check_encodable(given or "", f"the {name} of a strike")
    message = {b"direction": instruction.direction.encode()}
    if instruction.function is not None:
        message[b"function"] = instruction.function.encode()
    if instruction.parameter is not None:
        message[b"parameter"] = instruction.parameter.encode()
    message[b"operator"] = Operator(instruction.operator).value.encode()
    try:
        value = payloads.strike(instruction.value, message)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # pickling runs the value's own code: it may raise anything
        problem = f"{text_of(instruction.value, repr)}: {text_of(error)}"
        raise TypeError(f"the value of a strike cannot be {payloads.written}: {problem}") from error
    return message | {b"value": value}


def instruction_in(message: StrikeMessage, read: Callable[[StrikeMessage], Any]) -> StrikeInstruction:
    """As `StrikeInstruction.from_message`; ``read`` opens the value. Raises: NotPlain, too, where that does."""
    kind = _kind(message[b"direction"])
    function, parameter = message.get(b"function"), message.get(b"parameter")
    return kind(
        None if function is None else function.decode(),
        None if parameter is None else parameter.decode(),
        Operator(message[b"operator"].decode()),
        _value(message, read),
    )


def _kind(direction: bytes) -> type[Strike | Restore]:
    for kind in (Strike, Restore):
        if direction == kind.direction.encode():
            return kind
    raise ValueError(f"{shown(direction)} is neither strike nor restore")


def _value(message: StrikeMessage, read: Callable[[StrikeMessage], Any]) -> Any:
    try:
        return read(message)
    except (KeyboardInterrupt, NotPlain, Untrusted):
        raise
    except BaseException as error:  # unpickling runs foreign code: it may raise anything
        raise ValueError(f"the value cannot be unpickled: {error_text(error)}") from error
