"""JSON instead of pickles, directed by the annotations of each task."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from ..dependencies import PerFunction
from ..errors import BadSetting
from ..store import JSON, About, Told, tell
from ..text import text_of
from .calls import ANY_CALL, CallShape, shape_of_call
from .custom import as_tuple
from .leaves import plain
from .misfit import Misfit, NoStructure

if TYPE_CHECKING:
    from .shapes import Shapes, Turns

__all__ = ["Json"]


def _no_constant(text: str) -> NoReturn:
    raise Misfit(f"{text} is no JSON")


_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_decoder = json.JSONDecoder(parse_constant=_no_constant)
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
_make: Any = getattr(json.encoder, "c_make_encoder", None)
#: What `_encoder` makes for each value anew.
_chunks: Callable[[Any, int], Iterable[str]] | None = _make and _make(
    None, _encoder.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False
)


class Json:
    """The serializer ``json``: what a task is given and returns travels as JSON, as its annotations say.

    ``types`` has how classes travel that have no structure of their own, each with a function that makes something of
    a value that JSON has, and one that makes the value of that: ``Json(types={Path: (str, Path)})``. Programs and
    workers need the same.

    Raises: ModuleNotFoundError - cattrs is not installed (the extra ``json``); BadSetting (a ValueError) - ``types`` is
    of another form.
    """

    name, key_id = JSON, b""

    def __init__(self, types: Mapping[type, Turns] | None = None) -> None:
        try:
            from .shapes import Shapes
        except ModuleNotFoundError as error:
            if error.name != "cattrs":
                raise
            raise ModuleNotFoundError(
                "the serializer json needs cattrs; pip install 'anydocket[json]'", name=error.name
            ) from None
        for kind, turns in (types or {}).items():
            if not isinstance(kind, type) or not _are_turns(turns):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise BadSetting(
                    "types= takes classes, each with a pair of functions (to what JSON has, and from that), not "
                    f"{text_of(kind, repr)}: {text_of(turns, repr)}"
                )
        self._shapes: Shapes = Shapes(dict(types or {}))
        self._calls: PerFunction[CallShape] = PerFunction()

    def check(self, function: Callable[..., Any], name: str) -> None:
        """Read the annotations of a task anew.

        Raises: TypeError - one cannot be evaluated, or JSON has no structure for its type.
        """
        self._calls.discard(function)
        try:
            self._call(function)
        except NoStructure as found:
            raise TypeError(
                f"task {name!r} cannot be used with the serializer json: {found}. Annotate it with a type that JSON "
                "has a structure for, or tell how it travels: Docket(serializer=Json(types={...}))"
            ) from found.__cause__

    def dumps(self, value: Any, about: About) -> bytes:
        """Raises: Misfit (a TypeError) - the value is not what the annotation says, or JSON cannot hold it."""
        match about.kind:
            case "args":
                written: Any = self._call(about.function).dump_args(value)
            case "kwargs":
                written = self._call(about.function).dump_kwargs(value)
            case "result":
                written = self._call(about.function).result.dump(value)
            case "exception":
                written = tell(value, about.note)
            case "strike":
                pair: Any = [*value] if type(value) is tuple else value  # as ``between`` has it
                written = plain(pair)
        return encoded(written)

    def loads(self, payload: bytes, about: About) -> Any:
        """Raises: Misfit (a TypeError) - it is no JSON, or not what the annotation says."""
        read = decoded(payload)
        match about.kind:
            case "args":
                return self._call(about.function).load_args(read)
            case "kwargs":
                return self._call(about.function).load_kwargs(read)
            case "result":
                return self._call(about.function).result.load(read)
            case "exception":
                return Told(read)
            case "strike":
                return as_tuple(read)

    def _call(self, function: Callable[..., Any] | None) -> CallShape:
        if function is None:
            return ANY_CALL
        known = self._calls.get(function)
        if known is None:
            known = self._calls[function] = shape_of_call(function, self._shapes)
        return known


_EMPTY: dict[Any, bytes] = {list: b"[]", dict: b"{}"}
_OPENS = frozenset("[{")


def _are_turns(turns: object) -> bool:
    return isinstance(turns, tuple) and len(turns) == 2 and all(map(callable, turns))  # pyright: ignore[reportUnknownArgumentType]


def encoded(written: Any) -> bytes:
    """What JSON has, as bytes. Raises: Misfit - it is nested too deeply, or has a number that is too long."""
    if not written and type(written) in _EMPTY:
        return _EMPTY[type(written)]
    try:
        text = _encoder.encode(written) if _chunks is None else "".join(_chunks(written, 0))
        return text.encode("ascii")
    except RecursionError:
        raise Misfit("it is nested too deeply") from None
    except ValueError as error:
        raise Misfit(f"JSON cannot hold it: {error}") from None


def decoded(payload: bytes) -> Any:
    """What JSON has of bytes. Raises: Misfit - they are none."""
    if payload == b"{}":
        return {}
    try:
        text = payload.decode()
        if text[:1] in _OPENS:  # without looking for spaces around it
            value, end = _scan(text, 0)
            if end == len(text):
                return value
        return _decoder.decode(text)
    except Misfit:
        raise
    except RecursionError:
        raise Misfit("it is nested too deeply") from None
    except StopIteration:
        raise Misfit("it is no JSON: it has no end") from None
    except ValueError as error:
        raise Misfit(f"it is no JSON: {error}") from None
