"""Structured concurrency across machines: a block that is left once the tasks that were added in it have ended."""

from .children import ChildCall
from .group import OnFailure, TaskGroup

__all__ = ["ChildCall", "OnFailure", "TaskGroup"]
