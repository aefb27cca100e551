"""What a task asks for in its signature. The engine underneath is the ``uncalled-for`` package."""

from uncalled_for import (
    CallArgument,
    CycleError,
    Depends,
    FailedDependency,
    get_annotation_dependencies,
    get_dependency_parameters,
    resolved_dependencies,
    validate_dependencies,
)

from .base import (
    CompletionHandler,
    Dependency,
    FailureHandler,
    Runtime,
    TaskOutcome,
    current_docket,
    current_execution,
    current_worker,
    format_duration,
)
from .contextual import CurrentDocket, CurrentExecution, CurrentWorker, TaskArgument, TaskKey, TaskLogger
from .cron import Cron
from .perpetual import Perpetual
from .progress import Progress
from .retry import ExponentialRetry, ForcedRetry, Retry
from .timeout import Timeout

__all__ = [
    "CallArgument",
    "CompletionHandler",
    "Cron",
    "CurrentDocket",
    "CurrentExecution",
    "CurrentWorker",
    "CycleError",
    "Dependency",
    "Depends",
    "ExponentialRetry",
    "FailedDependency",
    "FailureHandler",
    "ForcedRetry",
    "Perpetual",
    "Progress",
    "Retry",
    "Runtime",
    "TaskArgument",
    "TaskKey",
    "TaskLogger",
    "TaskOutcome",
    "Timeout",
    "current_docket",
    "current_execution",
    "current_worker",
    "format_duration",
    "get_annotation_dependencies",
    "get_dependency_parameters",
    "resolved_dependencies",
    "validate_dependencies",
]
