"""Marks on the parameters of a task, in ``Annotated`` metadata: which arguments logs may show."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Callable, Mapping, Sized
from typing import Any, Self

from ..dependencies import PerFunction, get_marks
from ..text import readable

__all__ = ["Annotation", "Logged", "logged_parameters"]


class Annotation(abc.ABC):  # noqa: B024 - a base class without a meaning of its own
    """A mark in ``Annotated[type, ...]``; given as an instance, or as the class where it takes no arguments."""

    @classmethod
    def annotated_parameters(cls, signature: inspect.Signature) -> Mapping[str, Self]:
        """The parameters of a signature that carry this kind of mark; the last one counts where there are more.

        Annotations that are text (``from __future__ import annotations``) carry none: they are not evaluated.
        """
        annotations = {name: parameter.annotation for name, parameter in signature.parameters.items()}
        return cls.among(
            {name: getattr(annotation, "__metadata__", ()) for name, annotation in annotations.items()}
        )

    @classmethod
    def among(cls, marks: Mapping[str, tuple[Any, ...]]) -> Mapping[str, Self]:
        """The names that carry this kind of mark, among marks of any kind."""
        found: dict[str, Self] = {}
        for name, several in marks.items():
            for mark in several:
                if isinstance(mark, type) and issubclass(mark, cls):
                    found[name] = mark()
                elif isinstance(mark, cls):
                    found[name] = mark
        return found


class Logged(Annotation):
    """Show this argument in logs; with ``length_only``, how long it is: ``[len 3]``, of a mapping ``{len 3}``.

    Arguments that are not marked are shown as ``...``, so that no secret reaches a log by accident.
    """

    length_only: bool = False

    def __init__(self, length_only: bool = False) -> None:
        self.length_only = length_only

    def __repr__(self) -> str:
        return f"Logged(length_only={self.length_only})"

    def format(self, argument: Any) -> str:
        """The text that stands for an argument. What cannot show itself is named by its type."""
        try:
            if self.length_only and (length := _length(argument)) is not None:
                opening, closing = _BRACKETS.get(_kind(argument), "[]")
                return f"{opening}len {length}{closing}"
            return readable(repr(argument))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the argument's own code may raise anything (I9)
            return readable(f"<{type(argument).__name__} that cannot be shown: {type(error).__name__}>")


_BRACKETS: dict[type, str] = {dict: "{}", set: "{}", tuple: "()"}


def _kind(argument: object) -> type:
    return next((kind for kind in _BRACKETS if isinstance(argument, kind)), list)


def _length(argument: Any) -> int | None:
    return len(argument) if isinstance(argument, Sized) else None


_logged: PerFunction[Mapping[str, Logged]] = PerFunction()


def logged_parameters(function: Callable[..., Any]) -> Mapping[str, Logged]:
    """The parameters of a function that logs may show; read once. What its annotations hide is not shown."""
    found = _logged.get(function)
    if found is None:
        marks = {name: each.found for name, each in get_marks(function).items()}
        found = _logged[function] = Logged.among(marks)
    return found
