"""Reads the values of strikes as they are written in a shell: ``type:text``."""

from __future__ import annotations

import builtins
import datetime
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from ..errors import UsageError

__all__ = ["value_of"]


def value_of(text: str, *, pair: bool = False) -> Any:
    """The value of ``text``: ``int:3``, ``uuid.UUID:...``, ``datetime.timedelta:5`` (seconds), ``bool:true``;
    of ``none:`` it is None.

    Without a type, or with an empty one (``:a:b``), it is a string. ``pair``: ``int:1,5`` is ``(1, 5)``.
    Only classes are called, as ``the_class(text)``; datetime's read ISO 8601. Modules are looked for in the working
    directory first.
    Raises: UsageError - there is no such type, or it does not take that text.
    """
    named, colon, spelled = text.partition(":")
    if not colon:
        named, spelled = "", text
    read = _reader(named) if named else str
    if not pair:
        return _read(read, named, spelled)
    lower, comma, upper = spelled.partition(",")
    if not comma:
        raise UsageError(f"VALUE takes two values for 'between', like int:1,5, not {text!r}")
    return _read(read, named, lower), _read(read, named, upper)


def _read(read: Callable[[str], Any], named: str, spelled: str) -> Any:
    try:
        return read(spelled)
    except Exception as error:  # the user chose the class: it may raise anything
        raise UsageError(f"VALUE: {spelled!r} is no {named}: {type(error).__name__}: {error}") from error


def _truth(spelled: str) -> bool:
    truth = {"true": True, "false": False}.get(spelled.lower())
    if truth is None:
        raise ValueError("true or false")
    return truth


def _nothing(spelled: str) -> None:
    if spelled:
        raise ValueError("nothing may follow")


def _span(spelled: str) -> datetime.timedelta:
    return datetime.timedelta(seconds=float(spelled))


#: Types that do not read text by themselves, or not as people write it.
_READERS: dict[Any, Callable[[str], Any]] = {
    bool: _truth,
    bytes: str.encode,
    datetime.timedelta: _span,
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
}


def _reader(named: str) -> Callable[[str], Any]:
    module, _, name = named.rpartition(".")
    hint = "VALUE is type:text, like int:3 or uuid.UUID:...; for a string that has a colon in it, write :text"
    if named in {"none", "None"}:
        return _nothing
    found: Any = None
    if "." not in named:
        found = getattr(builtins, name, None)
    elif all(part.isidentifier() for part in module.split(".")):
        sys.path.insert(0, os.getcwd())
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
    if found is None:
        raise UsageError(f"there is no type {named!r}; {hint}")
    if not isinstance(found, type):
        raise UsageError(f"{named!r} is not a type, and nothing but types is called; {hint}")
    return _READERS.get(found, found)
