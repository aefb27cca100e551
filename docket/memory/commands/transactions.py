"""MULTI, EXEC and WATCH."""

from __future__ import annotations

from ..core import Core
from ..registry import Commands
from ..replies import NO_REPLY, OK, ErrorReply, Reply
from ..session import Session

__all__ = ["commands", "discard_transaction"]

commands = Commands()


def discard_transaction(core: Core, session: Session) -> None:
    """End a transaction and its watches."""
    session.queue = None
    session.queue_spoiled = False
    session.dirty = False
    if session.watching:
        core.keys.unwatch(session.watching, session)
        session.watching.clear()


@commands("MULTI", 1, "noscript", "immediate")
def multi(core: Core, argv: list[bytes]) -> Reply:
    if core.session.queue is not None:
        raise ErrorReply(b"ERR MULTI calls can not be nested")
    core.session.queue = []
    return OK


@commands("DISCARD", 1, "noscript", "immediate")
def discard(core: Core, argv: list[bytes]) -> Reply:
    if core.session.queue is None:
        raise ErrorReply(b"ERR DISCARD without MULTI")
    discard_transaction(core, core.session)
    return OK


@commands("EXEC", 1, "noscript", "immediate")
def exec_(core: Core, argv: list[bytes]) -> Reply:
    session = core.session
    queue, spoiled, dirty = session.queue, session.queue_spoiled, session.dirty
    if queue is None:
        raise ErrorReply(b"ERR EXEC without MULTI")
    discard_transaction(core, session)
    if spoiled:
        raise ErrorReply(b"EXECABORT Transaction discarded because of previous errors.")
    if dirty:
        return None
    replies: list[Reply] = []
    core.nested = True
    try:
        for command, queued in queue:
            try:
                replies.append(command.handler(core, queued))
            except ErrorReply as error:
                replies.append(error)
    finally:
        core.nested = False
    return [reply for reply in replies if reply is not NO_REPLY]


@commands("WATCH", -2, "noscript", "immediate")
def watch(core: Core, argv: list[bytes]) -> Reply:
    if core.session.queue is not None:
        raise ErrorReply(b"ERR WATCH inside MULTI is not allowed")
    for key in argv[1:]:
        core.session.watching[key] = None
        core.keys.watch(key, core.session)
    return OK


@commands("UNWATCH", 1, "noscript")
def unwatch(core: Core, argv: list[bytes]) -> Reply:
    core.keys.unwatch(core.session.watching, core.session)
    core.session.watching.clear()
    core.session.dirty = False
    return OK
