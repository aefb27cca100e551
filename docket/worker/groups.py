"""What is in an exception group: task groups raise them, and callers want the error itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

__all__ = ["leaves", "only_one_of"]


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group and the groups in it; an error that is no group itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from leaves(inner)
    else:
        yield error


def only_one_of(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The one error in a group, also where several tasks met the same one; None if they differ."""
    found = list(leaves(group))
    return found[0] if len({(type(error), str(error)) for error in found}) == 1 else None
