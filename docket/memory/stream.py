"""The byte stream to a server in this process, in place of a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import get_ident
from typing import Any, TypeAlias

import anyio
import hiredis
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled, current_token

from .inside import Script
from .replies import NO_REPLY, Blocked, Reply, encode
from .servers import Hold, hold

__all__ = ["MemoryStream", "open_stream"]

CHUNK = 65536

Call: TypeAlias = tuple[list[bytes], list[bytes]]
"""The keys and the arguments of one call of a script."""


class _Waiter:
    """One task in ``wait_readable``; ``wake`` may be called from any thread."""

    __slots__ = ("_soon", "_thread", "event")

    def __init__(self) -> None:
        self.event = anyio.Event()
        self._thread = get_ident()
        self._soon: Callable[[Callable[[], Any]], Any] = _scheduler(current_token().native_token)

    def wake(self) -> None:
        with suppress(RuntimeError):  # the waiter's event loop has ended, and the waiter with it
            if get_ident() == self._thread:
                self.event.set()
            else:
                self._soon(self.event.set)


def _scheduler(native: Any) -> Callable[[Callable[[], Any]], Any]:
    """The function that puts a callback onto a loop from another thread and does not wait for it.

    anyio's own ``from_thread.run_sync`` waits: under the server's lock that would be a deadlock.
    """
    return getattr(native, "run_sync_soon", None) or native.call_soon_threadsafe


class MemoryStream:
    """Requests are executed as they are sent, and their replies can be received at once.

    A blocked command (XREADGROUP BLOCK, BLPOP, ...) holds back the later requests of this stream until it is
    answered or its time is over; the time passes in ``wait_readable`` only, on the loop's clock. The task that waits
    or receives answers it, never the task that writes to the key, without an await between taking an entry and
    buffering the reply: a cancelled or closed reader loses nothing.

    Several tasks may wait. A stream belongs to one event loop; streams of several loops and threads share a
    server.
    """

    def __init__(self, holding: Hold) -> None:
        self._holding = holding
        self._server = holding.server
        self._lock = self._server.lock
        # hiredis reads requests as well as replies: both are arrays of bulk strings
        self._requests = hiredis.Reader(notEnoughData=False)
        self._waiters: dict[_Waiter, None] = {}
        self._blocked: Blocked | None = None
        self._deadline: float | None = (
            None  # of the blocked command, on the loop's clock; set by the first to wait
        )
        self._stirred = False  # a key of the blocked command may be ready
        self._unblocked = False  # another client has asked to end the blocked command
        self._closed = False
        with self._lock:
            self._session = self._server.connect(self._wake)

    # The seam
    def try_send(self, buffer: bytes | bytearray | memoryview) -> int:
        """Execute the requests that are complete so far; always takes all bytes.

        Raises: BrokenPipeError - the stream is closed, or the server has hung up.
        """
        with self._lock:
            if self._closed or self._session.ended:
                raise BrokenPipeError("the stream is closed")
            self._requests.feed(buffer if isinstance(buffer, bytes) else bytes(buffer))
            if self._blocked is None:
                self._serve()
        return len(buffer)

    def try_receive(self) -> bytes | None:
        """Up to 64 KiB of replies and messages; None if there are none, ``b""`` once the stream is closed."""
        with self._lock:
            if not self._readable():
                return None
            out = self._session.out
            if len(out) <= CHUNK:
                received = bytes(out)
                out.clear()
            else:
                received = bytes(out[:CHUNK])
                del out[:CHUNK]
            return received

    def run(self, script: Script, calls: Sequence[Call], error_of: Callable[[str], Exception]) -> list[Any]:
        """Run a script once per keys and arguments, in one step; return the replies as a reader of the bytes would.

        ``error_of`` makes what stands for an error reply. Only while nothing is sent that has no reply yet, and
        outside of transactions and subscriptions.
        Raises: BrokenPipeError - the stream is closed, or the server has hung up; nothing has run.
        """
        with self._lock:
            if self._closed or self._session.ended:
                raise BrokenPipeError("the stream is closed")
            run, session = self._server.run, self._session
            return [run(session, script, keys, argv, error_of) for keys, argv in calls]

    async def wait_readable(self) -> None:
        """Wait until ``try_receive`` has a result; always a checkpoint. Cancelling loses nothing."""
        with self._lock:
            waiter = None if self._readable() else self._wait()
        if waiter is None:
            await checkpoint()
            return
        while waiter is not None:
            blocked, timed_out = self._blocked, False
            try:
                if self._deadline is None:
                    await waiter.event.wait()
                else:
                    with anyio.CancelScope(deadline=self._deadline) as scope:
                        await waiter.event.wait()
                    timed_out = scope.cancelled_caught
                await (
                    checkpoint_if_cancelled()
                )  # woken and cancelled at once: leave the entry to another reader
            finally:
                with self._lock:
                    del self._waiters[waiter]
            with self._lock:
                if timed_out and blocked is self._blocked:
                    self._stirred = True
                    if not self._readable():
                        self._answer(None)
                waiter = None if self._readable() else self._wait()

    async def wait_writable(self) -> None:
        """A checkpoint only: a server in this process takes everything."""
        await checkpoint()

    def wake(self) -> None:
        """Nobody asks for it: a server in this process takes everything."""

    def close(self) -> None:
        """Disconnect; idempotent. Drops replies that were not received and requests that were not executed."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._blocked is not None:
                self._server.unpark(self._blocked, self._stir)
                self._blocked = None
            self._server.disconnect(self._session)
            self._session.out.clear()
            self._wake()
        self._holding.close()

    def abandon(self) -> None:
        self.close()

    # With the lock held
    def _wait(self) -> _Waiter:
        if self._blocked is not None and self._deadline is None and self._blocked.timeout is not None:
            self._deadline = anyio.current_time() + self._blocked.timeout
        waiter = _Waiter()
        self._waiters[waiter] = None
        return waiter

    def _readable(self) -> bool:
        """Whether there is something to receive. Retries a blocked command first, if one of its keys may be ready."""
        if self._stirred and self._blocked is not None:
            self._stirred = False
            reply = self._server.retry(self._session, self._blocked)
            if reply is not None:
                self._answer(reply)
        if self._unblocked and self._blocked is not None:
            self._answer(None)
        return bool(self._session.out) or self._session.ended or self._closed

    def _serve(self) -> None:
        """Execute requests until none is complete or one blocks."""
        session, execute, requests = self._session, self._server.execute, self._requests
        while not session.ended:
            try:
                argv: Any = requests.gets()
            except hiredis.ProtocolError as error:
                self._refuse(str(error))
                return
            if argv is False:
                return
            if argv.__class__ is not list:
                self._refuse("expected an array of bulk strings")
                return
            if not argv:
                continue
            reply = execute(session, argv)
            if isinstance(reply, Blocked):
                self._park(reply)
                return
            if reply is not NO_REPLY:
                session.out += encode(reply)
        self._wake()

    def _refuse(self, reason: str) -> None:
        self._session.write(b"-ERR Protocol error: %b\r\n" % reason.encode())
        self._session.end()

    def _park(self, blocked: Blocked) -> None:
        self._blocked, self._deadline, self._stirred = blocked, None, False
        self._server.park(blocked, self._stir)
        self._session.unblock = self._unblock
        self._wake()  # a task that waits already must observe the deadline now

    def _answer(self, reply: Reply) -> None:
        """End the blocked command with a reply, and execute the requests behind it."""
        assert self._blocked is not None
        self._server.unpark(self._blocked, self._stir)
        self._blocked = self._deadline = self._session.unblock = None
        self._stirred = self._unblocked = False
        self._session.write(b"*-1\r\n" if reply is None else encode(reply))
        self._serve()

    def _stir(self) -> None:
        self._stirred = True
        self._wake()

    def _unblock(self) -> None:
        self._unblocked = True
        self._wake()

    def _wake(self) -> None:
        for waiter in list(self._waiters):
            waiter.wake()


def open_stream(name: str) -> MemoryStream:
    """Connect to the server called ``name``; start it if need be. It ends with its last stream and hold.

    Every thread and event loop of the process that opens a name gets the same server.
    """
    return MemoryStream(hold(name))
