"""``docket worker --processes`` and ``--reload``: a parent that starts worker processes and keeps them going.

A child runs the same command line; its number in the environment tells it that it is one. Its standard input is a pipe
from the parent, so it learns that the parent has gone, however that ended, and drains. It has a session of its own, so
a Ctrl-C reaches the parent alone, which passes it on: two signals would mean to hand back.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.abc
import attrs

from ..clock import monotonic
from ..errors import UsageError
from ..rules import alone
from ..values import define

__all__ = ["Processes", "check_processes", "number_of_this", "while_parent_lives"]

logger = logging.getLogger("docket.worker")

NUMBER = "DOCKET_WORKER_PROCESS"
WRONG_SETTING = 2  # an exit status: another try would end alike

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before a child that has died is started again; doubled by each further death."""
LIVED = 60.0
"""Seconds after which a child counts as one that works, so that its death begins with the first pause again."""
RELOAD_PATIENCE = 2.0
"""Seconds that running tasks get before they are handed back for a reload."""


def number_of_this() -> int | None:
    """Which of its parent's processes this one is, from 1; None: it is no child."""
    text = os.environ.get(NUMBER, "")
    return int(text) if text.isdecimal() else None


def check_processes(count: int, url: str, *, reload: bool) -> None:
    """Check that there can be several processes. Raises: UsageError."""
    option = "--reload" if reload else "--processes"
    if sys.platform == "win32":
        raise UsageError(f"{option} needs the signals of a POSIX system; start several workers instead")
    if url.startswith("memory:") and count > 1:
        raise UsageError("--processes: each process has a memory:// server of its own; use a server")
    if reload and importlib.util.find_spec("watchfiles") is None:
        raise UsageError("--reload needs watchfiles: pip install 'anydocket[reload]'")


async def while_parent_lives(run: Callable[[], Awaitable[None]]) -> None:
    """Run the worker of a child; drain it by SIGTERM when the parent has gone."""
    with alone():
        async with anyio.create_task_group() as group:
            group.start_soon(_stop_without_parent)
            await run()
            group.cancel_scope.cancel()


async def _stop_without_parent() -> None:
    await anyio.wait_readable(sys.stdin)  # nobody writes, so this is the end of the pipe
    logger.warning("The parent of this worker process has gone")
    os.kill(os.getpid(), signal.SIGTERM)


@define(eq=False)
class _Child:
    number: int
    process: anyio.abc.Process
    #: It was told to end so that another one takes its place.
    is_replaced: bool = False

    def tell_to_end(self) -> None:
        """Drain it; the second time, hand back. By SIGTERM, which also ends one that has not yet begun to listen."""
        if self.process.returncode is None:
            self.process.terminate()

    def __str__(self) -> str:
        return f"Worker process {self.number} (pid {self.process.pid})"


@define(eq=False)
class Processes:
    """``count`` processes that run this process' own command line; with ``reload`` anew whenever a source changes."""

    count: int
    until_finished: bool = False
    reload: bool = False
    _children: dict[int, _Child] = attrs.field(init=False, factory=dict[int, _Child])
    _ending: anyio.Event = attrs.field(init=False, factory=anyio.Event)
    _changed: anyio.Event = attrs.field(init=False, factory=anyio.Event)
    _status: int = attrs.field(init=False, default=0)

    async def run(self) -> int:
        """Keep the processes going until a signal, or until all have finished; return the exit status.

        SIGTERM and SIGINT are passed on. A child that dies is started again, after a pause that grows. One that ends
        because a setting is wrong (2) ends all, unless ``reload`` waits for the next change.
        """
        async with anyio.create_task_group() as group:
            signals = await group.start(self._pass_signals_on)
            if self.reload:
                group.start_soon(self._follow_changes)
            async with anyio.create_task_group() as children:
                for number in range(1, self.count + 1):
                    children.start_soon(self._keep, number)
            self._ending.set()
            signals.cancel()
        return self._status

    async def _pass_signals_on(self, task_status: anyio.abc.TaskStatus[anyio.CancelScope]) -> None:
        with (
            anyio.CancelScope() as scope,
            anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received,
        ):
            task_status.started(scope)
            async for number in received:
                logger.info("Received %s, passing it on to the worker processes", number.name)
                self._end()

    def _end(self) -> None:
        self._ending.set()
        for child in self._children.values():
            child.tell_to_end()

    async def _keep(self, number: int) -> None:
        """Start one of the children again for as long as that makes sense."""
        pause = FIRST_PAUSE
        while not self._ending.is_set():
            began, changed = monotonic(), self._changed
            child = await self._ended_child(number)
            status = child.process.returncode
            if self._ending.is_set() or (status == 0 and self.until_finished and not child.is_replaced):
                return
            if child.is_replaced:
                continue
            if monotonic() - began >= LIVED:
                pause = FIRST_PAUSE
            if self.reload and status != 0:
                logger.warning("%s %s; it starts again when a source changes", child, _how(status))
                await self._pause(changed, math.inf)
            elif status == WRONG_SETTING:
                logger.error("%s %s, as would another one: all end", child, _how(status))
                self._status = WRONG_SETTING
                self._end()
            else:
                logger.warning("%s %s; another one starts in %g s", child, _how(status), pause)
                await self._pause(self._ending, pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _pause(self, until: anyio.Event, seconds: float) -> None:
        """Wait for an event, for the end of all, or for some seconds."""
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:

                async def watch(event: anyio.Event) -> None:
                    await event.wait()
                    group.cancel_scope.cancel()

                group.start_soon(watch, until)
                group.start_soon(watch, self._ending)

    async def _ended_child(self, number: int) -> _Child:
        """Start a child and wait until it has ended. Cancel, and errors: it drains by itself."""
        process = await anyio.open_process(
            [sys.executable, *sys.orig_argv[1:]],
            stdin=subprocess.PIPE,
            stdout=None,
            stderr=None,
            env={**os.environ, NUMBER: str(number)},
            start_new_session=True,
        )
        with self._listed(_Child(number, process)) as child:
            logger.info("%s has started", child)
            if self._ending.is_set():  # while it started
                child.tell_to_end()
            try:
                await process.wait()
            finally:
                if process.stdin is not None:
                    with anyio.CancelScope(shield=True):
                        await process.stdin.aclose()
        return child

    @contextmanager
    def _listed(self, child: _Child) -> Generator[_Child]:
        self._children[child.number] = child
        try:
            yield child
        finally:
            del self._children[child.number]

    async def _follow_changes(self) -> None:
        from watchfiles import PythonFilter, awatch

        # Cancelled, it would come back after five seconds; told by an event, it ends at once.
        async for changes in awatch(Path.cwd(), watch_filter=PythonFilter(), stop_event=self._ending):
            names = sorted({Path(path).name for _, path in changes})
            logger.info("%s changed, so the worker processes start again", ", ".join(names))
            self._changed.set()
            self._changed = anyio.Event()
            await self._replace()

    async def _replace(self) -> None:
        """End all children, for others to take their places; what still runs after some time is handed back."""
        replaced = list(self._children.values())
        for child in replaced:
            child.is_replaced = True
            child.tell_to_end()
        with anyio.move_on_after(RELOAD_PATIENCE) as patience:
            for child in replaced:
                await child.process.wait()
        if patience.cancelled_caught:
            for child in replaced:
                child.tell_to_end()


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
