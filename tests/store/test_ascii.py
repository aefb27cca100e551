"""lib/ascii.lua: text as JSON, from within a script, whatever bytes somebody else has written."""

from __future__ import annotations

import json
import random
from importlib.resources import files

import pytest

from docket.transport import Client

pytestmark = pytest.mark.anyio

SOURCE = (
    files("docket.store").joinpath("scripts/lib/ascii.lua").read_text("utf-8") + "\nreturn ascii(ARGV[1])"
)

JUNK = [
    (b"\xff", "\ufffd"),
    (b"a\x80b", "a\ufffdb"),
    ("é".encode() + b"\x80", "é\ufffd"),
    ("é".encode()[:1], "\ufffd"),
    ("☃".encode()[:2], "\ufffd\ufffd"),
    ("🐙".encode()[:3] + b"z", "\ufffd\ufffd\ufffdz"),
    (b"\xed\xb3\xbf", "\ufffd" * 3),  # a surrogate
    (b"\xc0\xaf", "\ufffd" * 2),  # longer than need be
    (b"\xe0\x80\xaf", "\ufffd" * 3),
    (b"\xf4\x90\x80\x80", "\ufffd" * 4),  # behind the last character
    (b"\xf5\x80\x80\x80", "\ufffd" * 4),
    (b"\xfe\xff", "\ufffd" * 2),
    (b"\xff" * 4 + "🐙é☃".encode(), "\ufffd" * 4 + "🐙é☃"),
    (b"\0\x80\0", "\0\ufffd\0"),
]


@pytest.fixture
async def client(url: str) -> Client:
    return Client.from_url(url)


async def test_text_is_written_as_python_writes_it(client: Client) -> None:
    source = random.Random(1)
    letters = [
        '"',
        "\\",
        "\n",
        "\0",
        "\x1f",
        "\x7f",
        "\x80",
        "é",
        "\u07ff",
        "\u0800",
        "☃",
        "\ud7ff",
        "\ue000",
        "\uffff",
        "🐙",
        "\U0010ffff",
    ]
    texts = ["", *letters, *("".join(source.choices([*letters, "a", " "], k=30)) for _ in range(200))]
    async with client:
        for text in texts:
            assert await client.eval(SOURCE, 0, text) == json.dumps(text).encode()


@pytest.mark.parametrize(("raw", "text"), JUNK)
async def test_bytes_that_are_no_text_are_replaced(client: Client, raw: bytes, text: str) -> None:
    async with client:
        written = await client.eval(SOURCE, 0, raw)
    assert written.isascii()
    assert json.loads(written) == text
