"""One in-process server: it runs commands, and refuses those that the state of a connection or script forbids."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

from ..clock import timestamp
from .commands import COMMANDS, discard_transaction
from .core import Core
from .inside import LeftToLua, Script
from .replies import QUEUED, Blocked, ErrorReply, Reply, as_read
from .session import Session

__all__ = ["Server"]


class Server:
    """A synchronous Redis: commands in, replies out, no waiting and no I/O.

    Every method is called with ``lock`` held; one thread at a time, whichever event loops the callers run on.
    """

    def __init__(self, clock: Callable[[], float] = timestamp) -> None:
        self.lock = RLock()
        self._core = Core(clock, self._call_from_script)

    def connect(self, on_output: Callable[[], None]) -> Session:
        session = Session(next(self._core.numbers), on_output)
        self._core.sessions[session.number] = session
        return session

    def disconnect(self, session: Session) -> None:
        discard_transaction(self._core, session)
        self._core.channels.forget(session)
        self._core.sessions.pop(session.number, None)

    def close(self) -> None:
        """Drop everything; no connection is open any more."""
        self._core.keys.clear()
        self._core.scripts.close()

    def execute(self, session: Session, argv: list[bytes]) -> Reply:
        """Run one command; return its reply, its error, or ``Blocked`` for a blocking read that found nothing."""
        try:
            command = COMMANDS.find(argv)
        except ErrorReply as error:
            if session.queue is not None:
                session.queue_spoiled = True
            return error.with_traceback(None)
        if session.queue is not None and not command.immediate:
            session.queue.append((command, argv))
            return QUEUED
        if (session.channels or session.patterns) and not command.while_subscribed:
            return ErrorReply(
                b"ERR Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
                b"allowed in this context" % command.name
            )
        core = self._core
        core.session = session
        core.tick()
        try:
            return command.handler(core, argv)
        except ErrorReply as error:
            return error.with_traceback(
                None
            )  # which keeps the frame that handled it, and so this one: a circle

    def run(
        self,
        session: Session,
        script: Script,
        keys: list[bytes],
        argv: list[bytes],
        error_of: Callable[[str], Exception],
    ) -> Any:
        """Run a script, known or not, or its twin; return its reply or its error as they are read (`as_read`)."""
        core = self._core
        core.session = session
        core.tick()
        try:
            if script.twin is not None:
                reply = script.twin(core.inside, keys, argv)
                if not isinstance(reply, LeftToLua):
                    return reply
            core.nested = True
            sha = core.scripts.sha_of(script.text)
            return as_read(core.scripts.run(sha, keys, argv, read_only=False), error_of)
        except ErrorReply as error:
            return as_read(error, error_of)
        finally:
            core.nested = False

    def retry(self, session: Session, blocked: Blocked) -> Reply:
        """Try a blocking read again; None while there is still nothing."""
        self._core.session = session
        self._core.tick()
        try:
            return blocked.retry()
        except ErrorReply as error:
            return error.with_traceback(None)

    def park(self, blocked: Blocked, notify: Callable[[], None]) -> None:
        """Have ``notify`` called whenever one of the keys may have become ready, until ``unpark``."""
        self._core.keys.wait(blocked.keys, notify)

    def unpark(self, blocked: Blocked, notify: Callable[[], None]) -> None:
        self._core.keys.unwait(blocked.keys, notify)

    def _call_from_script(self, argv: list[bytes]) -> Reply:
        try:
            command = COMMANDS.find(argv)
        except ErrorReply as error:
            if error.text.startswith(b"ERR unknown"):
                raise ErrorReply(b"ERR Unknown Redis command called from script") from None
            raise ErrorReply(b"ERR Wrong number of args calling Redis command from script") from None
        if not command.scriptable:
            raise ErrorReply(b"ERR This Redis command is not allowed from script")
        core = self._core
        if command.writes and core.scripts.read_only:
            raise ErrorReply(b"ERR Write commands are not allowed from read-only scripts.")
        return command.handler(core, argv)
