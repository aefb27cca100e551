"""Pickles whose loading leaves a trace, and what counts what is trusted."""

from __future__ import annotations

import pickle
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from docket.signals import Subscriber, signals

__all__ = ["KEY", "OTHER", "TRACES", "Counts", "counted", "sprung", "trap"]

KEY, OTHER = "the key of these tests, which is long enough", "another key of these tests, as long as that"

TRACES: list[str] = []
"""What traps have left. Empty unless something was unpickled that must not be."""


def sprung(where: str) -> tuple[Any, ...]:
    """What a trap calls as it is unpickled."""
    TRACES.append(where)
    return ()


class _Trap:
    def __init__(self, where: str) -> None:
        self._where = where

    def __reduce__(self) -> tuple[Any, ...]:
        return sprung, (self._where,)


def trap(where: str) -> bytes:
    """A pickle that makes an empty tuple, and leaves a trace."""
    return pickle.dumps(_Trap(where))


class Counts(Subscriber):
    def __init__(self) -> None:
        self.accepted = self.refused = 0

    def unsigned(self, docket: str) -> None:
        self.accepted += 1

    def untrusted(self, docket: str) -> None:
        self.refused += 1


@contextmanager
def counted() -> Generator[Counts]:
    """Count what is accepted unsigned, and what is refused."""
    counts = Counts()
    signals.subscribers.append(counts)
    try:
        yield counts
    finally:
        signals.subscribers.remove(counts)
