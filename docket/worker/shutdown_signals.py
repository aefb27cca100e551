"""SIGTERM and SIGINT while a worker runs: the first one drains, the next one hands back."""

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

from ..values import define

__all__ = ["stop_on_signals"]

logger = logging.getLogger("docket.worker")

SHUTDOWN_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stoppable(Protocol):
    """The session of a worker."""

    @property
    def stopping(self) -> bool: ...

    def stop(self) -> None: ...

    def hand_back(self) -> None: ...


async def stop_on_signals(session: Stoppable) -> None:
    """Stop the session at the first SIGTERM or SIGINT, and hand back at the next one, until cancelled.

    Outside of the main thread, which alone receives signals, this logs a warning and returns. Processes that a task
    forks meanwhile (``os.fork``, multiprocessing) get the handlers that were there before.
    """
    if threading.current_thread() is not threading.main_thread():
        logger.warning("Not in the main thread, so signals do not stop this worker: call its stop()")
        return
    before = {number: signal.getsignal(number) for number in SHUTDOWN_SIGNALS}
    with anyio.open_signal_receiver(*SHUTDOWN_SIGNALS) as signals, _forks.restoring(before):
        async for received in signals:
            if session.stopping:
                logger.info("Received %s again, handing back what runs", received.name)
                session.hand_back()
            else:
                logger.info("Received %s, initiating graceful shutdown", received.name)
                session.stop()


@define(eq=False)
class _Forks:
    """Restores the signal handlers in processes that are forked while the event loop's are set.

    A child has the loop's handlers, but no loop that acts on them. It also shares the pipe in which the interpreter
    notes a signal, so the worker in the parent would take the child's signals for its own.
    """

    _restore: Callable[[], None] | None = attrs.field(init=False, default=None)
    _is_registered: bool = attrs.field(init=False, default=False)

    @contextmanager
    def restoring(self, before: dict[signal.Signals, Any]) -> Generator[None]:
        """Restore the handlers of ``before`` in processes that are forked in this block."""
        ours = {number: signal.getsignal(number) for number in before}

        def restore() -> None:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                # A handler that is not Python's (None) cannot be set again. One that was set after ours is kept.
                if handler is not None and signal.getsignal(number) is ours[number]:
                    signal.signal(number, handler)

        if not self._is_registered and hasattr(os, "register_at_fork"):
            self._is_registered = True
            os.register_at_fork(after_in_child=self._in_child)
        self._restore = restore
        try:
            yield
        finally:
            self._restore = None

    def _in_child(self) -> None:
        if self._restore is not None:
            self._restore()
            self._restore = None


#: A function that is registered for forks stays for as long as the process lives, so there is one of these.
_forks = _Forks()
