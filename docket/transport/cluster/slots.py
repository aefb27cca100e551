"""Hash slots: the position of a command's first key, and the slot of that key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from redis.crc import key_slot
from redis.exceptions import AskError

from ..resp import Argument, encode

__all__ = ["SLOTS", "NodeAddress", "Range", "read_map", "redirected_to", "slot_of", "slot_of_key"]

#: How many slots there are.
SLOTS = 16384

_KEYLESS = (
    "ACL ASKING AUTH BGREWRITEAOF BGSAVE CLIENT CLUSTER COMMAND CONFIG DBSIZE DISCARD ECHO EXEC FAILOVER FLUSHALL "
    "FLUSHDB FUNCTION HELLO INFO KEYS LASTSAVE LATENCY LOLWUT MODULE MONITOR MULTI PING PSUBSCRIBE PSYNC PUBLISH "
    "PUBSUB PUNSUBSCRIBE QUIT RANDOMKEY READONLY READWRITE REPLICAOF RESET ROLE SAVE SCAN SCRIPT SELECT SHUTDOWN "
    "SLAVEOF SLOWLOG SUBSCRIBE SWAPDB SYNC TIME UNSUBSCRIBE UNWATCH WAIT WAITAOF"
)
_SECOND = "BITOP DEBUG LMPOP MEMORY OBJECT SINTERCARD XGROUP XINFO ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION"
_THIRD = "BLMPOP BZMPOP MIGRATE"
_COUNTED = ("EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO")

#: The position of a command's first key; 1 for commands that are not listed, 0 for those without a key.
_KEY_POSITIONS: dict[str, int] = {
    **dict.fromkeys(_KEYLESS.split(" "), 0),
    **dict.fromkeys(_SECOND.split(" "), 2),
    **dict.fromkeys(_THIRD.split(" "), 3),
}

#: The host and the port of a node.
NodeAddress = tuple[str, int]

#: A range of slots, both ends included; the address of its owner, and those of the owner's replicas.
Range = tuple[int, int, NodeAddress, tuple[NodeAddress, ...]]


def slot_of_key(key: Argument) -> int:
    """Return the slot of a key: that of the text between its first braces, if there is one."""
    return key_slot(key.encode() if isinstance(key, str) else encode(key))


def slot_of(command: Sequence[Argument]) -> int | None:
    """Return the slot of the first key that a command names; None where it names none."""
    first = command[0]
    name = (first if isinstance(first, str) else encode(first).decode("utf-8", "replace")).upper()
    position = _KEY_POSITIONS.get(name, 1)
    if name in _COUNTED:
        position = 3 if len(command) > 2 and encode(command[2]) != b"0" else 0
    elif name in ("XREAD", "XREADGROUP"):
        words = [encode(word).upper() for word in command]
        position = words.index(b"STREAMS") + 1 if b"STREAMS" in words else 0
    return slot_of_key(command[position]) if 0 < position < len(command) else None


def read_map(reply: Any, asked: str) -> list[Range]:
    """Read the reply to CLUSTER SLOTS of the node at host ``asked``, which may leave its own host out."""

    def place(node: Sequence[Any]) -> NodeAddress:
        return _host((node[0] or b"").decode(), asked), int(node[1])

    ranges: list[Range] = []
    for first, last, owner, *replicas in cast("list[list[Any]]", reply):
        ranges.append((first, last, place(owner), tuple(place(node) for node in replicas)))
    return ranges


def redirected_to(error: AskError, asked: str) -> NodeAddress:
    """Read the address in a redirection (MOVED, ASK) of the node at host ``asked``."""
    host, port = cast("tuple[str, int]", cast("Any", error).node_addr)
    return _host(host, asked), port


def _host(host: str, asked: str) -> str:
    return asked if host in ("", "?") else host
