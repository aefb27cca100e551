"""How the block of a group is left: its children have ended, or are asked to, and what they failed with comes out."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import attrs
from anyio.lowlevel import checkpoint

from ..errors import ExecutionCancelled, ExecutionFailed
from ..standins import redis_errors
from ..values import define
from .failures import MOST_FAILURES, failure_of, without_double
from .nest import Nest
from .openers import DOOMED_LOOK, PROGRAM_LEASE
from .view import Stop

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["Leaving"]

logger = logging.getLogger("docket.docket")

#: Seconds that the server gets at least to be told who is to be cancelled, however short the patience is.
TELLING = 5.0

_DOOMED_TASK = (
    "the task group was cancelled from outside: another run has taken the place of its parent, or the record of that "
    "is gone"
)
_DOOMED_PROGRAM = (
    f"the task group was cancelled by workers: this program gave no sign for {PROGRAM_LEASE.seconds} s. Its event loop "
    "was blocked, or it could not reach the server"
)


@define(eq=False)
class Leaving:
    """The end of one block; ``patience`` is how long children that are asked to stop are waited for."""

    docket: Docket
    nest: Nest
    patience: timedelta
    _is_closed: bool = attrs.field(init=False, default=False)
    _has_more: bool = attrs.field(init=False, default=False)
    _failures: list[Exception] = attrs.field(init=False, factory=list[Exception])

    async def leave(self, error: BaseException | None) -> None:
        """Wait for the children, or cancel them if the body has raised ``error`` or the group is stopped.

        Raises: what comes out of the block. An ``error`` that is no Exception, such as a cancellation, is raised as it
        is, at the latest once ``patience`` is over (I6).
        """
        view = self.nest.view
        try:
            error = await self.see_to_children(error)
            if error is not None:
                self._failures = [error, *without_double(error, self._failures)]
            if self._failures:
                more = f" (the first {MOST_FAILURES} of more)" if self._has_more else ""
                raise ExceptionGroup(f"unhandled errors in a task group{more}", self._failures) from None
            if view.stopped is Stop.DOOMED and not self._is_closed:
                raise ExecutionCancelled(_DOOMED_TASK if view.group.parent else _DOOMED_PROGRAM)
        finally:
            del error  # its traceback leads to this frame
            self._failures = []

    async def see_to_children(self, error: BaseException | None) -> Exception | None:
        """Wait until nobody is under way, or cancel who is; return what the block is left with besides failures.

        Raises: what is no Exception, such as a cancellation.
        """
        opener, view = self.nest.opener, self.nest.view
        try:
            view.is_cut_short = error is not None
            async with opener.stepping_aside(view):
                error = await self._until_nobody_is_under_way(error)
                if error is not None and not isinstance(error, Exception):
                    raise error  # in here: then it does not wait for a place to go on in
                return error
        finally:
            self.nest.is_left = True
            self.nest.view.notify()  # others may wait in it
            await opener.stop_listening()
            del error

    async def _until_nobody_is_under_way(self, error: BaseException | None) -> BaseException | None:
        opener, view = self.nest.opener, self.nest.view
        try:
            if error is None and view.stopped is None:
                error = await self._wait()
            if opener.goes_on_elsewhere and (error is not None or view.stopped is not None):
                if error is None:
                    await checkpoint()  # its worker has stopped the body
                return error  # whoever runs it next finds the children where they are
            is_away = isinstance(error, redis_errors.RedisError)
            if error is not None or view.stopped is not None:
                view.is_cut_short = True
                interruption = await self._cancel_children()
                is_away = is_away or isinstance(interruption, redis_errors.RedisError)
                error = _first(interruption, error)
                await self._close()
            if not is_away and (error is None or isinstance(error, Exception)):
                error = _first(await self._read_failures(), error)
            return error
        finally:
            del error

    async def _wait(self) -> BaseException | None:
        """Wait until the group is closed with nobody under way, or is stopped; return what has interrupted that."""
        view = self.nest.view

        async def is_over() -> bool:
            return view.stopped is not None or await view.is_idle()

        try:
            while True:
                await view.wait(is_over)
                # Somebody may add one yet as the last one ends; then it stays open.
                if view.stopped is not None:
                    return None
                self._is_closed = await view.insist(lambda: view.groups.close(view.group))
                if self._is_closed:
                    return None
        except BaseException as interruption:  # noqa: BLE001 - cancelled, or the server stays away
            return interruption

    async def _cancel_children(self) -> BaseException | None:
        """Cancel who is under way and wait for them, for ``patience`` at most; return what has interrupted that."""
        view, patience = self.nest.view, self.patience.total_seconds()
        began = anyio.current_time()
        try:
            with (
                anyio.move_on_after(max(patience, TELLING), shield=True) as scope,
                self.nest.opener.patient(scope),
            ):
                if await view.insist(lambda: view.groups.cancel(view.group, DOOMED_LOOK)):
                    scope.deadline = began + patience
                    await view.wait(view.is_idle)
            if scope.cancelled_caught:
                logger.warning(
                    "Children of task group %s are asked to stop, and have not ended within %s s",
                    view.group.id,
                    round(anyio.current_time() - began, 3),
                )
            return None
        except BaseException as interruption:  # noqa: BLE001 - cancelled in a way that no scope shields from
            if isinstance(interruption, redis_errors.RedisError):
                logger.warning(
                    "Children of task group %s could not be cancelled: %s", view.group.id, interruption
                )
            return interruption

    async def _close(self) -> None:
        """Say that the group was left; where some are under way all the same, let workers see to them."""
        view = self.nest.view
        with anyio.move_on_after(TELLING, shield=True):
            try:
                if not await view.groups.close(view.group):
                    await view.groups.look_soon(view.group)
            except redis_errors.RedisError as error:
                logger.debug("Task group %s was not closed: %s", view.group.id, error)

    # failures --------------------------------------------------------------------------------------------

    async def _read_failures(self) -> BaseException | None:
        """Read what children have failed with; return what has interrupted that."""
        view = self.nest.view
        try:
            # It comes out also where a scope around is cancelled: that one cancels whatever is awaited next.
            with anyio.move_on_after(TELLING, shield=True):
                self._failures = await view.insist(self._failed)
                return None
            self._failures = await view.insist(self._failed)
            return None
        except BaseException as interruption:  # noqa: BLE001 - cancelled, or the server stays away
            return interruption

    async def _failed(self) -> list[Exception]:
        view = self.nest.view
        keys = await view.groups.failed(view.group, MOST_FAILURES + 1)
        self._has_more = len(keys) > MOST_FAILURES
        failures: list[Exception] = []
        for key in keys[:MOST_FAILURES]:
            child = view.ended.get(key) or view.under_way.get(key)
            failure = await failure_of(self.docket, key, child)
            if failure is not None:
                failures.append(failure)
        if keys and not failures:
            failures.append(ExecutionFailed("a child failed, and another run has its key by now"))
        return failures


def _first(interruption: BaseException | None, error: BaseException | None) -> BaseException | None:
    """Of two errors the one that comes out: what is no Exception, such as a cancellation (I6); else what came first."""
    return interruption if error is None or not isinstance(interruption, Exception | None) else error
