"""What is said of a value that does not fit its type, and of a type without a structure: with the path to the part."""

from __future__ import annotations

from typing import Any, NoReturn

from ..text import class_name, printable, readable, shortened

__all__ = ["Misfit", "NoStructure", "refuse", "step_to", "type_name"]

#: How many characters of a key a path shows.
LONGEST_KEY = 40


class _AtPath(TypeError):
    """About a part of a value or of a type, which a path leads to."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason, path)
        self.reason, self.path = reason, path

    def under(self, step: str) -> _AtPath:
        """The same, seen from one step further out: ``rows``, ``[3]``, ``.price``."""
        return type(self)(self.reason, step + self.path)

    def __str__(self) -> str:
        return f"{self.path.removeprefix('.')}: {self.reason}" if self.path else self.reason


class Misfit(_AtPath):
    """A value is not what its annotation says; ``rows[3].price: expected Decimal, got list``."""


class NoStructure(_AtPath):
    """JSON cannot hold the values of a type."""


def refuse(value: object, expected: str) -> NoReturn:
    """Raise the Misfit of a value of another class. It shows no value: that may be secret."""
    raise Misfit(f"expected {expected}, got {class_name(value)}")


def step_to(key: Any) -> str:
    """The step of a path into a dictionary."""
    text = repr(key) if type(key) in (str, int, float, bool) else f"({class_name(key)})"
    return f"[{shortened(printable(readable(text)), LONGEST_KEY)}]"


def type_name(kind: Any) -> str:
    """A type as people write it: ``Decimal``, ``list[int]``, ``int | None``."""
    if isinstance(kind, type) and not getattr(kind, "__args__", None):
        return "None" if kind is type(None) else readable(kind.__name__)
    parts = getattr(kind, "__args__", ())
    origin = getattr(kind, "__origin__", None)
    text = repr(kind)
    if isinstance(origin, type) and parts:
        text = f"{origin.__name__}[{', '.join('...' if part is ... else type_name(part) for part in parts)}]"
    elif parts and " | " in text:
        text = " | ".join(type_name(part) for part in parts)
    return readable(text.removeprefix("typing."))
