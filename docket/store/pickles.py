"""Pickles, as all implementations write them. `Payloads` alone opens them: that runs foreign code."""

from __future__ import annotations

import io
import pickle
from binascii import b2a_base64
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeAlias, cast
from uuid import UUID

import cloudpickle  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["EMPTY_DICT", "EMPTY_TUPLE", "dump", "dump_any", "dump_value", "is_plain", "load"]

_PRIVATE = "docket.dependencies._"
_PLAIN = frozenset({int, str, float, bool, type(None), bytes, timedelta, Decimal, UUID})
#: The zones of plain moments: a program's own class of zones may have to travel with its code.
_ZONES = frozenset({type(None), timezone})
_SEQUENCES = frozenset({list, tuple})
_NAMES = frozenset({str})
_Dict: TypeAlias = dict[Any, Any]
_cloudpickle = cast("Callable[[Any], bytes]", cloudpickle.dumps)  # pyright: ignore[reportUnknownMemberType]
EMPTY_DICT = _cloudpickle({})
EMPTY_TUPLE = _cloudpickle(())


def dump(value: tuple[Any, ...] | dict[str, Any]) -> bytes:
    """Pickle the arguments of a call, as ``cloudpickle.dumps`` would.

    Raises: whatever pickling raises (PicklingError, TypeError, ...).
    """
    if not value:
        return EMPTY_TUPLE if type(value) is tuple else EMPTY_DICT
    return dump_any(value)


def dump_any(value: Any) -> bytes:
    """Pickle a value by itself, as ``cloudpickle.dumps`` would. Raises: whatever pickling raises.

    Plain values take the C pickler, which writes the same bytes for them an order of magnitude faster.
    """
    if is_plain(value):
        return pickle.dumps(value, protocol=cloudpickle.DEFAULT_PROTOCOL)
    return _cloudpickle(value)


def dump_value(value: Any) -> str:
    """A result or an exception as the text that is stored: base64 of its pickle."""
    return b2a_base64(dump_any(value), newline=False).decode("ascii")


def is_plain(value: Any, depth: int = 4) -> bool:
    """Whether a value, with all that is in it, is of classes that every pickler writes alike."""
    kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind in _PLAIN:
        return True
    if kind is datetime:
        return type(cast("datetime", value).tzinfo) in _ZONES
    if not depth:
        return False
    if kind is dict:
        named = cast("_Dict", value)
        return _NAMES.issuperset(map(type, named)) and _all_plain(named.values(), depth - 1)
    return kind in _SEQUENCES and _all_plain(value, depth - 1)


def _all_plain(values: Iterable[Any], depth: int) -> bool:
    if _PLAIN.issuperset(map(type, values)):
        return True
    for each in values:  # noqa: SIM110 - a generator costs twice as much
        if not is_plain(each, depth):
            return False
    return True


def load(pickled: bytes) -> Any:
    """The inverse of `dump` and of `dump_any`. Raises: anything, SystemExit among it: this runs foreign code."""
    try:
        return pickle.loads(pickled)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(_PRIVATE):
            raise
    return _PeersUnpickler(io.BytesIO(pickled)).load()


class _PeersUnpickler(pickle.Unpickler):
    """Finds the dependencies that pydocket's clients give as arguments: it has each in a private module."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        public = _PRIVATE.removesuffix("._") if module_name.startswith(_PRIVATE) else module_name
        return super().find_class(public, global_name)
