"""Helpers for the tests of programs that use docket: assertions, time travel, fixtures (`docket.testing.fixtures`)."""

from __future__ import annotations

from .assertions import (
    assert_no_tasks,
    assert_task_count,
    assert_task_not_scheduled,
    assert_task_scheduled,
)
from .backend_asyncio import VirtualEventLoop
from .clocks import VirtualClock, run, virtual_backend, virtual_backends
from .travel import run_until

__all__ = [
    "VirtualClock",
    "VirtualEventLoop",
    "assert_no_tasks",
    "assert_task_count",
    "assert_task_not_scheduled",
    "assert_task_scheduled",
    "run",
    "run_until",
    "virtual_backend",
    "virtual_backends",
]
