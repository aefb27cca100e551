"""The one door between values and the bytes that stand for them on the server.

Arguments, results, exceptions and the values of strikes are made and opened here, and nowhere else: `loads` of any kind
runs foreign code, or reads what strangers may have written.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias, cast, final

import attrs

from ..errors import DeliveryUnreadable
from ..text import error_text, readable
from ..values import define, frozen
from .codec import Message
from .errors_kept import dump_error, stand_in
from .errors_told import Told
from .others import JSON, SEALED, key_id_of, read_json
from .pickles import EMPTY_DICT, EMPTY_TUPLE, dump, dump_any, load
from .plain import NotPlain, load_plain, read_plain
from .tags import PICKLE, Tag, body_of, split

__all__ = ["About", "Arguments", "Payloads", "Pickles", "Serializer", "is_empty", "serializer_of"]

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
Kind: TypeAlias = Literal["args", "kwargs", "result", "exception", "strike"]

_NAMES = frozenset({str})
_EMPTY = frozenset({EMPTY_TUPLE, EMPTY_DICT, b"[]", b"{}"})


@frozen(kw_only=True)
class About:
    """What a payload is, and of which task: what a serializer may want to know.

    ``function`` is that of the task, where it is known; ``note`` what an exception says to who awaits the result.
    """

    kind: Kind
    docket: str
    task: str = ""
    key: str = ""
    generation: int = 0
    function: Callable[..., Any] | None = None
    note: str = ""


class Serializer(Protocol):
    """Makes bytes of values, and values of bytes. Its ``name`` travels with these: ASCII, without spaces."""

    @property
    def name(self) -> str: ...

    def dumps(self, value: Any, about: About) -> bytes: ...

    def loads(self, payload: bytes, about: About) -> Any: ...


@final
class Pickles:
    """The serializer ``pickle``, for those that wrap it: pickles as docket writes them without one."""

    name = PICKLE

    def dumps(self, value: Any, about: About) -> bytes:
        """Raises: anything: this runs the value's own code."""
        return _pickled_error(value, about.note) if about.kind == "exception" else dump_any(value)

    def loads(self, payload: bytes, about: About) -> Any:
        """Raises: anything, SystemExit among it: this runs foreign code."""
        return load(payload)


def _pickled_error(error: BaseException, note: str) -> bytes:
    """An exception, with a note; of one that cannot be pickled what it says."""
    try:
        return dump_error(error, note)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - pickling runs the error's own code
        return stand_in(error_text(error), note)


@define(eq=False)
class Payloads:
    """How one docket makes payloads and opens them.

    ``serializer`` writes them, ``serializers`` are those that may have written what is opened, by name. Without either
    they are plain pickles, as pydocket's.
    """

    docket: str = ""
    serializer: Serializer | None = None
    serializers: Mapping[str, Serializer | None] = attrs.field(factory=lambda: {PICKLE: None})
    """None stands for pickles."""
    exceptions: dict[str, type[BaseException]] = attrs.field(factory=dict[str, type[BaseException]])
    """The types that the program has registered, for exceptions that are told instead of pickled."""
    shows_errors: bool = True
    """Whether what errors say may stand where anybody can read it; otherwise only their types do."""
    _no_pickles: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self._no_pickles = PICKLE not in self.serializers

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
        function: Callable[..., Any] | None = None,
    ) -> tuple[bytes, bytes]:
        """The arguments of a call, as its message has them. Raises: anything: this runs the arguments' own code."""
        if self.serializer is None:
            return dump(args), dump(kwargs)
        about = About(kind="args", docket=self.docket, task=task, key=key, function=function)
        named = self.serializer.dumps(kwargs, attrs.evolve(about, kind="kwargs"))
        return self._tagged(self.serializer.dumps(args, about)), named

    def open_call(self, message: Message, function: Callable[..., Any] | None = None) -> Arguments:
        """The arguments of a call.

        Raises: DeliveryUnreadable - they cannot be opened, whatever that raises, or are no tuple and no dictionary with
        names; KeyboardInterrupt.
        """
        args, kwargs = message.args, message.kwargs
        positional: Any
        named: Any
        try:
            if args[-1:] == b"\n":
                positional, named = self._open_tagged(message, function)
            else:
                if self._no_pickles:
                    self._reader(PICKLE)
                positional, named = load(args), {} if kwargs == EMPTY_DICT else load(kwargs)
            if type(positional) is tuple and type(named) is dict and _NAMES.issuperset(map(type, named)):  # pyright: ignore[reportUnknownArgumentType]
                return positional, named  # pyright: ignore[reportUnknownVariableType]
            return _positional(positional), _named(named)
        except (KeyboardInterrupt, DeliveryUnreadable):
            raise
        except BaseException as error:
            name = serializer_of(args)
            said = f"cannot be {'unpickled' if name == PICKLE else f'read as {name}'}: {error_text(error)}"
            raise DeliveryUnreadable(
                readable(f"the arguments of task {message.function!r} {said}")
            ) from error

    def _open_tagged(self, message: Message, function: Callable[..., Any] | None) -> tuple[Any, Any]:
        args, tag = split(message.args)
        about = About(
            kind="args", docket=self.docket, task=message.function, key=message.key, function=function
        )
        positional = self._open(args, tag.serializer, about)
        return positional, self._open(message.kwargs, tag.serializer, attrs.evolve(about, kind="kwargs"))

    def look_at_call(self, message: Message) -> Arguments:
        """The arguments of a call as far as they are plain values, without running anything.

        Raises: NotPlain - they cannot be shown.
        """
        try:
            body, tag = split(message.args)
        except ValueError as error:
            raise NotPlain(str(error)) from None
        if tag.serializer == PICKLE:
            args, kwargs = read_plain(body), read_plain(message.kwargs)
        else:
            args, kwargs = (self._look(part, tag.serializer) for part in (body, message.kwargs))
            args = tuple(cast("list[Any]", args)) if type(args) is list else args
        if type(args) is not tuple or type(kwargs) is not dict:
            raise NotPlain("no arguments of a call")
        named = cast("dict[Any, Any]", kwargs)
        if not all(type(name) is str for name in named):
            raise NotPlain("no names of parameters")
        return cast("tuple[Any, ...]", args), named

    # results ---------------------------------------------------------------------------------------------

    def result(
        self, value: Any, *, task: str, key: str, generation: int, function: Callable[..., Any] | None = None
    ) -> str:
        """A result as the text that is stored. Raises: anything: this runs the value's own code."""
        if self.serializer is None:
            return _text(dump_any(value))
        about = About(
            kind="result", docket=self.docket, task=task, key=key, generation=generation, function=function
        )
        return _text(self._tagged(self.serializer.dumps(value, about)))

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
            return _text(_pickled_error(error, note))
        about = About(
            kind="exception",
            docket=self.docket,
            task=task,
            key=key,
            generation=generation,
            function=function,
            note=note,
        )
        return _text(self._tagged(self.serializer.dumps(error, about)))

    def open_result(
        self,
        text: str,
        *,
        task: str,
        key: str,
        generation: int,
        failed: bool,
        function: Callable[..., Any] | None = None,
    ) -> Any:
        """A result, or the exception of a run that has ``failed``, from its text.

        Raises: anything, SystemExit among it: this runs foreign code.
        """
        body, tag = split(a2b_base64(text))
        about = About(
            kind="exception" if failed else "result",
            docket=self.docket,
            task=task,
            key=key,
            generation=generation,
            function=function,
        )
        value = self._open(body, tag.serializer, about)
        return value.made(self.exceptions) if type(value) is Told else value

    # strikes ---------------------------------------------------------------------------------------------

    def strike(self, value: Any) -> bytes:
        """The value of a strike. Raises: anything: this runs the value's own code."""
        if self.serializer is None:
            return dump_any(value)
        return self._tagged(self.serializer.dumps(value, About(kind="strike", docket=self.docket)))

    def open_strike(self, message: Mapping[bytes, bytes]) -> Any:
        """The value of an instruction. Raises: anything, SystemExit among it: this runs foreign code."""
        body, tag = split(message[b"value"])
        return self._open(body, tag.serializer, About(kind="strike", docket=self.docket))

    def look_at_strike(self, message: Mapping[bytes, bytes]) -> Any:
        """The value of an instruction, without running anything. Raises: NotPlain - it is not plain; ValueError."""
        body, tag = split(message[b"value"])
        if tag.serializer == PICKLE:
            return load_plain(body)
        value = self._look(body, tag.serializer)
        return tuple(cast("list[Any]", value)) if type(value) is list else value

    # inside ----------------------------------------------------------------------------------------------

    def _tagged(self, body: bytes) -> bytes:
        return body if self.serializer is None else body + Tag(self.serializer.name).line()

    def _open(self, body: bytes, name: str, about: About) -> Any:
        serializer = self._reader(name)
        return load(body) if serializer is None else serializer.loads(body, about)

    def _look(self, body: bytes, name: str) -> Any:
        """What is known of a payload without running anything, and without a key. Raises: NotPlain."""
        if name == JSON:
            return read_json(body)
        if name.startswith(SEALED):
            raise NotPlain(f"sealed with the key {key_id_of(body).hex() or '?'}")
        raise NotPlain(f"written by the serializer {name!r}")

    def _reader(self, name: str) -> Serializer | None:
        try:
            return self.serializers[name]
        except KeyError:
            known = ", ".join(sorted(self.serializers))
            raise ValueError(
                f"it was written by the serializer {name!r}, and this docket accepts: {known}"
            ) from None


def serializer_of(payload: bytes) -> str:
    """The name of the serializer that wrote a payload, by its tag."""
    try:
        return split(payload)[1].serializer
    except ValueError:
        return PICKLE


def is_empty(payload: bytes) -> bool:
    """Whether these are the arguments of a call that has none, as all serializers write them."""
    return body_of(payload) in _EMPTY


def _text(payload: bytes) -> str:
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
