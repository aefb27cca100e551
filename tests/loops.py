"""Event loops in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from queue import Queue
from typing import Any, Self, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from tests.where import BACKENDS, EVERY_LOOP

T = TypeVar("T")

#: Seconds that anything may take in a thread.
PATIENCE = 15.0

Loop = tuple[str, dict[str, Any]]

LOOPS: list[Loop] = [BACKENDS[name]() for name in EVERY_LOOP]


def run(loop: Loop, work: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run ``work(*args)`` in a new event loop, to its end."""
    backend, options = loop
    return anyio.run(work, *args, backend=backend, backend_options=options)


class _Thread(threading.Thread):
    """A daemon, so that one who hangs fails a test instead of keeping it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error


def together(*works: Callable[[], T]) -> list[T]:
    """Run each in a thread of its own, all at once; return their results, or raise the first error."""
    threads = [_Thread(work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    for thread in threads:
        if thread.error is not None:
            raise thread.error
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return [thread.result for thread in threads]


class Elsewhere:
    """An event loop that goes on in another thread, and is asked to do something now and then."""

    def __init__(self, loop: Loop = LOOPS[0]) -> None:
        self._jobs: Queue[tuple[Callable[..., Awaitable[Any]], tuple[Any, ...], Future[Any]] | None] = Queue()
        self._thread = _Thread(lambda: run(loop, self._serve))
        self._runs = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._runs.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._jobs.put(None)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the loop hangs"

    async def ask(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Await ``work(*args)`` over there, and its result here."""
        answer: Future[T] = Future()
        self._jobs.put((work, args, answer))
        return await anyio.to_thread.run_sync(lambda: answer.result(PATIENCE), abandon_on_cancel=True)

    async def _serve(self) -> None:
        await anyio.lowlevel.checkpoint()
        self._runs.set()
        while (job := await anyio.to_thread.run_sync(self._jobs.get)) is not None:
            work, args, answer = job
            try:
                answer.set_result(await work(*args))
            except BaseException as error:
                answer.set_exception(error)
