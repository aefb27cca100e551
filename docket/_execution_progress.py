"""Where pydocket keeps the progress of executions and their events."""

from .events import ProgressEvent, StateEvent
from .progress import ExecutionProgress

__all__ = ["ExecutionProgress", "ProgressEvent", "StateEvent"]
