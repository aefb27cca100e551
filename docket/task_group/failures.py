"""The exceptions that children of a group have failed with, as they come out of its block."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..client import read_failure
from ..errors import ExecutionFailed, ResultExpired
from ..execution import Execution
from ..rules import ExecutionState
from ..text import readable

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["MOST_FAILURES", "failure_of", "without_double"]

#: How many failures of children an ExceptionGroup has at most: each is read from the server.
MOST_FAILURES = 100


async def failure_of(docket: Docket, key: str, child: Execution[Any] | None) -> Exception | None:
    """What a child has failed with, noted which child that was. None: another run has its key by now.

    Raises: RedisError.
    """
    if child is None and (child := await docket.get_execution(key)) is None:
        return ExecutionFailed(f"execution {key!r} failed, and nothing is kept of it any more")
    if await child.refresh() is not None and child.state is not ExecutionState.FAILED:
        return None
    failure = await read_failure(docket.store, child)
    if type(failure) is ResultExpired:
        failure = ExecutionFailed(
            f"execution {key!r} failed, and its exception is not kept: its time to live is over"
        )
    with suppress(Exception):  # it may be of a class that takes no notes
        failure.add_note(f"in task {readable(child.function_name)!r}, key {readable(key)!r}")
    return failure


def without_double(error: Exception, failures: list[Exception]) -> list[Exception]:
    """The failures of children without the one that the body has raised itself: ``get_result`` raises it there, too.

    Whichever comes first, that or the word of the failure, out of the block comes the same. Which child it was is noted
    on the body's.
    """
    for failure in failures:
        if _are_same(error, failure):
            with suppress(Exception):
                error.add_note(failure.__notes__[-1])
            return [each for each in failures if each is not failure]
    return failures


def _are_same(error: Exception, failure: Exception) -> bool:
    """Whether both are the failure of one run: the worker's traceback is a note on what ``get_result`` raises."""
    try:
        notes = [*error.__notes__]
        return bool(notes) and type(error) is type(failure) and notes == failure.__notes__[: len(notes)]
    except Exception:  # noqa: BLE001 - one has no notes, or its class hides them
        return False
