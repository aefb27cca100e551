"""What becomes of a call whose key is in use."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ..errors import UsageError
from ..text import text_of

__all__ = ["IfRunning", "check_if_running"]

IfRunning: TypeAlias = Literal["skip", "once_more"]
"""``skip``: nothing is placed. ``once_more``: it runs after the run that has begun, unless a later one does so."""


def check_if_running(if_running: object, key: str | None) -> bool:
    """Whether it says that a call under this key is to run once more. Raises: UsageError (a ValueError)."""
    match if_running:
        case "skip":
            return False
        case "once_more" if key is None:
            raise UsageError(
                'if_running="once_more" needs a key=: without one each call has a key of its own'
            )
        case "once_more":
            return True
        case _:
            raise UsageError(f"if_running takes 'skip' or 'once_more', not {text_of(if_running, repr)}")
