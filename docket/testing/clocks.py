"""Time travel for tests: both event loops with a clock that jumps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar, TypeVarTuple, Unpack

import anyio

from .. import clock
from ..errors import UsageError
from ..moments import check_duration
from .backend_asyncio import VirtualEventLoop

__all__ = ["VirtualClock", "run", "virtual_backend", "virtual_backends"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class VirtualClock:
    """The clock of a test whose time passes without waiting."""

    def now(self) -> datetime:
        """The present moment, for docket and for ``anyio.sleep``; to be called in the test's event loop."""
        return clock.now()

    async def advance(self, by: timedelta) -> None:
        """Let time pass; everything due meanwhile happens. Raises: TypeError, UsageError - ``by`` is no duration."""
        await anyio.sleep(check_duration("by", by).total_seconds())


def virtual_backend(name: str = "asyncio") -> tuple[Literal["asyncio", "trio"], dict[str, Any]]:
    """The value of anyio's ``anyio_backend`` fixture that runs a test in virtual time::

        @pytest.fixture(params=["asyncio", "trio"])
        def anyio_backend(request):
            return docket.testing.virtual_backend(request.param)

    Shapes: a fresh pair of the backend's name and its options; use it for one test or run.
    Time:   ``anyio.sleep``, deadlines and ``docket.clock`` (so schedules, leases and expiries) pass without
            waiting as soon as every task waits. On ``memory://`` only: a real server keeps real time, and
            waiting for one looks idle. A worker thread holds the clock on asyncio (``VirtualEventLoop``); on
            trio it looks idle too, so give such a test ``MockClock(autojump_threshold=0.05)`` by hand. Code
            in a worker thread reads the real time, unless it asks with ``anyio.from_thread``.
    Raises: UsageError - there is no virtual clock of that name (uvloop keeps its own time); ImportError -
            trio is asked for and not installed.
    Source: https://anyio.readthedocs.io/en/stable/testing.html,
            https://trio.readthedocs.io/en/stable/reference-testing.html#time-and-timeouts
    """
    if name == "asyncio":
        return "asyncio", {"loop_factory": VirtualEventLoop}
    if name == "trio":
        from .backend_trio import virtual_clock

        return "trio", {"clock": virtual_clock()}
    raise UsageError(f"no virtual clock for {name!r}: take 'asyncio' or 'trio'")


def virtual_backends() -> list[tuple[Literal["asyncio", "trio"], dict[str, Any]]]:
    """``virtual_backend`` of asyncio and of trio, each fresh; ImportError if trio is not installed."""
    return [virtual_backend("asyncio"), virtual_backend("trio")]


def run(function: Callable[[Unpack[Ts]], Awaitable[R]], *args: *Ts, backend: str = "asyncio") -> R:
    """Run an async function to its end in virtual time, as ``anyio.run`` would in real time.

    Time:   starts at the present and moves on as ``virtual_backend`` says; each run has a clock of its own.
    Raises: what the function raises; UsageError and ImportError as ``virtual_backend``.
    """
    if backend == "trio":
        from . import backend_trio

        return backend_trio.run(function, *args)
    name, options = virtual_backend(backend)
    return anyio.run(function, *args, backend=name, backend_options=options)
