"""SIGTERM and SIGINT: who receives them while a worker runs, and who does not."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol

import anyio
import attrs

__all__ = ["stop_on_signals"]

logger = logging.getLogger("docket.worker")

HEEDED = (signal.SIGTERM, signal.SIGINT)


class Stoppable(Protocol):
    """What signals stop."""

    @property
    def stopping(self) -> bool: ...

    def stop(self) -> None: ...

    def hand_back(self) -> None: ...


async def stop_on_signals(session: Stoppable) -> None:
    """Let the first SIGTERM or SIGINT drain, and the next one hand back. Only in the main thread; else say so, and end.

    Processes that a task forks meanwhile (``os.fork``, multiprocessing) have the handlers that were there before.
    """
    if threading.current_thread() is not threading.main_thread():
        logger.warning("Not in the main thread, so signals do not stop this worker: call its stop()")
        return
    before = {number: signal.getsignal(number) for number in HEEDED}
    with anyio.open_signal_receiver(*HEEDED) as signals, _forks.undoing(before):
        async for received in signals:
            if session.stopping:
                logger.info("Received %s again, handing back what runs", received.name)
                session.hand_back()
            else:
                logger.info("Received %s, initiating graceful shutdown", received.name)
                session.stop()


@attrs.define(eq=False)
class _Forks:
    """Frees processes that are forked from the handlers of the event loop.

    They would have them without the loop that reads what these write; and the pipe in which the interpreter writes a
    signal down is the parent's too, whose worker would take the child's signals for its own.
    """

    _undo: Callable[[], None] | None = attrs.field(init=False, default=None)
    _is_registered: bool = attrs.field(init=False, default=False)

    @contextmanager
    def undoing(self, before: dict[signal.Signals, Any]) -> Generator[None]:
        ours = {number: signal.getsignal(number) for number in before}

        def undo() -> None:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                # One that is not from Python cannot be set again; one that was set after ours is somebody else's.
                if handler is not None and signal.getsignal(number) is ours[number]:
                    signal.signal(number, handler)

        if not self._is_registered and hasattr(os, "register_at_fork"):
            self._is_registered = True
            os.register_at_fork(after_in_child=self._in_child)
        self._undo = undo
        try:
            yield
        finally:
            self._undo = None

    def _in_child(self) -> None:
        if self._undo is not None:
            self._undo()
            self._undo = None


#: What is registered for forks stays for as long as the process does, so there is one.
_forks = _Forks()
