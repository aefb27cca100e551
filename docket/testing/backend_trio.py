"""The virtual clock of trio, imported only if trio is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple, Unpack

import trio
from trio.testing import MockClock

__all__ = ["run", "virtual_clock"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


def virtual_clock() -> MockClock:
    """A clock that jumps to the next deadline as soon as every task waits; for one run."""
    return MockClock(autojump_threshold=0)


def run(function: Callable[[Unpack[Ts]], Awaitable[R]], *args: *Ts) -> R:
    """``trio.run`` under a virtual clock (``anyio.run`` loses a clock in older releases of anyio)."""
    return trio.run(function, *args, clock=virtual_clock())
