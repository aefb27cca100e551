"""When a task that a worker does not know is taken again. Pure: the caller brings the randomness."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["delay_until_known"]

ZERO = timedelta(0)

#: No live worker knows the task. The program that does may be deployed at any time; there is no hurry.
UNKNOWN_FIRST, UNKNOWN_LONGEST = timedelta(seconds=1), timedelta(minutes=1)

#: Some worker does, but has not taken it yet: the workers that know it are busy.
BUSY_FIRST, BUSY_LONGEST = timedelta(milliseconds=20), timedelta(seconds=5)

#: How many rounds through a fleet a task makes without a pause; one round should be enough on average.
ROUNDS_AT_ONCE = 2


def delay_until_known(waited: timedelta, times: int, *, share: float, luck: float) -> timedelta:
    """The next pause of a task that was put back ``times`` so far, for ``waited`` in all.

    ``share`` is the part of the fleet that knows it; ``luck``, a random number from 0 to 1, shortens the pause by up to
    a half, so that tasks that came together spread. Where one of n workers knows a task, that one takes it after n
    times on average: at first there is no pause, then it doubles with every n times. Where no worker knows the task,
    the pause doubles every time.
    """
    if share <= 0:
        pause = min(max(waited, UNKNOWN_FIRST), UNKNOWN_LONGEST)
    elif (rounds := times * share) < ROUNDS_AT_ONCE:
        return ZERO
    else:
        pause = min(BUSY_FIRST * 2 ** min(rounds - ROUNDS_AT_ONCE, 20), BUSY_LONGEST)
    return pause * (1 - luck / 2)
