"""Short names for the durations that tests are full of."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["ms", "s"]


def ms(number: float) -> timedelta:
    return timedelta(milliseconds=number)


def s(number: float) -> timedelta:
    return timedelta(seconds=number)
