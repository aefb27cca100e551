"""How the exception of a task is told where it is no pickle: what it is called, its text, what it was made of.

Who reads it makes an exception of a type that Python has, docket has, or the program has registered; nothing else is
looked up by its name, and no code of the type runs but ``__new__``.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from .. import errors
from ..errors import ExecutionFailed
from ..text import class_path, readable, shortened, text_of
from ..values import frozen

__all__ = ["Exceptions", "Told", "name_of_exception", "tell"]

Exceptions: TypeAlias = Mapping[str, type[BaseException]]
"""The types that a program has registered, by their names."""

#: How many causes are told, one behind the other, how many parts of groups in all, how many characters of a text.
MOST_CAUSES, MOST_PARTS, LONGEST_TEXT = 20, 100, 64 * 1024

_CAUSE: Any = BaseException.__cause__
_ARGS: Any = BaseException.args
_DOCKETS = frozenset(errors.__all__)
_SCALARS = frozenset({type(None), bool, int, str})


def name_of_exception(kind: type[BaseException]) -> str:
    """What an exception type is called where it is told: ``ValueError``, ``shop.errors.OutOfStock``."""
    path = readable(kind.__qualname__)
    return path if kind.__module__ == "builtins" else f"{readable(kind.__module__)}.{path}"


def tell(error: BaseException, note: str) -> dict[str, Any]:
    """What is told of an exception, as JSON has it; ``note`` says where that was, and has the traceback."""
    told = _told(error, [MOST_PARTS], MOST_CAUSES)
    told["notes"] = [*told.get("notes", ()), note]
    return told


def _told(error: BaseException, left: list[int], causes: int) -> dict[str, Any]:
    left[0] -= 1
    told: dict[str, Any] = {
        "type": class_path(error),
        "text": shortened(text_of(error), LONGEST_TEXT),
    }
    args = _arguments(error)
    state = {name: value for name, value in vars(error).items() if name != "__notes__"}
    notes: object = vars(error).get("__notes__", ())
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        told["text"] = shortened(text_of(group.message), LONGEST_TEXT)
        told["errors"] = [_told(each, left, causes) for each in group.exceptions if left[0] > 0]
    elif _is_json(args):
        told["args"] = args
    if state and _is_json(state):
        told["state"] = state
    if notes and isinstance(notes, list):
        told["notes"] = [each for each in cast("list[Any]", notes) if type(each) is str]
    cause: BaseException | None = _CAUSE.__get__(error)
    if cause is not None and causes and left[0] > 0:
        told["cause"] = _told(cause, left, causes - 1)
    return told


def _arguments(error: BaseException) -> list[Any]:
    """What it was made of; an OSError keeps the name of its file elsewhere."""
    if isinstance(error, OSError) and type(error).__reduce__ is OSError.__reduce__:
        reduced: Any = error.__reduce__()
        return [*reduced[1]]
    return [*_ARGS.__get__(error)]


def _is_json(value: Any, depth: int = 4) -> bool:
    """Whether a value is what JSON has, and not nested deeply."""
    kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind in _SCALARS:
        return True
    if kind is float:
        return math.isfinite(value)
    if not depth:
        return False
    if kind is dict:
        named = cast("dict[Any, Any]", value)
        return all(type(name) is str and _is_json(part, depth - 1) for name, part in named.items())
    return kind is list and all(_is_json(part, depth - 1) for part in value)


@frozen
class Told:
    """An exception as it was told, of which `made` makes one."""

    told: Any

    def made(self, known: Exceptions) -> BaseException:
        """The exception: of its own type where that is Python's, docket's or among those ``known``.

        Else an `ExecutionFailed` that says all there is to say. Raises: ValueError - it tells of none.
        """
        return _made(self.told, known)


def _made(told: Any, known: Exceptions) -> BaseException:
    match told:
        case {"type": str(name), "text": str(text)}:
            error = _raised(name, text, told, known)
        case _:
            raise ValueError("it tells of no exception")
    notes = told.get("notes")
    if isinstance(notes, list):
        for each in cast("list[Any]", notes):
            error.add_note(text_of(each))
    if "cause" in told:
        error.__cause__ = _made(told["cause"], known)
    return error


def _raised(name: str, text: str, told: dict[str, Any], known: Exceptions) -> BaseException:
    kind = known.get(name) or _ours(name)
    if kind is None:
        return ExecutionFailed(f"{name}: {text}")
    if issubclass(kind, BaseExceptionGroup):
        return _group(kind, text, told, known)
    args: object = told.get("args")
    given = cast("list[Any]", args) if isinstance(args, list) else [text]
    try:
        error: BaseException = kind.__new__(kind, *given)
    except Exception:  # noqa: BLE001 - it wants to be made in another way
        return ExecutionFailed(f"{name}: {text}")
    state: object = told.get("state")
    if name in known and isinstance(state, dict):
        error.__dict__.update(
            {
                each: value
                for each, value in cast("dict[str, Any]", state).items()
                if not each.startswith("__")
            }
        )
    if text_of(error) != text:
        error.args = (text,)
        if text_of(error) != text:  # it makes its text of parts that are not here
            error.add_note(text)
    return error


def _group(kind: Any, text: str, told: dict[str, Any], known: Exceptions) -> BaseException:
    parts: object = told.get("errors")
    made = [_made(each, known) for each in cast("list[Any]", parts)] if isinstance(parts, list) else []
    try:
        return kind(text, made)
    except Exception:  # noqa: BLE001 - without parts, or of a type of the program's own
        return ExecutionFailed(f"{told['type']}: {text}")


def _ours(name: str) -> type[BaseException] | None:
    """The type of Python or docket that has this name."""
    module, _, last = name.rpartition(".")
    found: object = None
    if not module:
        found = vars(builtins).get(last)
    elif module == errors.__name__ and last in _DOCKETS:
        found = getattr(errors, last)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
