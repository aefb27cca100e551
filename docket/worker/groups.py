"""What is in an exception group: task groups raise them, and callers want the error itself."""

from __future__ import annotations

from ..rules import leaves

__all__ = ["only_one_of"]


def only_one_of(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The one error in a group, also where several tasks met the same one; None if they differ."""
    found = list(leaves(group))
    return found[0] if len({(type(error), str(error)) for error in found}) == 1 else None
