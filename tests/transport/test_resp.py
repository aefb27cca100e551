"""Packing and parsing: our parser agrees with hiredis on every way of cutting the bytes."""

from __future__ import annotations

import random

import hiredis
import pytest
from redis.exceptions import NoPermissionError, NoScriptError, ReadOnlyError, ResponseError

from docket.transport import resp
from docket.transport.parser import Parser

REPLIES = (
    b"+OK\r\n:12\r\n:-3\r\n$5\r\nhe\r\no\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n*2\r\n*1\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n"
    b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n*1\r\n+b\r\n$-1\r\n-ERR no\r\n-NOSCRIPT none\r\n"
    b"*2\r\n-WRONGTYPE in\r\n:1\r\n$70000\r\n%b\r\n" % (b"x" * 70000)
)


def plain(reply: object) -> object:
    """Errors compare by identity; here by what they say."""
    if isinstance(reply, list):
        return [plain(item) for item in reply]
    return (type(reply), str(reply)) if isinstance(reply, Exception) else reply


def replies_of(reader: resp.Reader, pieces: list[bytes]) -> list[object]:
    got: list[object] = []
    for piece in pieces:
        reader.feed(piece)
        while (reply := reader.gets()) is not resp.NEED_MORE:
            got.append(plain(reply))
    return got


def cut(data: bytes, source: random.Random) -> list[bytes]:
    at = sorted(source.randrange(len(data)) for _ in range(source.randrange(1, 60)))
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


def test_our_parser_agrees_with_hiredis_however_the_bytes_are_cut() -> None:
    source = random.Random(1)
    whole = replies_of(resp.make_reader(), [REPLIES])
    assert len(whole) == 14
    for _ in range(200):
        assert replies_of(Parser(), cut(REPLIES, source)) == whole
    assert replies_of(Parser(), [REPLIES[i : i + 1] for i in range(400)] + [REPLIES[400:]]) == whole


def test_our_parser_raises_the_same_kinds_of_errors() -> None:
    parser = Parser()
    parser.feed(b"-NOSCRIPT none\r\n-ERR other\r\n")
    assert isinstance(parser.gets(), NoScriptError)
    assert isinstance(parser.gets(), ResponseError)


IN_A_SCRIPT = (
    "ERR Error running script (call to f_1f8f4cfba6f3375f8c4ec02b9de4361a5dea5c64): @user_script:1: "
)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (
            f"{IN_A_SCRIPT}@user_script: 1: -READONLY You can't write against a read only replica.",
            ReadOnlyError,
            "You can't write against a read only replica.",
        ),
        (f"{IN_A_SCRIPT}NOGROUP No such key 'st'", ResponseError, "NOGROUP No such key 'st'"),
        (f"{IN_A_SCRIPT}Script killed by user", ResponseError, "Script killed by user"),
        (f"{IN_A_SCRIPT}attempt to index", ResponseError, f"{IN_A_SCRIPT[4:]}attempt to index"),
    ],
)
def test_what_redis_6_wraps_when_a_script_is_refused_is_unwrapped(
    text: str, kind: type[ResponseError], said: str
) -> None:
    """As Redis 6.2.14 has sent it; from Redis 7 on the answer to the command is the script's."""
    for reader in (Parser(), resp.make_reader()):
        reader.feed(f"-{text}\r\n".encode())
        error = reader.gets()
        assert type(error) is kind
        assert str(error) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (  # Redis 6.2
            f"{IN_A_SCRIPT}@user_script: 1: The user executing the script can't run this command or subcommand",
            "The user executing the script can't run this command or subcommand",
        ),
        (  # Redis 7.0
            "ERR The user executing the script can't run this command or subcommand script: 23ab, on @user_script:8.",
            "The user executing the script can't run this command or subcommand",
        ),
        (  # Redis 8
            "ERR ACL failure in script: User u has no permission to run the 'set' command script: 2, on @user_script:8",
            "User u has no permission to run the 'set' command",
        ),
        (  # Valkey 9.1
            "ERR ACL failure in script: No permissions to access a channel script: on @user_script:6.",
            "No permissions to access a channel",
        ),
        (  # the same, that the script has caught and raised again
            "ERR ERR ACL failure in script: User u may not run the 'hlen' command script: on @user_script:9.",
            "User u may not run the 'hlen' command",
        ),
    ],
)
def test_what_a_script_is_not_permitted_is_told_as_a_missing_permission(text: str, said: str) -> None:
    for reader in (Parser(), resp.make_reader()):
        reader.feed(f"-{text}\r\n".encode())
        error = reader.gets()
        assert type(error) is NoPermissionError
        assert str(error) == f"{said} (in a script; ACL LOG on the server tells which it was)"


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 200 OK\r\n", b":x\r\n", b"$x\r\n", b"*x\r\n"])
def test_what_is_not_a_reply_is_refused(garbage: bytes) -> None:
    for reader in (Parser(), resp.make_reader()):
        reader.feed(garbage)
        with pytest.raises(resp.BadReply):
            reader.gets()


def test_both_packers_pack_alike() -> None:
    command = ("SET", "é", b"\x00\r\n", 1, -2.5, "", memoryview(b"b"), "x" * 10_000)
    assert resp.pack(command) == resp.python_pack(command)
    assert resp.pack(("GET", "k")) == hiredis.pack_command(("GET", "k")) == resp.python_pack(("GET", "k"))
