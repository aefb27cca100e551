"""Where pydocket keeps the progress of executions and their events."""

from .client import ExecutionProgress
from .store import ProgressEvent, StateEvent

__all__ = ["ExecutionProgress", "ProgressEvent", "StateEvent"]
