"""Distributed background tasks for Python functions on Redis Streams, on asyncio and trio.

Everything is imported when it is first used, so that a program which only adds work does not pay for the worker.
"""

from __future__ import annotations

from . import mixture as mixture  # warns where pydocket is installed beside this

#: True to type checkers, as typing's is. To import typing would be a third of what this import costs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import testing as testing
    from .agenda import Agenda as Agenda
    from .annotations import Logged as Logged
    from .dependencies import CallArgument as CallArgument
    from .dependencies import ConcurrencyLimit as ConcurrencyLimit
    from .dependencies import Cooldown as Cooldown
    from .dependencies import Cron as Cron
    from .dependencies import CurrentDocket as CurrentDocket
    from .dependencies import CurrentExecution as CurrentExecution
    from .dependencies import CurrentWorker as CurrentWorker
    from .dependencies import CycleError as CycleError
    from .dependencies import Debounce as Debounce
    from .dependencies import Depends as Depends
    from .dependencies import ExponentialRetry as ExponentialRetry
    from .dependencies import FairShare as FairShare
    from .dependencies import Perpetual as Perpetual
    from .dependencies import Progress as Progress
    from .dependencies import RateLimit as RateLimit
    from .dependencies import Retry as Retry
    from .dependencies import Shared as Shared
    from .dependencies import TaskArgument as TaskArgument
    from .dependencies import TaskKey as TaskKey
    from .dependencies import TaskLogger as TaskLogger
    from .dependencies import Timeout as Timeout
    from .docket import Docket as Docket
    from .execution import Cancellation as Cancellation
    from .execution import Disposition as Disposition
    from .execution import Execution as Execution
    from .execution import ExecutionCancelled as ExecutionCancelled
    from .execution import ExecutionExpired as ExecutionExpired
    from .execution import ExecutionState as ExecutionState
    from .execution import RemoteTask as RemoteTask
    from .execution import TaskCall as TaskCall
    from .execution import remote_task as remote_task
    from .rules import Priority as Priority
    from .strikelist import StrikeList as StrikeList
    from .task_group import TaskGroup as TaskGroup
    from .worker import EndedRun as EndedRun
    from .worker import Worker as Worker

__version__ = "0.1.0"

__all__ = [
    "Agenda",
    "CallArgument",
    "Cancellation",
    "ConcurrencyLimit",
    "Cooldown",
    "Cron",
    "CurrentDocket",
    "CurrentExecution",
    "CurrentWorker",
    "CycleError",
    "Debounce",
    "Depends",
    "Disposition",
    "Docket",
    "EndedRun",
    "Execution",
    "ExecutionCancelled",
    "ExecutionExpired",
    "ExecutionState",
    "ExponentialRetry",
    "FairShare",
    "Logged",
    "Perpetual",
    "Priority",
    "Progress",
    "RateLimit",
    "RemoteTask",
    "Retry",
    "Shared",
    "StrikeList",
    "TaskArgument",
    "TaskCall",
    "TaskGroup",
    "TaskKey",
    "TaskLogger",
    "Timeout",
    "Worker",
    "__version__",
    "remote_task",
    "testing",
]

#: Where the names are that are not dependencies.
_HOMES = {
    **dict.fromkeys(
        (
            "Cancellation",
            "Disposition",
            "Execution",
            "ExecutionCancelled",
            "ExecutionExpired",
            "ExecutionState",
            "RemoteTask",
            "TaskCall",
            "remote_task",
        ),
        "execution",
    ),
    "Agenda": "agenda",
    "Docket": "docket",
    "Priority": "rules",
    "StrikeList": "strikelist",
    "TaskGroup": "task_group",
    "Logged": "annotations",
    "EndedRun": "worker",
    "Worker": "worker",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    if name == "testing":
        return importlib.import_module(".testing", __name__)
    home = importlib.import_module(f".{_HOMES.get(name, 'dependencies')}", __name__)
    value = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
