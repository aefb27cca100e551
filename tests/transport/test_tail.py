"""What is appended to a stream, read by those who may not await."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from redis.exceptions import ConnectionError, RedisError

from docket.transport import HELD, Client, Tail, entry_number
from docket.transport.tail import OVERLAP

pytestmark = pytest.mark.anyio


@pytest.fixture
async def writer(url: str) -> AsyncIterator[Client]:
    async with Client.from_url(url) as client:
        yield client


class Reader:
    """One who looks now and then, and keeps what was told."""

    def __init__(self, tail: Tail) -> None:
        self.tail, self.read, self.known = tail, list[int](), b""

    def look(self) -> list[int]:
        for entry_id, fields in self.tail.new_entries(self.known):
            if entry_number(entry_id) > entry_number(self.known):
                self.known = entry_id
                self.read.append(int(fields[1]))
        return self.read

    async def look_until(self, number: int) -> None:
        """The server answers the writer and us in one go, but ours may still be on its way."""
        with anyio.fail_after(10):
            while not self.look() or self.read[-1] != number:
                await anyio.lowlevel.checkpoint()

    async def look_until_it_fails(self) -> None:
        with anyio.fail_after(10):
            while True:
                self.look()
                await anyio.lowlevel.checkpoint()


@pytest.fixture
async def reader(client: Client) -> AsyncIterator[Reader]:
    tail = Tail(client, "s")
    await tail.open()
    yield Reader(tail)
    tail.close()


async def append(writer: Client, *numbers: int) -> None:
    for number in numbers:
        await writer.xadd("s", {"n": number})


async def test_what_was_added_is_told_without_waiting(reader: Reader, writer: Client) -> None:
    assert reader.look() == []
    await append(writer, 1)
    await reader.look_until(1)
    await append(writer, 2, 3)
    await reader.look_until(3)
    assert reader.read == [1, 2, 3]


async def test_one_look_tells_all_that_came_meanwhile(reader: Reader, writer: Client, client: Client) -> None:
    """Also what came after the server had answered for the first time: nobody has asked anew in between."""
    await append(writer, *range(HELD))
    await client.ping()  # the server has written to us by now
    assert reader.look() == list(range(HELD))


async def test_nothing_is_missing_however_the_additions_fall(reader: Reader, writer: Client) -> None:
    async with anyio.create_task_group() as group:
        for start in range(0, 1000, 250):  # at most 20 additions between two looks

            async def burst(start: int = start) -> None:
                for n in range(start, start + 250, 5):
                    pipe = writer.pipeline(transaction=False)
                    for number in range(n, n + 5):
                        pipe.xadd("s", {"n": number})
                    await pipe.execute()
                    reader.look()

            group.start_soon(burst)
    await append(writer, 1000)
    await reader.look_until(1000)
    every = [int(fields[b"n"]) for _, fields in await writer.xrange("s")]
    assert len(every) == 1001
    assert reader.read == every


async def test_who_looks_after_a_long_time_is_told_what_the_server_still_finds(
    reader: Reader, writer: Client
) -> None:
    await append(writer, *range(HELD + OVERLAP - 1))
    await reader.look_until(HELD + OVERLAP - 2)
    assert reader.read == list(range(HELD + OVERLAP - 1))


async def test_who_looks_too_late_is_told_that_something_is_missing(reader: Reader, writer: Client) -> None:
    await append(writer, *range(HELD + 2 * OVERLAP))
    if writer.is_memory:
        assert len(reader.look()) == HELD + 2 * OVERLAP  # a server in this process answers at once
        return
    with pytest.raises(ConnectionError, match="more entries have come"):
        await reader.look_until_it_fails()
    assert reader.read == list(range(HELD))
    assert not reader.tail.is_open


async def test_a_look_back_over_more_than_entries_are_kept_is_not_trusted(
    client: Client, writer: Client
) -> None:
    await writer.xadd("s", {"n": 1}, id="1000-0")
    await writer.xadd("s", {"n": 2}, id="9000-0")
    for kept, told in (8000, [2]), (7999, None):
        tail = Tail(client, "s", kept_ms=kept)
        await tail.open()
        reader = Reader(tail)
        reader.known = b"1000-0"
        if told is None:
            with pytest.raises(ConnectionError, match="more entries have come"):
                await reader.look_until(2)
        else:
            await reader.look_until(2)
            assert reader.read == told
        tail.close()


async def test_a_lost_connection_is_told_once_what_had_arrived_was_told(
    reader: Reader, writer: Client
) -> None:
    await append(writer, 1)
    await reader.look_until(1)
    if writer.is_memory:
        reader.tail.close()
    else:
        await append(writer, 2)
        await writer.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(RedisError):
        await reader.look_until_it_fails()
    assert not reader.tail.is_open
    await reader.tail.open()
    assert reader.tail.is_open
    await append(writer, 3)
    await reader.look_until(3)


async def test_a_key_that_is_no_stream_is_an_error(writer: Client) -> None:
    await writer.set("other", "x")
    tail = Tail(writer, "other")
    await tail.open()
    with pytest.raises(RedisError, match="WRONGTYPE"):
        await Reader(tail).look_until_it_fails()


async def test_a_tail_that_is_closed_leaves_nothing_behind(
    reader: Reader, client: Client, writer: Client
) -> None:
    if client.is_memory:
        return
    before = len(await writer.client_list())
    reader.tail.close()
    with anyio.fail_after(10):
        while len(await writer.client_list()) != before - 1:
            await anyio.lowlevel.checkpoint()
    with pytest.raises(ConnectionError, match="Not connected"):
        reader.look()
