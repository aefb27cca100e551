"""RESP2 in and out, without I/O: hiredis where it can be imported, else redis-py's packer and our parser."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from ..standins import redis_errors

if TYPE_CHECKING:
    from redis._parsers import Encoder

__all__ = [
    "LARGE",
    "NEED_MORE",
    "Apart",
    "Argument",
    "BadReply",
    "Packed",
    "Reader",
    "Reply",
    "apart",
    "callbacks",
    "encode",
    "encoder",
    "error_from",
    "joined",
    "make_reader",
    "pack",
    "pack_vouched",
    "words",
]

#: Bytes from which on they are sent as they are, without copies of them between smaller ones.
LARGE = 64 * 1024


class Apart:
    """A large argument of a script. No packer knows it, so that only calls which have one are packed in pieces."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


def apart(argument: bytes | str) -> bytes | str | Apart:
    """An argument of a script, which is sent without copies if it is large."""
    if len(argument) < LARGE:
        return argument
    return Apart(argument if type(argument) is bytes else encode(argument))


#: The arguments of a command. As redis-py we refuse others with DataError, and also numbers of more than 64 bits.
#: `Apart` is one of scripts alone.
Argument: TypeAlias = "bytes | bytearray | memoryview | str | int | float | Apart"

#: What is to be sent: bytes, or pieces of which each large one is some argument as it is.
Packed: TypeAlias = bytes | tuple[bytes, ...]

#: A reply of RESP2: bulk and simple strings are bytes. (An error inside of an array is an exception in the list.)
Reply: TypeAlias = "bytes | int | list[Reply] | None"

#: A reader returns it while a reply is incomplete.
NEED_MORE: Final[Any] = object()


class BadReply(OSError):
    """What the server has sent is not RESP: the connection is of no use any more."""


@cache
def encoder() -> Encoder:
    """redis-py's own encoder of arguments."""
    from redis._parsers import Encoder

    return Encoder("utf-8", "strict", False)


def encode(value: Argument) -> bytes:
    """Return the bytes of one argument, as redis-py encodes it. Its version 5 knows no bytearray."""
    kind = type(value)
    if kind is str:
        return cast("str", value).encode()
    if kind is bytes or kind is bytearray:
        return bytes(cast("bytes", value))
    if kind is int or kind is float:
        return repr(value).encode()
    whole: Any = encoder()
    return bytes(value if isinstance(value, bytearray) else whole.encode(value))


class Reader(Protocol):
    """hiredis.Reader's two methods."""

    def feed(self, data: bytes, /) -> None: ...

    def gets(self) -> Any:
        """Return the next reply, a RedisError for an error reply, or NEED_MORE.

        Raises: BadReply.
        """
        ...


@cache
def callbacks() -> Mapping[str, Callable[..., Any]]:
    """redis-py's own functions from RESP2 replies to what its asyncio client returns, by upper-case command."""
    try:
        from redis._parsers import response_callbacks as source
    except ImportError:  # redis-py before 8
        from redis._parsers import helpers as source
    tables = vars(source)
    return {**tables["_RedisCallbacks"], **tables["_RedisCallbacksRESP2"]}


@cache
def _parser_of_errors() -> Any:
    """redis-py's way from error replies to its exceptions. Its version 5 knows some in the cluster's parser alone."""
    from redis._parsers import BaseParser

    known = cast("Any", BaseParser).EXCEPTION_CLASSES
    ours = {
        "ASK": redis_errors.AskError,
        "CLUSTERDOWN": redis_errors.ClusterDownError,
        "CROSSSLOT": redis_errors.ClusterCrossSlotError,
        "MASTERDOWN": redis_errors.MasterDownError,
        "MOVED": redis_errors.MovedError,
        "TRYAGAIN": redis_errors.TryAgainError,
    }
    return type("Errors", (BaseParser,), {"EXCEPTION_CLASSES": {**known, **ours}})


#: How servers before Redis 7 wrap the error reply of a command to a script.
_WRAPPED = re.compile(
    r"ERR Error running script \(call to f_[0-9a-f]+\): @user_script:\d+: (?:@user_script: ?\d+: )*-?"
    r"(?=[A-Z]{3,} |Script killed)"
)


#: A missing permission in a script, in the words of Redis 7.2 and Valkey, and of servers before them. An error that a
#: script has caught and raised again begins with one more ERR.
_NOT_PERMITTED = re.compile(
    r"(?:ERR )*(?:ACL failure in script: (?P<what>.*)|(?P<who>The user executing the script can't .*?)):? script: "
    r"(?:\w+, )?on "
    r"|.*(?P<wrapped>The user executing the script can't .*)"
)


def error_from(text: str) -> redis_errors.RedisError:
    """Return the exception of redis-py for the text of an error reply.

    The error reply of a command to a script comes out as that reply, as it does from Redis 7 on.
    """
    if text.startswith("ERR Error running") and (wrapped := _WRAPPED.match(text)):
        text = text[wrapped.end() :]
    if "script" in text and (denied := _NOT_PERMITTED.match(text)):
        what = denied["what"] or denied["who"] or denied["wrapped"]
        return redis_errors.NoPermissionError(
            f"{what} (in a script; ACL LOG on the server tells which it was)"
        )
    return _parser_of_errors().parse_error(text)


#: The numbers that a server understands: signed ones, and unsigned ones like the cursor of SCAN.
LEAST, MOST = -(2**63), 2**64 - 1


def python_pack(command: Sequence[Argument]) -> bytes:
    """Pack a command by redis-py's own encoder.

    Raises: DataError - an argument has another type, such as bool or None, or is a whole number of more than 64 bits;
            also whatever a subclass of these types raises when it is asked for its text.
    """
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        encoded = _checked(argument)
        parts.append(b"$%d\r\n%b\r\n" % (len(encoded), encoded))
    return b"".join(parts)


def pieces(command: Sequence[Argument]) -> Packed:
    """Pack a command by `python_pack`'s rules; large arguments (`Apart`) stay as they are."""
    found, small = list[bytes](), [b"*%d\r\n" % len(command)]
    for argument in command:
        if type(argument) is Apart:
            found += (b"".join((*small, b"$%d\r\n" % len(argument.data))), argument.data)
            small = [b"\r\n"]
        else:
            encoded = _checked(argument)
            small.append(b"$%d\r\n%b\r\n" % (len(encoded), encoded))
    last = b"".join(small)
    return (*found, last) if found else last


def joined(packed: Sequence[Packed]) -> Packed:
    """Several commands in one write."""
    if all(type(each) is bytes for each in packed):
        return b"".join(cast("Sequence[bytes]", packed))
    return tuple(piece for each in packed for piece in ((each,) if isinstance(each, bytes) else each))


def _checked(argument: Argument) -> bytes:
    if type(argument) is Apart:
        return argument.data
    if isinstance(argument, int) and not LEAST <= argument <= MOST:
        raise redis_errors.DataError(
            f"Invalid input: {_spelled(argument)} has {argument.bit_length()} bits, and a command takes whole "
            "numbers of at most 64"
        )
    return encode(argument)


def words(arguments: Sequence[Argument]) -> list[bytes]:
    """The arguments as a server receives them.

    Raises: as `python_pack`.
    """
    return [
        argument
        if type(argument) is bytes
        else argument.encode()
        if type(argument) is str
        else b"%d" % argument
        if type(argument) is int and LEAST <= argument <= MOST
        else _checked(argument)
        for argument in arguments
    ]


def _spelled(number: int) -> str:
    """Python refuses to spell out numbers of some thousand digits."""
    return int.__repr__(number) if number.bit_length() < 400 else "a number"


Pack: TypeAlias = Callable[[Sequence[Argument]], bytes]
PackVouched: TypeAlias = Callable[[Sequence[Argument]], Packed]


def _hiredis() -> tuple[Pack, PackVouched, Callable[[], Reader]] | None:
    try:
        import hiredis
    except ImportError:
        return None
    module: Any = hiredis
    fast: Callable[[Sequence[Argument]], bytes] = module.pack_command

    def pack(command: Sequence[Any]) -> bytes:
        # A value that hiredis cannot print (a number of 4301 digits, a float whose repr() raises) ends the process; and
        # hiredis ignores the gaps of a memoryview.
        for argument in command:
            kind = type(argument)  # pyright: ignore[reportUnknownVariableType]
            if kind is str or kind is bytes:
                continue
            if kind is float or (kind is int and LEAST <= argument <= MOST):
                continue
            return python_pack(command)
        return fast(command)

    def pack_vouched(command: Sequence[Any]) -> Packed:
        try:
            return fast(command)
        except TypeError:
            return pieces(command)

    def make_reader() -> Reader:
        reader: Any = module.Reader(protocolError=BadReply, replyError=error_from, notEnoughData=NEED_MORE)
        return reader

    return pack, pack_vouched, make_reader


def _python() -> tuple[Pack, PackVouched, Callable[[], Reader]]:
    from .parser import Parser

    return python_pack, pieces, Parser


#: ``pack(command)`` returns the bytes of one command, a tuple whose first item is a single word. ``pack_vouched`` does
#: not check the arguments: the caller vouches that they are text, bytes and numbers of at most 64 bits.
pack, pack_vouched, make_reader = _hiredis() or _python()
