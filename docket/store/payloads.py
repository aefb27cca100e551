"""The one door between values and the bytes that stand for them on the server.

Arguments, results, exceptions and the values of strikes are made and opened here, and nowhere else: `loads` of any kind
runs foreign code, or reads what strangers may have written.
"""

from __future__ import annotations

import logging
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias, cast

import attrs

from ..errors import DeliveryUnreadable, Untrusted
from ..text import error_text, readable
from ..values import define
from .codec import Message
from .errors_told import Told
from .foreign import text
from .looking import look_at_value
from .others import key_id_of
from .pickles import EMPTY_DICT, dump, dump_any, load
from .serializing import About, Kind, Serializer, pickled_error
from .signing import Signatures
from .tagging import Tagging, what_call, what_result, what_strike
from .tags import END, PICKLE, split
from .written import Written

__all__ = ["Arguments", "Payloads"]

logger = logging.getLogger("docket.docket")

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]

_NAMES = frozenset({str})
_KINDS: tuple[Kind, Kind] = "result", "exception"


@define(eq=False)
class Payloads:
    """How one docket makes payloads and opens them.

    ``serializer`` writes them, ``serializers`` are those that may have written what is opened, by name. With
    ``signatures`` each is signed, and nothing is opened before its signature holds. Without any of these they are plain
    pickles, as pydocket's.
    """

    docket: str = ""
    serializer: Serializer | None = None
    serializers: Mapping[str, Serializer | None] = attrs.field(factory=lambda: {PICKLE: None})
    """None stands for pickles."""
    exceptions: dict[str, type[BaseException]] = attrs.field(factory=dict[str, type[BaseException]])
    """The types that the program has registered, for exceptions that are told instead of pickled."""
    shows_errors: bool = True
    """Whether what errors say may stand where anybody can read it; otherwise only their types do."""
    signatures: Signatures | None = None
    _is_usual: bool = attrs.field(init=False, default=False)
    """Whether what is made is a plain pickle."""
    _reads_usual: bool = attrs.field(init=False, default=False)
    """Whether a plain pickle may be opened as it is."""
    _reads_pickles: bool = attrs.field(init=False, default=False)
    """Whether pickles are opened as such, once their signatures hold."""
    _tags: Tagging = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._is_usual = self.serializer is None and self.signatures is None
        self._reads_pickles = self.serializers.get(PICKLE, self) is None
        self._reads_usual = self.signatures is None and self._reads_pickles
        name = PICKLE if self.serializer is None else self.serializer.name
        self._tags = Tagging(self.docket, name, self.signatures)

    @property
    def writes(self) -> Written:
        """How what is made here says that it is written."""
        signed_by = None if self.signatures is None else self.signatures.newest
        sealed_by = None if self.serializer is None else self.serializer.key_id.hex() or None
        return Written(self._tags.name, signed_by, sealed_by)

    @property
    def written(self) -> str:
        """The word for what cannot be done to a value that it refuses: ``pickled``, ``written as json``."""
        return "pickled" if self.serializer is None else f"written as {self.serializer.name}"

    # calls -----------------------------------------------------------------------------------------------

    def call(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        task: str,
        key: str,
        when: datetime,
        function: Callable[..., Any] | None = None,
    ) -> tuple[bytes, bytes]:
        """The arguments of a call that is due at ``when``, as its message has them.

        Raises: anything: this runs the arguments' own code.
        """
        if self.serializer is None:
            body, named = dump(args), dump(kwargs)
            if self._is_usual:
                return body, named
        else:
            about = About(kind="args", docket=self.docket, task=task, key=key, function=function)
            body = self.serializer.dumps(args, about)
            named = self.serializer.dumps(kwargs, about.of_named())
        return self._tags.call(self._tags.name, task, key, when, body, named), named

    def written_anew(self, message: Message, function: Callable[..., Any] | None = None) -> Message:
        """A call whose arguments were opened here and that follows itself, as this docket writes it, signed now.

        So a chain outlives the serializer and the keys that its first run was written with, and a retry its age. What
        cannot be written as the docket does stays as it is.
        """
        if self._is_usual and message.args[-1:] != END:
            return message
        body, tag = split(message.args)
        serializer = self.serializer
        name = text(tag.serializer)
        if name != self._tags.name or (
            serializer is not None and serializer.key_id not in (b"", key_id_of(body))
        ):
            try:
                args, kwargs = self.open_call(message, function)
                task, key, when = message.function, message.key, message.when
                body, named = self.call(args, kwargs, task=task, key=key, when=when, function=function)
                return attrs.evolve(message, args=body, kwargs=named)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - what was opened runs its own code
                logger.info("%s stays as it was written: %s", what_call(message), error_text(error))
        return message if self.signatures is None else self._tags.again(message, body, name)

    def retried(self, message: Message) -> Message:
        """The call of a failure, signed anew if its signature holds: how old that is does not count.

        Nothing is opened. What is not signed, and is accepted, stays so: nobody is to vouch for it unasked.
        Raises: Untrusted - its signature does not hold.
        """
        return self._tags.retried(message)

    def open_call(
        self, message: Message, function: Callable[..., Any] | None = None, *, to_run: bool = False
    ) -> Arguments:
        """The arguments of a call; ``to_run`` it now, so that it may not be too old.

        Raises: Untrusted (a DeliveryUnreadable) - its signature does not hold or its serializer is not accepted, and
        nothing was opened; DeliveryUnreadable - they cannot be opened, whatever that raises, or are no tuple and no
        dictionary with names; KeyboardInterrupt.
        """
        args, kwargs, name = message.args, message.kwargs, PICKLE
        if not self._reads_usual or args[-1:] == b"\n":
            args, name = self._tags.checked_call(message, to_run=to_run)
        positional: Any
        named: Any
        usual = self._reads_pickles and name == PICKLE
        serializer = None if usual else self._reader(name, what_call, message)
        try:
            if serializer is None:
                positional, named = load(args), {} if kwargs == EMPTY_DICT else load(kwargs)
            else:
                about = About(
                    kind="args", docket=self.docket, task=message.function, key=message.key, function=function
                )
                positional = serializer.loads(args, about)
                named = serializer.loads(kwargs, about.of_named())
            if type(positional) is tuple and type(named) is dict and _NAMES.issuperset(map(type, named)):  # pyright: ignore[reportUnknownArgumentType]
                return positional, named  # pyright: ignore[reportUnknownVariableType]
            return _positional(positional), _named(named)
        except KeyboardInterrupt:
            raise
        except Untrusted as error:
            self._tags.refuse(f"{what_call(message)} cannot be trusted: {error}")
        except BaseException as error:
            said = f"cannot be {'unpickled' if name == PICKLE else f'read as {name}'}: {error_text(error)}"
            raise DeliveryUnreadable(
                readable(f"the arguments of task {message.function!r} {said}")
            ) from error

    # results ---------------------------------------------------------------------------------------------

    def result(
        self, value: Any, *, task: str, key: str, generation: int, function: Callable[..., Any] | None = None
    ) -> str:
        """A result as the text that is stored. Raises: anything: this runs the value's own code."""
        if self._is_usual:
            return _stored(dump_any(value))
        if self.serializer is None:
            body = dump_any(value)
        else:
            about = About("result", self.docket, task, key, generation, function)
            body = self.serializer.dumps(value, about)
        return _stored(self._tags.result(key, generation, body, failed=False))

    def exception(
        self,
        error: BaseException,
        note: str,
        *,
        task: str,
        key: str,
        generation: int,
        function: Callable[..., Any] | None = None,
    ) -> str:
        """An exception, with a note, as the text that is stored; of one that cannot be written what it says."""
        if self.serializer is None:
            body = pickled_error(error, note)
        else:
            about = About("exception", self.docket, task, key, generation, function, note)
            body = self.serializer.dumps(error, about)
        if not self._is_usual:
            body = self._tags.result(key, generation, body, failed=True)
        return _stored(body)

    def open_result(
        self,
        stored: str,
        *,
        task: str,
        key: str,
        generation: int,
        failed: bool,
        function: Callable[..., Any] | None = None,
    ) -> Any:
        """A result, or the exception of a run that has ``failed``, from its text.

        It may be of a later ``generation`` of the key.
        Raises: Untrusted - its signature does not hold or its serializer is not accepted, and nothing was opened;
        anything else, SystemExit among it: this runs foreign code.
        """
        body, name = self._tags.checked_result(a2b_base64(stored), task, key, generation, failed=failed)
        if name == PICKLE and self._reads_pickles:
            return load(body)
        about = About(_KINDS[failed], self.docket, task, key, generation, function)
        value = self._open(body, name, about, what_result, (_KINDS[failed], task, key))
        return value.made(self.exceptions) if type(value) is Told else value

    # strikes ---------------------------------------------------------------------------------------------

    def strike(self, value: Any, message: Mapping[bytes, bytes]) -> bytes:
        """The value of an instruction with these other fields. Raises: anything: this runs the value's own code."""
        if self._is_usual:
            return dump_any(value)
        if self.serializer is None:
            body = dump_any(value)
        else:
            body = self.serializer.dumps(value, About(kind="strike", docket=self.docket))
        return self._tags.strike(message, body)

    def open_strike(self, message: Mapping[bytes, bytes]) -> Any:
        """The value of an instruction.

        Raises: Untrusted - its signature does not hold or its serializer is not accepted, and nothing was opened;
        anything else, SystemExit among it: this runs foreign code.
        """
        body, name = self._tags.checked_strike(message)
        return self._open(body, name, About(kind="strike", docket=self.docket), what_strike, message)

    def look_at_strike(self, message: Mapping[bytes, bytes]) -> Any:
        """The value of an instruction, without running anything.

        Raises: Untrusted; NotPlain - it is not plain; ValueError - its tag is none.
        """
        return look_at_value(*self._tags.checked_strike(message))

    # inside ----------------------------------------------------------------------------------------------

    def _open(self, body: bytes, name: str, about: About, what: Callable[[Any], str], of: Any) -> Any:
        serializer = self._reader(name, what, of)
        if serializer is None:
            return load(body)
        try:
            return serializer.loads(body, about)
        except Untrusted as error:
            self._tags.refuse(f"{what(of)} cannot be trusted: {error}")

    def _reader(self, name: str, what: Callable[[Any], str], of: Any) -> Serializer | None:
        """The serializer of this name, None for pickles. Raises: Untrusted - the docket does not accept it."""
        try:
            return self.serializers[name]
        except KeyError:
            known = ", ".join(sorted(self.serializers))
            self._tags.refuse(
                f"{what(of)} was written by the serializer {name!r}, and this docket accepts: {known}"
            )


def _stored(payload: bytes) -> str:
    return b2a_base64(payload, newline=False).decode("ascii")


def _positional(value: Any) -> tuple[Any, ...]:
    if not issubclass(type(value), tuple):
        raise TypeError(f"the positional ones are {_class(value)}, not a tuple")
    return tuple(cast("tuple[Any, ...]", value))


def _named(value: Any) -> dict[str, Any]:
    if not issubclass(type(value), dict):
        raise TypeError(f"the named ones are {_class(value)}, not a dictionary")
    named: dict[str, Any] = {}
    for name, each in cast("dict[Any, Any]", value).items():
        if not issubclass(type(name), str):
            raise TypeError(f"the named ones have a name that is {_class(name)}, not a string")
        named[str.__str__(name)] = each
    return named


def _class(value: Any) -> str:
    return type(value).__name__
