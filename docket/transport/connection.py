"""One stream, any number of callers: multiplexed, in order, without a background task.

Only *synchronous* code touches the state. Every ``await`` in here is one of: wait until readable, wait until
writable, let others run, park; none of them moves bytes. So cancelling any caller at any of them, by a scope or by a
bare ``Task.cancel()``, loses nothing, and nothing is shielded. The rules, cited as T1 to T5:

  T1  bytes enter ``_out`` in the same step in which their awaited reply enters ``_pending``
  T2  exactly the bytes that ``try_send`` took leave ``_out``; the next flusher sends the rest
  T3  a reply and its place in ``_pending`` are taken in one step; the place of a cancelled caller stays, for its reply
  T4  a role free (flusher or leader) + work for it + somebody parked  =>  exactly one heir is woken; where nobody is
      parked, a caller that leads is woken to flush
  T5  nobody is left to flush  =>  sent at once, or the connection dies: never executed much later

Callers take two roles in turn: the flusher sends everybody's bytes, the leader reads everybody's replies. asyncio
leads by itself where it can.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ..clock import perf_counter
from ..standins import redis_errors
from .commands import block_seconds
from .errors import faults
from .outgoing import Outgoing
from .resp import NEED_MORE, Argument, Packed, Reply, error_from, make_reader, pack
from .stream import Stream
from .waiting import AwaitedReply, Backend

if TYPE_CHECKING:
    from ..memory import MemoryStream
    from ..memory import Script as MemoryScript

__all__ = ["Closed", "ClosedForGood", "Connection"]

#: After so many idle seconds we look whether the server has hung up before we use a connection again.
_RESTED = 0.01


class Closed(Exception):
    """Why we have closed a connection. Nobody sees it but as the reason of redis-py's error."""


class ClosedForGood(Closed):
    """Its client was closed, so there will be no other one."""


class Connection:
    """A connection to one server; get one from ``Client.dedicated()``.

    A server that owes replies and makes no progress for ``patience`` seconds counts as lost. ``immediate`` streams
    execute requests before ``try_send`` returns (memory://). ``peer`` names the server.
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
        #: The timer is due in time for the usual patience. Without a timer, waits have deadlines of their own.
        self._armed = self._timer is None
        self._reader = make_reader()
        self._out = Outgoing()
        self._pending: deque[AwaitedReply] = deque()
        self._flushing = False
        self._heir: AwaitedReply | None = None  # woken to take a role, has not run yet
        self._burst = 1  # how many callers the last read answered; more than 1 means concurrent callers
        self._progress, self._probed = (
            perf_counter(),
            False,
        )  # `_probed`: a probe is out, and nothing has come since
        self._error: BaseException | None = None
        self._watch = backend.watch(stream, self._on_readable)
        self._leading = self._watch is not None  # then the loop leads, not a caller
        self._receiver: Callable[[Any], None] | None = None
        self._probe = b""

    @property
    def error(self) -> BaseException | None:
        """Why the connection is closed; None while it is open."""
        return self._error

    @property
    def is_settled(self) -> bool:
        """Whether it is open and owes nothing in either direction: fit for another caller."""
        return self._error is None and not self._pending and not self._out and self._receiver is None

    async def call(self, *command: Argument) -> Reply:
        """Send one command and return its raw reply. The time of a blocking command is added to the patience.

        Raises: ResponseError and its subclasses - the server's error reply; ConnectionError, TimeoutError.
        Cancel: safe; the reply is dropped when it comes. A command that waits in the server goes on waiting until
                the connection is closed, which ``Client.dedicated()`` does.
        """
        if (block := block_seconds(command)) is not None and not self._immediate:
            self._patience = block + self._timeout
        try:
            reply = await self.request(pack(command))
        finally:
            if block is not None:
                self._patience = self._timeout
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def call_many(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send several commands in one write; return the raw replies, error replies in their places."""
        return await self.request(b"".join(map(pack, commands)), len(commands)) if commands else []

    async def request(self, data: Packed, count: int | None = None) -> Any:
        """Send ``data`` and return its reply; with a ``count``, the list of its so many replies.

        Raises: NeverSent, ConnectionError, TimeoutError.
        Cancel: safe, see the module.
        """
        if self._immediate:
            # The only point of cancellation of a caller that gets its reply at once. It comes first, so that what
            # was executed is also reported.
            await self._backend.checkpoint()
        if self._error is not None:
            raise faults.NeverSent(str(self._error)) from self._error
        pending = self._pending
        coalesce = self._burst > 1
        if pending:
            coalesce = True
        else:
            self._progress = perf_counter()
        awaited = AwaitedReply(count, len(data) if isinstance(data, bytes) else sum(map(len, data)))
        self._out.put(data)
        pending.append(awaited)  # T1
        if self._immediate:
            self._exchange()
        else:
            if not self._armed:
                self._arm()
            if not (coalesce or self._flushing):  # a lone caller sends at once; what does not go, drive sends
                self.push()
        if not awaited.done:
            await self.drive(awaited, coalesce)
        if awaited.fault is not None:
            raise awaited.fault() from self._error
        return awaited.reply

    async def run(
        self, script: MemoryScript, calls: Sequence[tuple[list[bytes], list[bytes]]]
    ) -> list[Any] | None:
        """Run a script on a server in this process once per keys and arguments, without bytes in between.

        Returns the raw replies; None where nothing was run, because the connection is closed or something that was
        sent before has no reply yet: then use `request`.
        Cancel: as `request`.
        """
        await self._backend.checkpoint()
        if not self.is_settled:
            return None
        try:
            return cast("MemoryStream", self._stream).run(script, calls, error_from)
        except OSError as error:
            self.fail(error)
            return None

    def _exchange(self) -> None:
        """Send everything and read whatever is there, without waiting for either.

        Whoever leads has to read by itself: what others take from the stream does not wake it.
        """
        self.push()
        try:
            while self._pending and not self._leading and self._pump():
                pass
        except (OSError, redis_errors.RedisError) as error:
            self.fail(error)

    async def drive(self, awaited: AwaitedReply, coalesce: bool = False) -> None:
        """Take whichever role is free, else park, until ``awaited`` is done."""
        try:
            while not awaited.done:
                if self._out and not self._flushing:
                    await self._flush(coalesce)
                    coalesce = False
                elif not self._leading:
                    await self._lead(awaited)
                else:
                    try:
                        await self._park(awaited)
                    finally:
                        if self._heir is awaited:
                            self._heir = None
        finally:
            if self._pending or self._out:
                self._delegate()

    async def _flush(self, coalesce: bool) -> None:
        self._flushing = True
        try:
            if coalesce:  # every caller that is ready to run appends its command first
                await self._backend.checkpoint()
            while self._out:
                if not self._out.send(self._stream.try_send):  # T2
                    await self._patiently(self._stream.wait_writable)
                    self._progress = perf_counter()  # not above: bytes that go at once prove nothing
        except OSError as error:
            self.fail(error)
        finally:
            self._flushing = False

    async def _lead(self, awaited: AwaitedReply) -> None:
        self._leading = True
        try:
            while not awaited.done and (self._flushing or not self._out):
                await self._patiently(self._stream.wait_readable)
                self._pump()
        except (OSError, redis_errors.RedisError) as error:
            self.fail(error)
        finally:
            self._leading = False

    def _on_readable(self) -> None:
        """Do what ``_lead`` does, called by the loop; a lone caller goes on at once."""
        answered: list[AwaitedReply] = []
        try:
            while self._pump(answered.append) and self._watch is not None and self._watch.greedy:
                pass
        except (OSError, redis_errors.RedisError) as error:
            self.fail(error)
        go_on = self._backend.wake_now if len(answered) == 1 else self._wake
        for awaited in answered:
            go_on(awaited)

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch, self._leading = None, False

    def _delegate(self) -> None:
        flush = bool(self._out) and not self._flushing
        if self._heir is None and (flush or (self._pending and not self._leading)):
            for awaited in reversed(self._pending):  # the newest leads longest
                if awaited.parked is not None and not awaited.done:
                    self._heir = awaited  # T4
                    self._wake(awaited)
                    return
            if flush and self._leading and self._watch is None:
                self._stream.wake()  # T4
            elif flush:  # T5: every caller was cancelled
                self.push()
                if self._out:
                    self.fail(Closed("Closed: every caller was cancelled while sending"))

    def _pump(self, wake: Callable[[AwaitedReply], None] | None = None) -> bool:
        """Read once and hand out the replies; False if there was nothing to read. Never waits.

        ``wake`` is called with each caller that has its reply and is parked; without it they are woken.
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
        gets, pending, resolved = self._reader.gets, self._pending, 0
        wake = wake or self._wake
        while pending and self._receiver is None:
            awaited = pending[0]
            reply = gets()
            if reply is NEED_MORE:
                break
            if awaited.count is None:
                awaited.reply = reply
            else:
                awaited.reply.append(reply)
                if len(awaited.reply) < awaited.count:
                    continue
            pending.popleft()  # T3
            awaited.done = True
            resolved += 1
            if awaited.parked is not None:
                wake(awaited)
        else:
            while (reply := gets()) is not NEED_MORE:
                if self._receiver is None:
                    raise OSError(f"the server sent a reply that nobody asked for: {reply!r}")
                self._receiver(reply)
        self._burst = resolved
        return True

    def _time_left(self) -> float:
        return max(0.0, self._progress + self._patience - perf_counter())

    def _check_progress(self) -> float:
        """Fail if the server is silent for too long; return the seconds it has left (infinity: it owes nothing)."""
        if self._error is None and self._pending and self._patience != math.inf:
            if left := self._time_left():
                return left
            if self._probe and not self._probed:
                self._probed, self._progress = True, perf_counter()
                self.send(self._probe)
                self.push()
                return self._patience
            self.fail(redis_errors.TimeoutError(f"No answer from the server for {self._patience:.6g} s"))
        return math.inf

    async def _patiently(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Wait for the server, but no longer than it has left."""
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

    # Replies that belong to no request (pub/sub).

    def subscribe_to_replies(
        self, receiver: Callable[[Any], None], probe: bytes = b"", *, unread: bool = True
    ) -> None:
        """Hand every reply to ``receiver`` from now on; the owner settles what it awaits by itself.

        Silence is no fault then. A ``probe`` is sent when somebody has waited for the usual patience. ``unread``: what
        nobody waits for is left to the server, which is sent no more than the buffers hold.
        """
        self._receiver, self._probe = receiver, probe
        self._patience = self._timeout if probe else math.inf
        if unread:
            self._stop_watching()

    def send(self, data: bytes) -> None:
        """Queue bytes for whoever drives next. For the owner of a subscribed connection."""
        self._out.put(data)
        if self._immediate:
            self._exchange()

    def push(self) -> None:
        """Send as much as goes without waiting; a broken connection fails."""
        if self._error is None:
            try:
                while self._out and self._out.send(self._stream.try_send):
                    pass
            except OSError as error:
                self.fail(error)

    def expect(self, awaited: AwaitedReply) -> None:
        """Let ``awaited`` be driven without a request of its own; it is done at once if the connection is lost."""
        if self._error is not None:
            awaited.fault, awaited.done = partial(_for_caller, self._error, never_sent=False), True
        else:
            self._progress = perf_counter()
            self._pending.append(awaited)
            self._arm()

    def read_now(self) -> None:
        """Read what has arrived, without waiting; a broken connection fails."""
        if self._error is None:
            try:
                while self._pump():
                    pass
            except (OSError, redis_errors.RedisError) as error:
                self.fail(error)

    def settle(self, awaited: AwaitedReply) -> None:
        """Mark ``awaited``, given to ``expect``, as done and forget it; idempotent."""
        if not awaited.done:
            awaited.done = True
            with suppress(ValueError):
                self._pending.remove(awaited)
        self._wake(awaited)

    def fail(self, error: BaseException) -> None:
        """Close, and fail everybody in flight: with NeverSent if no byte was sent, unless ``error`` is a TimeoutError.

        Idempotent, never suspends. To be called in its own event loop, or while that rests or after its end.
        """
        if self._error is not None:
            return
        if self._pending and isinstance(reply := self._pending[0].last_reply(), redis_errors.ConnectionError):
            error = reply  # the server's reason (too many clients) comes before the end of the stream
        self._error = error
        unsent = len(self._out)
        self._out.clear()
        self._stop_watching()
        running = self._backend.is_current()
        if running and self._timer is not None:
            self._timer.disarm()
        if running or not self._backend.is_over():
            self._stream.close()  # wakes those who wait on it
        else:
            self._stream.abandon()
        for awaited in reversed(self._pending):
            unsent -= awaited.size
            never_sent = unsent >= 0 and self._receiver is None
            awaited.fault = partial(_for_caller, error, never_sent=never_sent)
            awaited.done = True
        wake = self._wake if running else partial(self._backend.soon, self._wake)  # it rests, or has ended
        while self._pending:
            wake(self._pending.popleft())

    def is_usable(self) -> bool:
        """False when closed, overdue, or hung up on (looked at after a rest). Only in its own event loop."""
        if self._error is None and not self._immediate:
            rested = perf_counter() - self._progress
            try:
                # Pending but overdue: all callers were cancelled, and nobody reads any more.
                if rested > (self._patience if self._pending else _RESTED):
                    self._pump()
                    self._check_progress()
            except (OSError, redis_errors.RedisError) as error:
                self.fail(error)
        return self._error is None


def _for_caller(error: BaseException, *, never_sent: bool) -> redis_errors.RedisError:
    if isinstance(error, redis_errors.TimeoutError):
        return redis_errors.TimeoutError(str(error))
    if isinstance(error, ClosedForGood):
        return faults.ClientClosed(f"Connection lost: {error}")
    if never_sent:
        return faults.NeverSent(f"Connection lost: {error}")
    return redis_errors.ConnectionError(f"Connection lost: {error}")
