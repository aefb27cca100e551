"""What an error is and what an exception group holds, whatever its class claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard, TypeVar, cast

__all__ = ["is_a", "leaves", "only_one_of", "unfolds"]

E = TypeVar("E", bound=BaseException)

#: With more errors in it, one in several places counted each time, a group is not shown.
_MOST = 10_000


def is_a(error: BaseException, kinds: type[E] | tuple[type[E], ...]) -> TypeGuard[E]:
    """Whether it truly is: `isinstance` asks ``__class__``, too, which may say anything, or raise (I9)."""
    return issubclass(type(error), kinds)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group and in the groups in it, however deep, in order; an error that is no group itself.

    A group that is in several places counts once.
    """
    waiting, seen = [error], set[int]()
    while waiting:
        error = waiting.pop()
        if not is_a(error, BaseExceptionGroup):
            yield error
        elif id(error) not in seen:  # two of two of two ... are more than anybody can count
            seen.add(id(error))
            waiting += reversed(_parts(error))


def only_one_of(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The one error in a group, also where several tasks met the same one; None if they differ."""
    found = list(leaves(group))
    return found[0] if len({(type(error), str(error)) for error in found}) == 1 else None


def unfolds(error: BaseException) -> bool:
    """Whether who shows all that is in a group, as a traceback does, comes to an end."""
    waiting, count = [error], 0
    while waiting and count < _MOST:
        count += 1
        error = waiting.pop()
        if is_a(error, BaseExceptionGroup):
            waiting += _parts(error)
    return not waiting


def _parts(group: BaseException) -> tuple[BaseException, ...]:
    # Not `group.exceptions`: a subclass may answer anything, also itself.
    return cast("tuple[BaseException, ...]", BaseExceptionGroup.exceptions.__get__(group))  # pyright: ignore
