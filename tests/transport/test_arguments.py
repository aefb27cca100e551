"""What a command takes: what cannot be sent is refused before a byte is, and nobody else notices."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from enum import StrEnum
from typing import Any

import anyio
import pytest
from redis.exceptions import DataError

from docket.transport import Client, resp
from tests.where import few_pairs, slow

pytestmark = [pytest.mark.anyio, few_pairs, slow]


class Silent(float):
    """A number that has no text."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Colour(StrEnum):
    RED = "red"


TOO_LARGE = {
    "2**64": 2**64,
    "below": -(2**63) - 1,
    "100 digits": 10**100,
    "4301 digits": 10**4300,
    "-5000 digits": -(10**5000),
}
REFUSED: dict[str, Any] = {
    **TOO_LARGE,
    "bool": True,
    "none": None,
    "decimal": Decimal(1),
    "list": [1],
    "object": object(),
    "complex": 1j,
}
SENT: dict[str, tuple[Any, bytes]] = {
    "most": (2**64 - 1, b"18446744073709551615"),
    "least": (-(2**63), b"-9223372036854775808"),
    "nan": (float("nan"), b"nan"),
    "inf": (float("inf"), b"inf"),
    "float": (0.1, b"0.1"),
    "enum": (Colour.RED, b"red"),
    "gaps": (memoryview(b"a-b-c")[::2], b"abc"),
    "wide": (memoryview(b"abcd").cast("H"), b"abcd"),
    "bytearray": (bytearray(b"x"), b"x"),
    "nul": ("a\0b", b"a\0b"),
}

Way = Callable[[Client, Any], Awaitable[object]]


async def _pipeline(client: Client, value: Any) -> object:
    pipe = client.pipeline()
    pipe.set("before", 1)
    pipe.set("k", value)
    return await pipe.execute()


async def _watching(client: Client, value: Any) -> object:
    async with client.pipeline() as pipe:
        await pipe.watch("k")
        pipe.multi()
        pipe.set("before", 1)
        pipe.set("k", value)
        return await pipe.execute()


async def _dedicated(client: Client, value: Any) -> object:
    async with client.dedicated() as connection:
        return await connection.call("SET", "k", value)


WAYS: dict[str, Way] = {
    "method": lambda client, value: client.set("k", value),
    "call": lambda client, value: client.call("SET", "k", value),
    "call_many": lambda client, value: client.call_many([("SET", "before", 1), ("SET", "k", value)]),
    "pipeline": _pipeline,
    "watching": _watching,
    "dedicated": _dedicated,
    "script": lambda client, value: client.register_script("return redis.call('SET', 'k', ARGV[1])")(
        [], [value]
    ),
    "publish": lambda client, value: client.publish("channel", value),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_what_cannot_be_an_argument_is_refused_before_anything_is_sent(
    client: Client, way: Way, value: Any
) -> None:
    with pytest.raises(DataError, match="Invalid input"):
        await way(client, value)
    assert await client.exists("k", "before") == 0


@pytest.mark.parametrize("value", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_a_number_of_more_than_64_bits_is_refused_by_its_size(client: Client, value: int) -> None:
    with pytest.raises(
        DataError, match=rf"has {value.bit_length()} bits, and a command takes whole numbers of at most 64"
    ):
        await client.set("k", value)


async def test_an_argument_that_is_refused_disturbs_nobody_on_the_connection(client: Client) -> None:
    async def count(name: str) -> None:
        for number in range(1, 50):
            assert await client.incr(name) == number
            assert await client.call("ECHO", f"{name}{number}") == f"{name}{number}".encode()

    async def fail() -> None:
        for way in WAYS.values():
            for value in (10**5000, True, Silent(1), "\udcff"):
                with pytest.raises((DataError, RuntimeError, UnicodeEncodeError)):
                    await way(client, value)

    async with anyio.create_task_group() as group:
        for name in ("a", "b", "c"):
            group.start_soon(count, name)
            group.start_soon(fail)
    assert await client.call("ECHO", "last") == b"last"


@pytest.mark.parametrize(("value", "stored"), SENT.values(), ids=SENT)
async def test_what_can_be_an_argument_arrives_as_redis_py_spells_it(
    client: Client, value: Any, stored: bytes
) -> None:
    await client.set("k", value)
    assert await client.get("k") == stored


@pytest.mark.parametrize("packer", [resp.pack, resp.python_pack], ids=["quick", "python"])
@pytest.mark.parametrize(("value", "stored"), SENT.values(), ids=SENT)
def test_both_packers_write_the_same(packer: Callable[[Any], bytes], value: Any, stored: bytes) -> None:
    assert packer(("SET", value)) == b"*2\r\n$3\r\nSET\r\n$%d\r\n%b\r\n" % (len(stored), stored)


@pytest.mark.parametrize("argument", ["10**4300", "-10**9999", "Silent(1)"])
def test_what_has_no_text_does_not_end_the_process(argument: str) -> None:
    """hiredis writes what it cannot spell out through a null pointer."""
    program = f"""
from tests.transport.test_arguments import Silent, resp
try:
    resp.pack(("SET", "k", {argument}))
except Exception as error:
    print(type(error).__name__)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.strip() in ("DataError", "RuntimeError")
