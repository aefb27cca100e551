"""Properties of single commands: which wait in the server, which change the connection."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import Any

from ..values import frozen
from .resp import Argument, encode

__all__ = ["Command", "Kind", "block_seconds", "look_up"]


class Kind(Enum):
    """On which connection a command may be sent."""

    SHARED = auto()
    #: Waits in the server, or may: a connection of its own.
    BLOCKING = auto()
    #: Waits in the server if its arguments hold BLOCK.
    MAY_BLOCK = auto()
    #: Changes the connection, which others share.
    STATEFUL = auto()


_BLOCKING = "BLPOP BRPOP BRPOPLPUSH BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF"
_STATEFUL = (
    "SELECT AUTH HELLO RESET QUIT MULTI EXEC DISCARD WATCH UNWATCH MONITOR SYNC PSYNC SUBSCRIBE PSUBSCRIBE "
    "SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE ASKING READONLY READWRITE"
)
_STATEFUL_PAIRS = ("CLIENT REPLY", "CLIENT TRACKING", "CLIENT CACHING", "CLIENT SETNAME", "CLIENT NO-EVICT")

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(_BLOCKING.split(" "), Kind.BLOCKING),
    **dict.fromkeys(("XREAD", "XREADGROUP"), Kind.MAY_BLOCK),
    **dict.fromkeys((*_STATEFUL.split(" "), *_STATEFUL_PAIRS), Kind.STATEFUL),
}

_INSTEAD = {
    "MULTI": "use pipeline()",
    "EXEC": "use pipeline()",
    "WATCH": "use pipeline() and its watch()",
    "SELECT": "name the database in the URL",
    "AUTH": "name the user in the URL",
    "CLIENT SETNAME": "name the client in the URL: client_name=",
    **dict.fromkeys(["SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE"], "use pubsub()"),
}


@frozen
class Command:
    """The properties of a command, by its name as redis-py's mixins spell it (``"CLIENT SETNAME"``)."""

    name: str
    kind: Kind
    words: tuple[str, ...] | None
    callback: Callable[..., Any] | None

    def instead(self) -> str:
        """The error text for a command that the shared connection refuses, with the way to do it."""
        hint = _INSTEAD.get(self.name, "use dedicated()")
        return f"{self.name} is not possible on a connection that many callers share: {hint}"


_SECONDS_LAST = frozenset(("BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BZPOPMIN", "BZPOPMAX"))
_SECONDS_FIRST = frozenset(("BLMPOP", "BZMPOP"))


def look_up(args: Sequence[Any], callbacks: Mapping[str, Callable[..., Any]]) -> Command:
    """Return the properties of the command that ``args`` begin with."""
    first = args[0]
    upper = encode(first).decode("utf-8", "replace").upper()
    words = tuple(upper.split())
    name = upper
    if upper == "CLIENT" and len(args) > 1 and isinstance(args[1], str):
        name = f"CLIENT {args[1].upper()}"  # as execute_command("CLIENT", "SETNAME", ...) spells it
    return Command(
        name=name,
        kind=_KINDS.get(name, Kind.SHARED),
        words=words if len(words) > 1 else None,
        callback=callbacks.get(upper),
    )


def block_seconds(args: Sequence[Argument]) -> float | None:
    """Return for how many seconds (or infinity) a command may wait in the server; None if it never does."""
    first = args[0]
    name = first.upper() if isinstance(first, str) else encode(first).decode("utf-8", "replace").upper()
    if name in ("XREAD", "XREADGROUP"):
        first_option = 4 if name == "XREADGROUP" else 1  # after GROUP, its name and the consumer's
        for index, word in enumerate(args[first_option:], first_option):
            if word in ("BLOCK", b"BLOCK", "block", b"block"):
                return _seconds(args[index + 1], 1000)
            if word in ("STREAMS", b"STREAMS"):
                break
        return None
    if name in _SECONDS_LAST:
        return _seconds(args[-1])
    if name in _SECONDS_FIRST:
        return _seconds(args[1])
    if name in ("WAIT", "WAITAOF"):
        return _seconds(args[-1], 1000)
    return None


def _seconds(text: Argument, unit: int = 1) -> float:
    try:
        return float(encode(text)) / unit or math.inf  # 0 is for ever
    except ValueError:
        return 0.0  # the server will refuse it at once
