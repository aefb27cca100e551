"""A docket with a worker beside the test, on an event loop of its own in another thread."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from docket import Docket, Progress, Worker

T = TypeVar("T")

BIN = Path(sys.executable).parent


class Office:
    """What a test does on the docket while it runs commands against it."""

    def __init__(self, portal: BlockingPortal, url: str) -> None:
        self.portal, self.url = portal, url
        self.gates = {name: threading.Event() for name in ("running", "half", "done")}
        self._worker: Future[None] | None = None

    def ask(self, act: Callable[[Docket], Awaitable[T]]) -> T:
        """Do something with the docket."""

        async def opened() -> T:
            async with Docket(url=self.url) as docket:
                docket.register(self.paint)
                return await act(docket)

        return self.portal.call(opened)

    async def paint(self, walls: int, progress: Progress = Progress()) -> None:
        """A task that goes on when the test says so."""
        await progress.set_total(walls)
        await self._passed("running")
        await progress.increment(walls // 2)
        await self._passed("half")
        await progress.set_message("nearly\n\x1b[31mdone")
        await self._passed("done")

    async def _passed(self, gate: str) -> None:
        await anyio.to_thread.run_sync(self.gates[gate].wait, 30)

    @contextmanager
    def working(self, name: str = "w1") -> Iterator[None]:
        """A worker that knows ``paint``, until the block ends."""
        workers: Future[Worker] = Future()

        async def work() -> None:
            async with Docket(url=self.url, heartbeat_interval=timedelta(milliseconds=500)) as docket:
                docket.register(self.paint)
                async with Worker(docket, name=name) as worker:
                    workers.set_result(worker)
                    await worker.run_forever()

        future = self.portal.start_task_soon(work)
        worker = workers.result(10)
        try:
            self.ask(partial(_seen, name))
            yield
        finally:
            for gate in self.gates.values():
                gate.set()
            self.portal.call(worker.stop)
            future.result(30)


async def _seen(name: str, docket: Docket) -> None:
    while name not in {worker.name for worker in await docket.workers()}:
        await anyio.sleep(0.01)  # a worker's first sign of life is told to nobody


@contextmanager
def office(url: str) -> Iterator[Office]:
    with start_blocking_portal() as portal:
        yield Office(portal, url)


class Command:
    """``docket`` in a process of its own; the lines of its stdout as they come."""

    def __init__(self, *tokens: str, stdout: int = subprocess.PIPE) -> None:
        self.process = subprocess.Popen(
            [str(BIN / "docket"), *tokens], stdout=stdout, stderr=subprocess.PIPE, text=True
        )
        self.watchdog = threading.Timer(120, self.process.kill)
        self.watchdog.start()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def ended(self) -> tuple[int, str, str]:
        """Exit status, what is left of stdout, stderr."""
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out or "", err

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: Any) -> None:
        self.watchdog.cancel()
        self.process.kill()
        self.process.communicate()
