"""RESP2 in and out, without I/O: hiredis where it can be imported, else redis-py's packer and our parser."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, cast

from redis._parsers import BaseParser, Encoder
from redis.connection import PythonRespSerializer
from redis.exceptions import InvalidResponse, NoPermissionError, RedisError

__all__ = [
    "CALLBACKS",
    "ENCODER",
    "NEED_MORE",
    "Argument",
    "Reader",
    "Reply",
    "encode",
    "error_from",
    "make_reader",
    "pack",
]

#: What a command may hold. redis-py refuses the others with DataError, and so do we.
Argument: TypeAlias = "bytes | memoryview | str | int | float"

#: A reply as RESP2 has it: bulk and simple strings are bytes. (An error inside of an array is an
#: exception in the list.)
Reply: TypeAlias = "bytes | int | list[Reply] | None"

#: What a reader returns while a reply is incomplete.
NEED_MORE: Final[Any] = object()

ENCODER: Final[Any] = Encoder("utf-8", "strict", False)


def encode(value: Argument) -> bytes:
    """Return the bytes of one argument, as redis-py encodes it."""
    return bytes(ENCODER.encode(value))


class Reader(Protocol):
    """hiredis.Reader's two methods."""

    def feed(self, data: bytes, /) -> None: ...

    def gets(self) -> Any:
        """Return the next reply, a RedisError for an error reply, or NEED_MORE.

        Raises: InvalidResponse - the bytes are not RESP.
        """
        ...


def _callbacks() -> Mapping[str, Callable[..., Any]]:
    try:
        from redis._parsers import response_callbacks as source
    except ImportError:  # redis-py before 8
        from redis._parsers import helpers as source
    tables = vars(source)
    return {**tables["_RedisCallbacks"], **tables["_RedisCallbacksRESP2"]}


#: redis-py's own functions from RESP2 replies to what its asyncio client returns, by upper-case command.
CALLBACKS: Final = _callbacks()

_serializer = PythonRespSerializer(6000, ENCODER.encode)


#: How servers before Redis 7 wrap what a command has answered to a script.
_WRAPPED = re.compile(
    r"ERR Error running script \(call to f_[0-9a-f]+\): @user_script:\d+: (?:@user_script: ?\d+: )*-?"
    r"(?=[A-Z]{3,} |Script killed)"
)


#: What the user lacks who runs a script, as Redis 7.2 and Valkey, and servers before them, put it.
_NOT_PERMITTED = re.compile(
    r"(?:ACL failure in script: (?P<what>.*)|(?P<who>The user executing the script can't .*?)):? script: (?:\w+, )?on "
    r"|.*(?P<wrapped>The user executing the script can't .*)"
)


def error_from(text: str) -> RedisError:
    """Return the exception of redis-py for the text of an error reply.

    What a command has answered to a script comes out as that answer, as it does from Redis 7 on.
    """
    if text.startswith("ERR Error running") and (wrapped := _WRAPPED.match(text)):
        text = text[wrapped.end() :]
    if "script" in text and (denied := _NOT_PERMITTED.match(text.removeprefix("ERR "))):
        what = denied["what"] or denied["who"] or denied["wrapped"]
        return NoPermissionError(f"{what} (in a script; ACL LOG on the server tells which it was)")
    return cast("RedisError", cast("Any", BaseParser).parse_error(text))


def python_pack(command: Sequence[Argument]) -> bytes:
    """Pack a command by redis-py's own packer.

    Raises: DataError - an argument is of another type, a bool or None say.
    """
    return b"".join(cast("Any", _serializer).pack(*command))


def _hiredis() -> tuple[Callable[[Sequence[Argument]], bytes], Callable[[], Reader]] | None:
    try:
        import hiredis
    except ImportError:
        return None
    module: Any = hiredis
    fast: Callable[[Sequence[Argument]], bytes] = module.pack_command

    def pack(command: Sequence[Argument]) -> bytes:
        try:
            return fast(command)
        except TypeError:  # a memoryview, or what redis-py refuses with DataError
            return python_pack(command)

    def make_reader() -> Reader:
        reader: Any = module.Reader(
            protocolError=InvalidResponse, replyError=error_from, notEnoughData=NEED_MORE
        )
        return reader

    return pack, make_reader


def _python() -> tuple[Callable[[Sequence[Argument]], bytes], Callable[[], Reader]]:
    from docket.transport.parser import Parser

    return python_pack, Parser


#: ``pack(command)`` returns the bytes of one command, a tuple whose first item is a single word.
pack, make_reader = _hiredis() or _python()
