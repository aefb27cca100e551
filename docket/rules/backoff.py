"""Whether a failed attempt is repeated, and when. Pure: the caller supplies the time and the random numbers."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..values import hot_value
from .exceptions import is_a, leaves

__all__ = ["RetryPolicy"]

ZERO = timedelta(0)


@hot_value(kw_only=True)
class RetryPolicy:
    """When failed attempts are repeated.

    ``attempts`` is their total number (None: no limit). ``delay`` is the pause before the second one; with a
    ``maximum_delay`` it doubles from attempt to attempt up to that. ``jitter``, a fraction from 0 to 1, shortens each
    pause by up to this fraction. Only errors of the types ``on`` are retried, and none of ``never_on``. No attempt
    begins more than ``maximum_age`` after the first one was due.
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
        # No duration is 2**67 times the shortest one, so greater powers need not be computed.
        if doublings >= 67 or 2**doublings >= longest / self.delay:
            return longest
        return self.delay * 2**doublings

    def shortened(self, delay: timedelta, luck: float) -> timedelta:
        """A delay with its jitter; ``luck`` is a random number from 0 to 1."""
        return delay * (1 - self.jitter * luck) if self.jitter else delay

    def concerns(self, error: BaseException, *, asked: type[BaseException] | None = None) -> bool:
        """Whether an error is retried. A group is, if each error in it is.

        An error of type ``asked`` requests another attempt, regardless of ``on`` and ``never_on``.
        """
        if not is_a(error, BaseExceptionGroup):
            return self._concerns(error, asked)
        return all(self._concerns(part, asked) for part in leaves(error))

    def _concerns(self, error: BaseException, asked: type[BaseException] | None) -> bool:
        if asked is not None and isinstance(error, asked):
            return True
        return isinstance(error, self.on) and not isinstance(error, self.never_on)

    def allows(self, attempt: int, *, at: datetime, first: datetime) -> bool:
        """Whether another attempt may follow the ``attempt``-th one at the moment ``at``.

        The first one was due at ``first``.
        """
        if self.attempts is not None and attempt >= self.attempts:
            return False
        return self.maximum_age is None or at - first <= self.maximum_age
