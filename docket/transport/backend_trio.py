"""The trio side of waiting; imported only when trio runs.

Why not anyio alone, measured per use: parking the task itself 5.4 us, anyio.Event 6.4; trio's checkpoint 5.4,
anyio's 7.0; a scope with a deadline around a wait for the server 6 to 10, anyio's 20 to 25.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from .stream import Stream
from .waiting import AwaitedReply

__all__ = ["TrioBackend"]


class TrioBackend:
    __slots__ = ("_token",)

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()

    @property
    def loop(self) -> trio.lowlevel.TrioToken:
        return self._token

    def is_current(self) -> bool:
        try:
            return trio.lowlevel.current_trio_token() is self._token
        except RuntimeError:
            return False

    def rests(self) -> bool:
        return self.is_over()

    def is_over(self) -> bool:
        return not self.soon(_nothing)

    def time(self) -> float:
        return trio.current_time()

    def soon(self, callback: Callable[..., object], *args: Any) -> bool:
        try:
            # idempotent: many pending calls of ``_nothing`` are one.
            self._token.run_sync_soon(callback, *args, idempotent=callback is _nothing)
        except trio.RunFinishedError:
            return False
        return True

    async def park(self, awaited: AwaitedReply) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            awaited.parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        awaited.parked = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self, awaited: AwaitedReply) -> None:
        if (task := awaited.parked) is not None:
            awaited.parked = None
            trio.lowlevel.reschedule(task)

    wake_now = wake

    async def checkpoint(self) -> None:
        await trio.lowlevel.checkpoint()

    def timer(self, check: Callable[[], float]) -> None:
        return None

    async def within(self, seconds: float, wait: Callable[[], Awaitable[None]]) -> None:
        with trio.CancelScope(deadline=trio.current_time() + seconds):
            await wait()

    def waits_for_sockets(self, one: socket.socket) -> bool:
        return True

    def watch(self, stream: Stream, on_readable: Callable[[], None]) -> None:
        return None


def _nothing() -> None:
    """A call that has no effect; a run that has ended refuses it."""
