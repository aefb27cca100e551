"""Whether a failed attempt is repeated, and when. Pure: the caller brings the time and the randomness."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TypeGuard, TypeVar, cast

import attrs

__all__ = ["RetryPolicy", "is_a", "leaves", "unfolds"]

E = TypeVar("E", bound=BaseException)

ZERO = timedelta(0)


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


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When failed attempts are repeated.

    ``attempts`` is how many there are in all (None: no limit). ``delay`` passes before the second one; with a
    ``maximum_delay`` it doubles from attempt to attempt up to that. ``jitter``, a fraction from 0 to 1, shortens
    each delay by up to so much of it. Only errors of the types ``on`` are retried, and none of ``never_on``.
    ``maximum_age`` is how long after the first attempt was due the last one may begin.
    """

    attempts: int | None = 1
    delay: timedelta = ZERO
    maximum_delay: timedelta | None = None
    jitter: float = 0.0
    on: tuple[type[BaseException], ...] = (BaseException,)
    never_on: tuple[type[BaseException], ...] = ()
    maximum_age: timedelta | None = None

    def delay_after(self, attempt: int) -> timedelta:
        """The pause that follows the ``attempt``-th attempt (from 1), before any jitter. Cannot overflow."""
        longest = self.maximum_delay
        if longest is None or not self.delay:
            return self.delay
        doublings = max(attempt - 1, 0)
        # No duration is 2**67 of the shortest, so a greater number need not be computed.
        if doublings >= 67 or 2**doublings >= longest / self.delay:
            return longest
        return self.delay * 2**doublings

    def shortened(self, delay: timedelta, luck: float) -> timedelta:
        """A delay with its jitter; ``luck`` is a random number from 0 to 1."""
        return delay * (1 - self.jitter * luck) if self.jitter else delay

    def concerns(self, error: BaseException, *, asked: type[BaseException] | None = None) -> bool:
        """Whether an error is one that is retried. A group is if each error in it is.

        What is of type ``asked`` is the wish for another attempt, whatever ``on`` and ``never_on`` say.
        """
        parts = [part for part in leaves(error) if asked is None or not isinstance(part, asked)]
        return all(isinstance(part, self.on) and not isinstance(part, self.never_on) for part in parts)

    def allows(self, attempt: int, *, at: datetime, first: datetime) -> bool:
        """Whether after the ``attempt``-th attempt there may be another ``at`` some moment.

        ``first`` is when the first one was due.
        """
        if self.attempts is not None and attempt >= self.attempts:
            return False
        return self.maximum_age is None or at - first <= self.maximum_age
