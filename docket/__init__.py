"""Distributed background tasks for Python functions on Redis Streams, on asyncio and trio.

Everything is imported when it is first used, so that a program which only adds work does not pay for the worker.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import testing as testing
    from .dependencies import CallArgument as CallArgument
    from .dependencies import CurrentDocket as CurrentDocket
    from .dependencies import CurrentExecution as CurrentExecution
    from .dependencies import CurrentWorker as CurrentWorker
    from .dependencies import CycleError as CycleError
    from .dependencies import Depends as Depends
    from .dependencies import Perpetual as Perpetual
    from .dependencies import Retry as Retry
    from .dependencies import Shared as Shared
    from .dependencies import TaskArgument as TaskArgument
    from .dependencies import TaskKey as TaskKey
    from .dependencies import TaskLogger as TaskLogger
    from .docket import Docket as Docket
    from .execution import Disposition as Disposition
    from .execution import Execution as Execution
    from .execution import ExecutionCancelled as ExecutionCancelled
    from .execution import ExecutionState as ExecutionState
    from .execution import TaskCall as TaskCall
    from .worker import Worker as Worker

__version__ = "0.1.0"

#: Name to module, for everything that is imported when it is asked for.
_HOMES = {
    **dict.fromkeys(
        (
            "CallArgument", "CurrentDocket", "CurrentExecution", "CurrentWorker", "CycleError", "Depends", "Perpetual",
            "Retry", "Shared", "TaskArgument", "TaskKey", "TaskLogger",
        ),
        "dependencies",
    ),
    **dict.fromkeys(("Disposition", "Execution", "ExecutionCancelled", "ExecutionState", "TaskCall"), "execution"),
    "Docket": "docket",
    "Worker": "worker",
}  # fmt: skip

__all__ = ["__version__", "testing", *sorted(_HOMES)]  # noqa: PLE0604 - names, computed


def __getattr__(name: str) -> Any:
    if name == "testing":
        return importlib.import_module(".testing", __name__)
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
