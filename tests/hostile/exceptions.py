# ruff: noqa: E501 - a row is a line
"""What is raised, and cannot be shown, pickled, nested or trusted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from docket.errors import ExecutionFailed
from tests.hostile.harness import End, Function, Row, fails

__all__ = ["EXCEPTIONS"]

DEPTH = 5000


def raising(make: Callable[[], BaseException]) -> Callable[[], Function]:
    """A body that raises."""

    def made() -> Function:
        async def culprit() -> NoReturn:
            raise make()

        return culprit

    return made


def row(said: str, make: Callable[[], BaseException], end: End, **more: Any) -> Row:
    return Row(said=said, make=raising(make), end=end, **more)


def hostile(method: str, error: Callable[[], BaseException], base: type[BaseException] = Exception) -> Any:
    """An exception of which a method raises."""

    def raises(self: Any, *args: Any) -> NoReturn:
        raise error()

    return type("Hostile", (base,), {method: raises})("hostile")


def reduced_to(text: str) -> BaseException:
    """An exception that becomes another one where it is unpickled."""

    class Disguised(Exception):
        def __reduce__(self) -> Any:
            return ValueError, (text,)

    return Disguised("as it was")


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class TwoArguments(Exception):
    """Pickles, and cannot be unpickled: a usual mistake."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


class Meta(type):
    """A class whose name and text raise."""

    def __getattribute__(cls, name: str) -> Any:
        if name in ("__name__", "__qualname__", "__module__"):
            raise SystemExit(f"no {name}")
        return super().__getattribute__(name)

    def __repr__(cls) -> NoReturn:
        raise SystemExit("no repr")

    def __instancecheck__(cls, instance: object) -> NoReturn:
        raise SystemExit("no isinstance")


class OfAHostileClass(Exception, metaclass=Meta):
    pass


def named(name: str) -> BaseException:
    return type(name, (Exception,), {})("of a class with a name")


def nested(depth: int = DEPTH) -> BaseException:
    """A group in a group in a group, ..."""
    error: Exception = ValueError("the innermost")
    for _ in range(depth):
        error = ExceptionGroup("around", [error])
    return error


def chained(attribute: str, depth: int = DEPTH) -> BaseException:
    """An error that has a cause, which has a cause, ..."""
    first = error = ValueError("the last")
    for _ in range(depth):
        before = ValueError("one of many")
        setattr(error, attribute, before)
        error = before
    return first


def cyclic(attribute: str) -> BaseException:
    one, other = ValueError("one"), ValueError("other")
    setattr(one, attribute, other)
    setattr(other, attribute, one)
    return one


def with_notes(*notes: Any) -> BaseException:
    error = ValueError("with notes")
    error.__notes__ = list(notes)
    return error


def with_notes_that_are(notes: Any) -> BaseException:
    error = ValueError("with notes")
    error.__notes__ = notes
    return error


EXCEPTIONS = [
    row("a lone surrogate in the text", lambda: ValueError("cannot read \udcff.txt"), fails(ValueError, r"^ValueError: cannot read \\udcff.txt$")),
    row("a lone surrogate in a note", lambda: with_notes("\udcff"), fails(ValueError, "with notes")),
    row("a lone surrogate in the message of a group", lambda: ExceptionGroup("\udcff", [ValueError("one")]), fails(ExceptionGroup, r"\\udcff")),
    row("a lone surrogate in what it is pickled as", lambda: reduced_to("\udcff"), fails(ValueError, "as it was")),
    row("a lone surrogate in an OSError's file name", lambda: OSError(2, "No such file", "\udcff"), fails(FileNotFoundError, "No such file")),
    row("notes that are no strings", lambda: with_notes(7, None, object), fails(ValueError, "with notes")),
    row("notes that are no list", lambda: with_notes_that_are(7), fails(ValueError, "with notes")),
    *(
        row(f"its {method} raises {error.__name__}", lambda m=method, e=error: hostile(m, lambda: e("hostile")), fails(kind, f"^Hostile: {text}"), slow=error is not SystemExit)
        for error in (SystemExit, GeneratorExit, asyncio.CancelledError, ValueError, RecursionError, StopIteration)
        for method, kind, text in (("__str__", "Hostile", r"\(str\(\) of it raised"), ("__repr__", "Hostile", "hostile"), ("__reduce__", ExecutionFailed, "hostile"), ("__reduce_ex__", ExecutionFailed, "hostile"))
    ),
    row("its __str__ returns no string", lambda: type("Odd", (Exception,), {"__str__": lambda self: 7})(), fails("Odd", "^Odd: ")),
    row("its __class__ is a lie", lambda: type("Odd", (Exception,), {"__class__": property(lambda self: int)})("lies"), fails("", "lies")),
    row("its __traceback__ cannot be read", lambda: type("Odd", (Exception,), {"__getattribute__": lambda self, name: 1 / 0})("odd"), fails()),
    row("it cannot be pickled", Unpicklable, fails(ExecutionFailed, "^Unpicklable: holds a lock$")),
    row("it cannot be unpickled", lambda: TwoArguments(1, 2), fails(ExecutionFailed, "^TwoArguments: 1 and 2$")),
    row("its class cannot say what it is", OfAHostileClass, fails(ExecutionFailed)),
    row("its class has an endless name", lambda: named("x" * 1_000_000), fails("x" * 1_000_000, "^xxx")),
    row("its text is endless", lambda: ValueError("x" * 1_000_000), fails(ValueError, "^ValueError: xxx")),
    row("its text has a null and line breaks", lambda: ValueError("a\0b\r\nc"), fails(ValueError, "a\0b\r\nc")),
    row("it has no text", lambda: ValueError(), fails(ValueError, "^ValueError: $")),
    row(f"groups that are nested {DEPTH} deep", nested, fails(ExecutionFailed, "around")),
    row("groups that are nested 100 deep", lambda: nested(100), fails(ExceptionGroup, "around")),
    *(row(f"a {attribute} of a {attribute}, {DEPTH} times", lambda a=attribute: chained(a), fails(ValueError, "the last")) for attribute in ("__cause__", "__context__")),
    *(row(f"a {attribute} that is a cycle", lambda a=attribute: cyclic(a), fails(ValueError, "one")) for attribute in ("__cause__", "__context__")),
    row("a group of everything that ends a program", lambda: BaseExceptionGroup("all", [SystemExit(3), GeneratorExit(), ValueError("one")]), fails(ExecutionFailed, "^BaseExceptionGroup: all")),
]  # fmt: skip
