"""The only place that reads the time (I10).

``now()`` and ``timestamp()`` are the wall clock. Where a virtual clock drives the running event loop (trio's
``MockClock``, or the virtual asyncio loop of ``docket.testing``) they follow that clock instead: ``anyio.sleep``,
schedules and expiries then have the same time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

import anyio

__all__ = [
    "add_virtual_source",
    "is_virtual",
    "monotonic",
    "now",
    "perf_counter",
    "timestamp",
    "wait_for_ever",
]

#: Wall time minus loop time, per virtual clock: fixed when the clock is first read.
_offsets: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

#: Functions that return the virtual clock object that drives the running loop, or None. Only docket.testing adds one,
#: for its asyncio loop; in production the list stays empty.
_sources: list[Callable[[], Any]] = []


def add_virtual_source(source: Callable[[], Any]) -> None:
    """Ask ``source`` from now on which virtual clock, if any, drives the running event loop."""
    if source not in _sources:
        _sources.append(source)


def _trio_mock_clock() -> Any:
    # While another thread imports either module it lacks these names; then no run of trio calls this.
    mock_clock = getattr(sys.modules.get("trio.testing"), "MockClock", None)
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)
    if mock_clock is None or lowlevel is None:
        return None
    try:
        driver = lowlevel.current_clock()
    except RuntimeError:  # not called from a trio run
        return None
    return driver if isinstance(driver, mock_clock) else None


def _virtual() -> Any:
    for source in _sources:
        if (driver := source()) is not None:
            return driver
    return _trio_mock_clock()


def is_virtual() -> bool:
    """Whether a virtual clock drives the running event loop."""
    return (bool(_sources) or "trio.testing" in sys.modules) and _virtual() is not None


def timestamp() -> float:
    """Seconds since the epoch, as a float."""
    if not _sources and "trio.testing" not in sys.modules:
        return time.time()
    driver = _virtual()
    if driver is None:
        return time.time()
    loop_time = anyio.current_time()
    offset = _offsets.get(driver)
    if offset is None:
        offset = _offsets[driver] = time.time() - loop_time
    return offset + loop_time


def now() -> datetime:
    """The aware wall clock time in UTC. A virtual clock may run beyond the calendar, which ends with the year 9999."""
    if not _sources and "trio.testing" not in sys.modules:
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(timestamp(), UTC)
    except (OverflowError, ValueError):
        return datetime.max.replace(tzinfo=UTC)


def monotonic() -> float:
    """Seconds of the event loop's clock; for waits and durations inside a running loop."""
    return anyio.current_time()


async def wait_for_ever() -> None:
    """Wait until cancelled.

    Unlike `anyio.sleep_forever`: for that asyncio keeps a timer, and with it the context of the task that waited, with
    the docket, the worker and the run.
    """
    await anyio.Event().wait()


perf_counter = time.perf_counter
"""Seconds of real processor-independent time, for measurements that a virtual clock must not bend."""
