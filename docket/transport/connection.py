"""One stream, any number of callers: multiplexed, in order, without a background task.

State is only touched by *synchronous* code. Every ``await`` in here is one of: readable, writable, let others
run, park; none of them takes or gives bytes. So cancelling any caller at any of them, by a scope or by a bare
``Task.cancel()``, loses nothing, and nothing is shielded. The rules, cited as T1 to T5:

  T1  bytes enter ``_out`` in the same step as their slot enters ``_pending``
  T2  bytes leave ``_out`` by exactly what ``try_send`` took; the tail is the next flusher's
  T3  a reply is popped with its slot in one step; an abandoned slot stays, to eat its reply
  T4  a role free (flusher or leader) + work for it + somebody parked  =>  exactly one heir is woken
  T5  nobody is left to flush => sent at once, or the connection dies: never executed much later

Two roles are taken by the callers in turn, leading by asyncio itself where it can: the flusher sends
everybody's bytes, the leader reads everybody's replies.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from redis.exceptions import ConnectionError, RedisError, TimeoutError

from ..clock import perf_counter
from .commands import block_seconds
from .resp import NEED_MORE, Argument, Reply, make_reader, pack
from .stream import Stream
from .waiting import Backend, Slot

__all__ = ["Connection", "NeverSent"]

#: After this many idle seconds a connection is asked whether the server has hung up, before it is used again.
_RESTED = 0.01


class NeverSent(ConnectionError):
    """The connection was lost before any byte of the request had left; it may be repeated."""


class Connection:
    """A connection to one server; get one from ``Client.dedicated()``.

    ``patience`` is after how many seconds without any progress a server that owes replies is given up.
    ``immediate`` streams execute what is sent before ``try_send`` returns (memory://). ``peer`` names the server.
    """

    def __init__(
        self,
        stream: Stream,
        backend: Backend,
        *,
        patience: float = math.inf,
        immediate: bool = False,
        peer: str = "",
    ) -> None:
        self.peer = peer
        self._stream, self._backend = stream, backend
        self._park, self._wake = backend.park, backend.wake
        self._patience = self._timeout = math.inf if immediate else patience
        self._immediate = immediate
        self._timer = backend.timer(self._due)
        #: The timer is due in time for the usual patience; where there is none, waits end by themselves.
        self._armed = self._timer is None
        self._reader = make_reader()
        self._out = bytearray()
        self._pending: deque[Slot] = deque()
        self._flushing = False
        self._heir: Slot | None = None  # woken to take a role, has not run yet
        self._burst = 1  # slots resolved by the last read; more than 1 means concurrent callers
        self._progress, self._probed = perf_counter(), False  # `_probed`: asked, and nothing has come since
        self._error: BaseException | None = None
        self._watch = backend.watch(stream, self._on_readable)
        self._leading = self._watch is not None  # then the loop leads, and no caller does
        self._receiver: Callable[[Any], None] | None = None
        self._probe = b""

    @property
    def error(self) -> BaseException | None:
        """Why the connection is closed; None while it is open."""
        return self._error

    @property
    def is_settled(self) -> bool:
        """Open, with nothing owed in either direction: fit for another caller."""
        return self._error is None and not self._pending and not self._out and self._receiver is None

    async def call(self, *command: Argument) -> Reply:
        """Send one command and return its raw reply. A blocking command's own time is added to the patience.

        Raises: ResponseError and its kin - the server's error reply; ConnectionError, TimeoutError.
        Cancel: safe; the reply will be dropped when it comes. What waits in the server goes on waiting until
                the connection is closed, which ``Client.dedicated()`` does.
        """
        if (block := block_seconds(command)) is not None and not self._immediate:
            self._patience = block + self._timeout
        try:
            reply = await self.request(pack(command))
        finally:
            if block is not None:
                self._patience = self._timeout
        if isinstance(reply, RedisError):
            raise reply
        return reply

    async def call_many(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send several commands in one write; return the raw replies, error replies in their places."""
        if not commands:
            return []
        replies = await self.request(b"".join(map(pack, commands)), len(commands))
        return replies if len(commands) > 1 else [replies]

    async def request(self, data: bytes, want: int = 1) -> Any:
        """Send ``data``, which asks for ``want`` replies; return the reply, or their list when ``want`` > 1.

        Raises: NeverSent, ConnectionError, TimeoutError.
        Cancel: safe, see the module.
        """
        if self._immediate:
            # The one point of cancellation of a caller who finds the reply at once: before, so that what was
            # executed is also reported.
            await self._backend.checkpoint()
        if self._error is not None:
            raise NeverSent(str(self._error)) from self._error
        pending = self._pending
        coalesce = self._burst > 1
        if pending:
            coalesce = True
        else:
            self._progress = perf_counter()
        slot = Slot(want, len(data))
        self._out += data
        pending.append(slot)  # T1
        if self._immediate:
            self._exchange()
        elif not self._armed:
            self._arm()
        if not slot.done:
            await self.drive(slot, coalesce)
        if slot.error is not None:
            raise slot.error from self._error
        return slot.reply

    def _exchange(self) -> None:
        """Send everything and read whatever is there, without waiting for either."""
        self.push()
        try:
            while self._pending and self._pump():
                pass
        except (OSError, RedisError) as error:
            self.fail(error)

    async def drive(self, slot: Slot, coalesce: bool = False) -> None:
        """Until ``slot`` is done take whichever role is free, else park."""
        try:
            while not slot.done:
                if self._out and not self._flushing:
                    await self._flush(coalesce)
                    coalesce = False
                elif not self._leading:
                    await self._lead(slot)
                else:
                    try:
                        await self._park(slot)
                    finally:
                        if self._heir is slot:
                            self._heir = None
        finally:
            if self._pending or self._out:
                self._delegate()

    async def _flush(self, coalesce: bool) -> None:
        self._flushing = True
        try:
            if coalesce:  # let every caller that is about to run append its command first
                await self._backend.checkpoint()
            while self._out:
                if sent := self._stream.try_send(self._out):
                    del self._out[:sent]  # T2
                else:
                    await self._patiently(self._stream.wait_writable)
                    self._progress = perf_counter()  # what goes at once proves nothing
        except OSError as error:
            self.fail(error)
        finally:
            self._flushing = False

    async def _lead(self, slot: Slot) -> None:
        self._leading = True
        try:
            while not slot.done and (self._flushing or not self._out):
                await self._patiently(self._stream.wait_readable)
                self._pump()
        except (OSError, RedisError) as error:
            self.fail(error)
        finally:
            self._leading = False

    def _on_readable(self) -> None:
        """The loop leads: what ``_lead`` does, without a task."""
        try:
            while self._pump() and self._watch is not None and self._watch.greedy:
                pass
        except (OSError, RedisError) as error:
            self.fail(error)

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch, self._leading = None, False

    def _delegate(self) -> None:
        flush = bool(self._out) and not self._flushing
        if self._heir is None and (flush or (self._pending and not self._leading)):
            for slot in reversed(self._pending):  # the newest leads longest
                if slot.waiter is not None and not slot.done:
                    self._heir = slot  # T4
                    self._wake(slot)
                    return
            if flush:  # T5: every caller was cancelled
                try:
                    del self._out[: self._stream.try_send(self._out)]
                except OSError as error:
                    self.fail(error)
                if self._out:
                    self.fail(ConnectionError("Closed: every caller was cancelled while sending"))

    def _pump(self) -> bool:
        """Read once and resolve slots; False if there was nothing. Never waits.

        Raises: OSError, RedisError - the connection is of no use any more.
        """
        data = self._stream.try_receive()
        if data is None:
            return False
        if self._error is not None:
            return True
        if not data:
            raise OSError("the server closed the connection")
        self._progress, self._probed = perf_counter(), False
        self._reader.feed(data)
        gets, pending, wake, resolved = self._reader.gets, self._pending, self._wake, 0
        while pending and self._receiver is None:
            slot = pending[0]
            reply = gets()
            if reply is NEED_MORE:
                break
            if slot.want == 1:
                slot.reply = reply
            else:
                slot.reply.append(reply)
                if len(slot.reply) < slot.want:
                    continue
            pending.popleft()  # T3
            slot.done = True
            resolved += 1
            if slot.waiter is not None:
                wake(slot)
        else:
            while (reply := gets()) is not NEED_MORE:
                if self._receiver is None:
                    raise OSError(f"the server sent what nobody asked for: {reply!r}")
                self._receiver(reply)
        self._burst = resolved
        return True

    def _time_left(self) -> float:
        return max(0.0, self._progress + self._patience - perf_counter())

    def _check_progress(self) -> float:
        """Give up on a silent server; return the seconds it has left (infinity: it owes nothing)."""
        if self._error is None and self._pending and self._patience != math.inf:
            if left := self._time_left():
                return left
            if self._probe and not self._probed:
                self._probed, self._progress = True, perf_counter()
                self.send(self._probe)
                self.push()
                return self._patience
            self.fail(TimeoutError(f"No answer from the server for {self._patience:.6g} s"))
        return math.inf

    async def _patiently(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Wait for the server, at most as long as it has left."""
        if self._timer is not None or self._patience == math.inf:
            await wait()
        else:
            await self._backend.within(self._time_left(), wait)
            self._check_progress()

    def _due(self) -> float:
        self._armed = (left := self._check_progress()) <= self._timeout
        return left

    def _arm(self) -> None:
        if self._patience != math.inf and self._timer is not None:
            self._armed = self._patience == self._timeout
            self._timer.arm(self._patience)

    # Messages that answer no request of their own (pub/sub).

    def subscribe_to_replies(self, receiver: Callable[[Any], None], probe: bytes = b"") -> None:
        """Hand every reply to ``receiver``; slots are the owner's to settle.

        Silence is no fault then; if there is a ``probe``, it is sent when somebody has waited for the usual patience.
        """
        self._receiver, self._probe = receiver, probe
        self._patience = self._timeout if probe else math.inf
        self._stop_watching()  # who does not receive should not be sent more than the buffers hold

    def send(self, data: bytes) -> None:
        """Append what is to be sent by whoever drives next. For the owner of a subscribed connection."""
        self._out += data
        if self._immediate:
            self._exchange()

    def push(self) -> None:
        """Send what goes of what is to be sent, without waiting; a broken connection fails."""
        if self._error is None:
            try:
                while self._out and (sent := self._stream.try_send(self._out)):
                    del self._out[:sent]
            except OSError as error:
                self.fail(error)

    def await_slot(self, slot: Slot) -> None:
        """Let ``slot`` be driven although no request is its own; done at once if the connection is lost."""
        if self._error is not None:
            slot.error, slot.done = _for_caller(self._error, never_sent=False), True
        else:
            self._progress = perf_counter()
            self._pending.append(slot)
            self._arm()

    def read_now(self) -> None:
        """Read what has arrived, without waiting; a broken connection fails."""
        if self._error is None:
            try:
                while self._pump():
                    pass
            except (OSError, RedisError) as error:
                self.fail(error)

    def settle(self, slot: Slot) -> None:
        """Mark a slot given to ``await_slot`` as done and forget it; idempotent."""
        slot.done = True
        if slot in self._pending:
            self._pending.remove(slot)
        self._wake(slot)

    def fail(self, error: BaseException) -> None:
        """Close, and fail everybody in flight: unless by TimeoutError, those with NeverSent of whom no byte was sent.

        Idempotent, never suspends. In its own event loop, or while that rests or after its end.
        """
        if self._error is not None:
            return
        if self._pending and isinstance(said := self._pending[0].last_said(), ConnectionError):
            error = said  # why it is sent away (too many clients) comes before the end of the stream
        self._error = error
        unsent = len(self._out)
        self._out.clear()
        self._stop_watching()
        running = self._backend.is_current()
        if running and self._timer is not None:
            self._timer.disarm()
        if running or not self._backend.is_over():
            self._stream.close()  # wakes whoever waits on it
        else:
            self._stream.abandon()
        for slot in reversed(self._pending):
            unsent -= slot.size
            slot.error = _for_caller(error, never_sent=unsent >= 0 and self._receiver is None)
            slot.done = True
        wake = self._wake if running else partial(self._backend.soon, self._wake)  # it rests, or has ended
        while self._pending:
            wake(self._pending.popleft())

    def is_usable(self) -> bool:
        """False when closed, overdue, or hung up on (asked when it has rested). Only in its own event loop."""
        if self._error is None and not self._immediate:
            rested = perf_counter() - self._progress
            try:
                # Pending but overdue: only cancelled callers are owed something, nobody reads any more.
                if rested > (self._patience if self._pending else _RESTED):
                    self._pump()
                    self._check_progress()
            except (OSError, RedisError) as error:
                self.fail(error)
        return self._error is None


def _for_caller(error: BaseException, *, never_sent: bool) -> RedisError:
    if isinstance(error, TimeoutError):
        return TimeoutError(str(error))
    if never_sent:
        return NeverSent(f"Connection lost: {error}")
    return ConnectionError(f"Connection lost: {error}")
