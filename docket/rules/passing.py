"""When a task that a worker does not know is looked at again. Pure: the caller brings the randomness."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["delay_until_known"]

#: Nobody alive knows the task: the program that does may be deployed at any time, and nobody waits in a hurry.
UNKNOWN_FIRST, UNKNOWN_LONGEST = timedelta(seconds=1), timedelta(minutes=1)

#: Somebody does: the next one to take it may be the right one.
ELSEWHERE_FIRST, ELSEWHERE_LONGEST = timedelta(milliseconds=20), timedelta(seconds=5)


def delay_until_known(waited: timedelta, *, elsewhere: bool, luck: float) -> timedelta:
    """The next pause of a task that was put back for ``waited`` so far.

    ``elsewhere`` says whether a worker that lives knows it: then the pause is short, and grows by half each time;
    else it doubles. ``luck``, a random number from 0 to 1, shortens it by up to a half: what came together parts.
    """
    if elsewhere:
        pause = min(max(waited / 2, ELSEWHERE_FIRST), ELSEWHERE_LONGEST)
    else:
        pause = min(max(waited, UNKNOWN_FIRST), UNKNOWN_LONGEST)
    return pause * (1 - luck / 2)
