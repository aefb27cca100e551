"""The true type of an error and the true content of an exception group, whatever their classes claim."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeGuard, TypeVar, cast

__all__ = ["alone", "is_a", "leaves", "only_one_of", "unfolds"]

E = TypeVar("E", bound=BaseException)

#: A group with more errors, counted once for each place, is not shown.
_MOST = 10_000


def is_a(error: BaseException, kinds: type[E] | tuple[type[E], ...]) -> TypeGuard[E]:
    """`isinstance` by the true type: a class may return anything as ``__class__``, or raise (I9)."""
    return issubclass(type(error), kinds)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group and of all groups within it, in order; for any other error, that error.

    A group in several places counts once.
    """
    waiting = [error]
    seen: set[int] = set()
    while waiting:
        error = waiting.pop()
        if not is_a(error, BaseExceptionGroup):
            yield error
        elif id(error) not in seen:  # two of two of two ... would never end
            seen.add(id(error))
            waiting += reversed(_parts(error))


def only_one_of(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The only error in a group, also if several tasks have raised the same one; None if they differ."""
    found = list(leaves(group))
    return found[0] if len({(type(error), str(error)) for error in found}) == 1 else None


@contextmanager
def alone() -> Generator[None]:
    """Raise the only error of a group by itself; a group of several as it is."""
    try:
        yield
    except BaseExceptionGroup as errors:
        if (only := only_one_of(errors)) is None:
            raise
        raise only from only.__cause__


def unfolds(error: BaseException) -> bool:
    """Whether a group is small enough to be shown as a whole, as a traceback does; what is no group is."""
    if not is_a(error, BaseExceptionGroup):
        return True
    waiting: list[BaseException] = [error]
    count = 0
    while waiting and count < _MOST:
        count += 1
        error = waiting.pop()
        if is_a(error, BaseExceptionGroup):
            waiting += _parts(error)
    return not waiting


def _parts(group: BaseException) -> tuple[BaseException, ...]:
    # Not `group.exceptions`: a subclass may return anything, also itself.
    return cast("tuple[BaseException, ...]", BaseExceptionGroup.exceptions.__get__(group))  # pyright: ignore
