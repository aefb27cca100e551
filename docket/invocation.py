"""What is called: a function, its arguments, under which key, when, for the how-manieth time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .client.packed import Packed
from .client.presentation import show_call, show_packed
from .client.signatures import TaskFunction, check_arguments, get_signature
from .linking import context_in, links_to
from .moments import check_moment
from .store import Message, dump
from .text import text_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link

    from .docket import Docket

__all__ = ["Invocation"]


class Invocation:
    """The part of an `Execution` that is settled when it is placed."""

    __slots__ = (
        "_args", "_docket", "_function", "_function_name", "_generation", "_key", "_kwargs", "_redelivered",
        "_trace_context", "attempt", "extra_fields", "message_id", "when",
    )  # fmt: skip

    _docket: Docket
    _function: TaskFunction
    _args: tuple[Any, ...] | Packed
    """Packed where the call was read to be looked at, until somebody asks; then ``_kwargs`` are in there, too."""
    _kwargs: dict[str, Any]
    _key: str
    _function_name: str
    _trace_context: Context | None
    _redelivered: bool
    _generation: int
    when: datetime
    attempt: int
    message_id: bytes | None
    extra_fields: Mapping[bytes, bytes]

    @property
    def docket(self) -> Docket:
        return self._docket

    @property
    def function(self) -> TaskFunction:
        return self._function

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments. Of an execution that was read from the docket they are unpickled now.

        That runs what was pickled. What cannot be unpickled is an `Unreadable`, which says why.
        """
        args = self._args
        return args if type(args) is not Packed else self._open(args)[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """The named arguments; see `args`."""
        args = self._args
        return self._kwargs if type(args) is not Packed else self._open(args)[1]

    def _open(self, packed: Packed) -> tuple[tuple[Any, ...], dict[str, Any]]:
        opened, complete = packed.open()
        if complete:
            self._args, self._kwargs = opened
        return opened

    def call_as(self, other: Invocation) -> None:
        """Take over the arguments of another one, be they unpickled or not."""
        self._args, self._kwargs = other._args, other._kwargs

    @property
    def key(self) -> str:
        return self._key

    @property
    def function_name(self) -> str:
        """The name it is registered under."""
        return self._function_name

    @property
    def redelivered(self) -> bool:
        """Whether another worker had this delivery before and did not finish it."""
        return self._redelivered

    @property
    def generation(self) -> int:
        """Which placing of the key this is, from 1; 0 before it is placed."""
        return self._generation

    @property
    def trace_context(self) -> Context | None:
        """The OpenTelemetry context of whoever added it, where one is known."""
        return context_in(self.extra_fields) if self._trace_context is None else self._trace_context

    def incoming_span_links(self) -> list[Link]:
        """A link to the span of whoever added it, if one is known."""
        return links_to(self.trace_context)

    def get_argument(self, parameter: str) -> Any:
        """The value that the call gives to a parameter.

        Raises: KeyError - it gives none, or there is no such parameter.
        """
        bound = get_signature(self._function).bind_partial(*self.args, **self.kwargs)
        return bound.arguments[parameter]

    def check_arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Raise the TypeError of a call of this task with arguments that do not fit."""
        check_arguments(self._function, self._function_name, args, kwargs)

    def general_labels(self) -> Mapping[str, str]:
        return {"docket.task": self._function_name}

    def specific_labels(self) -> Mapping[str, str | int]:
        return {
            "docket.task": self._function_name,
            "docket.key": self._key,
            "docket.when": self.when.isoformat(),
            "docket.attempt": self.attempt,
        }

    def call_repr(self) -> str:
        """The call for people: ``name(..., b=...){key}``. Values may be secret: only `Logged` ones are shown.

        Nothing is unpickled for it: of arguments that nobody has asked for yet it shows what is plain.
        """
        args = self._args
        if type(args) is Packed:
            return show_packed(self._function, self._function_name, args, self._key)
        return show_call(self._function, self._function_name, args, self._kwargs, self._key)

    def message(self) -> Message:
        """This execution as it travels.

        Raises: TypeError - the arguments cannot be pickled; TypeError, UsageError (a ValueError) - ``when`` is no
        moment that can be.
        """
        held = self._args
        packed = type(held) is Packed
        return Message(
            key=self._key,
            when=check_moment("when", self.when),
            function=self._function_name,
            args=held.args if packed else self._pickle(held),
            kwargs=held.kwargs if packed else self._pickle(self._kwargs),
            attempt=self.attempt,
            generation=self._generation,
            extra=self.extra_fields,
        )

    def _pickle(self, arguments: tuple[Any, ...] | dict[str, Any]) -> bytes:
        try:
            return dump(arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # pickling runs the argument's own code: it may raise anything
            raise TypeError(
                f"the arguments of task {self._function_name!r} cannot be pickled: {text_of(error)}"
            ) from error

    def as_message(self) -> dict[bytes, bytes]:
        """The fields of the stream entry."""
        flat = [part if isinstance(part, bytes) else str(part).encode() for part in self.message().fields()]
        return dict(zip(flat[::2], flat[1::2], strict=True))
