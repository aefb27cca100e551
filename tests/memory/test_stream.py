"""The byte stream: what a connection sees of the server in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from docket import memory
from tests.memory.resp import Failure, Incomplete, Replies, Simple, pack

pytestmark = pytest.mark.anyio

OK, PONG = Simple(b"OK"), Simple(b"PONG")


class Peer:
    """A connection with the least that one needs."""

    def __init__(self, name: str) -> None:
        self.stream = memory.open_stream(name)
        self.replies = Replies()

    def send(self, *arguments: Any) -> None:
        self.stream.try_send(pack(arguments))

    async def read(self) -> Any:
        while True:
            try:
                return self.replies.next()
            except Incomplete:
                received = self.stream.try_receive()
                if received is None:
                    await self.stream.wait_readable()
                else:
                    assert received, "the server has hung up"
                    self.replies.buffer += received

    async def call(self, *arguments: Any) -> Any:
        self.send(*arguments)
        return await self.read()


@pytest.fixture
def peers(memory_url: str) -> Iterator[Any]:
    opened: list[Peer] = []

    def connect() -> Peer:
        opened.append(Peer(memory_url))
        return opened[-1]

    yield connect
    for peer in opened:
        peer.stream.close()


async def test_replies_are_readable_as_soon_as_the_request_is_sent(peers: Any) -> None:
    stream = peers().stream
    assert stream.try_receive() is None
    request = pack(("PING",))
    assert stream.try_send(request) == len(request)
    assert stream.try_receive() == b"+PONG\r\n"
    assert stream.try_receive() is None


async def test_requests_may_come_in_pieces_and_in_any_buffer(peers: Any) -> None:
    stream = peers().stream
    whole = pack(("SET", "k", "v")) + pack(("GET", "k"))
    for at in range(len(whole)):
        piece = whole[at : at + 1]
        stream.try_send((bytes, bytearray, memoryview)[at % 3](piece))
    assert stream.try_receive() == b"+OK\r\n$1\r\nv\r\n"


async def test_a_large_reply_is_received_in_pieces_of_64_kib(peers: Any) -> None:
    peer = peers()
    value = b"x" * 200_000
    assert await peer.call("SET", "k", value) == OK
    peer.send("GET", "k")
    first = peer.stream.try_receive()
    assert len(first) == 65536
    peer.replies.buffer += first
    assert await peer.read() == value


async def test_waiting_is_a_checkpoint_even_when_there_is_something_to_read(peers: Any) -> None:
    peer = peers()
    peer.send("PING")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await peer.stream.wait_readable()
    assert scope.cancelled_caught
    assert await peer.read() == PONG
    await peer.stream.wait_writable()


async def test_a_blocked_read_is_answered_when_an_entry_arrives(peers: Any) -> None:
    reader, writer = peers(), peers()
    await writer.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    got: list[Any] = []

    async def read() -> None:
        got.append(await reader.call("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        assert not got
        await writer.call("XADD", "s", "1-1", "f", "v")
    assert got == [[[b"s", [[b"1-1", [b"f", b"v"]]]]]]


async def test_requests_behind_a_blocked_one_wait_for_it(peers: Any) -> None:
    reader, writer = peers(), peers()
    reader.send("BLPOP", "l", 0)
    reader.send("SET", "k", "v")
    assert await writer.call("GET", "k") is None
    await writer.call("RPUSH", "l", "x")
    assert await reader.read() == [b"l", b"x"]
    assert await reader.read() == OK
    assert await writer.call("GET", "k") == b"v"


async def test_a_blocked_read_gives_up_at_its_deadline(peers: Any) -> None:
    reader = peers()
    reader.send("XREAD", "BLOCK", 20, "STREAMS", "s", "$")
    reader.send("BRPOP", "l", "0.02")
    reader.send("PING")
    assert [await reader.read() for _ in range(3)] == [None, None, PONG]


@pytest.mark.parametrize("entry_first", [True, False])
async def test_a_cancelled_wait_takes_no_entry_along(peers: Any, entry_first: bool) -> None:
    reader, writer = peers(), peers()
    reader.send("BLPOP", "l", 0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reader.stream.wait_readable)
        await anyio.wait_all_tasks_blocked()
        if not entry_first:
            tasks.cancel_scope.cancel()
        writer.send("RPUSH", "l", "x")
        tasks.cancel_scope.cancel()
    assert await writer.read() == 1
    reader.stream.close()
    assert await writer.call("LRANGE", "l", 0, -1) == [b"x"]


async def test_a_closed_reader_takes_no_entry_along(peers: Any) -> None:
    reader, writer = peers(), peers()
    await writer.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    reader.send("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reader.stream.wait_readable)
        await anyio.wait_all_tasks_blocked()
        await writer.call("XADD", "s", "1-1", "f", "v")
        reader.stream.close()
    assert await writer.call("XPENDING", "s", "g") == [0, None, None, None]
    assert await writer.call("XREADGROUP", "GROUP", "g", "d", "STREAMS", "s", ">")


async def test_a_wait_begun_before_the_blocking_command_keeps_its_deadline(peers: Any) -> None:
    reader = peers()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reader.stream.wait_readable)
        await anyio.wait_all_tasks_blocked()
        reader.send("BLPOP", "l", "0.02")
    assert await reader.read() is None


async def test_several_tasks_may_wait_for_one_stream(peers: Any) -> None:
    reader, writer = peers(), peers()
    reader.send("SUBSCRIBE", "c")
    assert await reader.read() == [b"subscribe", b"c", 1]
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(reader.stream.wait_readable)
        await anyio.wait_all_tasks_blocked()
        assert await writer.call("PUBLISH", "c", "m") == 1
    assert await reader.read() == [b"message", b"c", b"m"]


async def test_waiters_of_one_key_share_its_entries(peers: Any) -> None:
    readers, writer = [peers() for _ in range(5)], peers()
    got: list[bytes] = []

    async def read(reader: Peer) -> None:
        got.append((await reader.call("BLPOP", "l", 0))[1])

    async with anyio.create_task_group() as tasks:
        for reader in readers:
            tasks.start_soon(read, reader)
        await anyio.wait_all_tasks_blocked()
        await writer.call("RPUSH", "l", *range(5))
    assert sorted(got) == [b"%d" % number for number in range(5)]
    assert await writer.call("EXISTS", "l") == 0


async def test_a_destroyed_group_ends_its_blocked_reads(peers: Any) -> None:
    reader, writer = peers(), peers()
    await writer.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    reader.send("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    await writer.call("XGROUP", "DESTROY", "s", "g")
    assert str(await reader.read()).startswith("NOGROUP")


async def test_patterns_and_channels_are_both_heard(peers: Any) -> None:
    reader, writer = peers(), peers()
    reader.send("SUBSCRIBE", "p:cancel:k")
    reader.send("PSUBSCRIBE", "p:cancel:*")
    assert [await reader.read() for _ in range(2)] == [
        [b"subscribe", b"p:cancel:k", 1],
        [b"psubscribe", b"p:cancel:*", 2],
    ]
    assert await writer.call("PUBLISH", "p:cancel:k", "m") == 2
    assert await reader.read() == [b"message", b"p:cancel:k", b"m"]
    assert await reader.read() == [b"pmessage", b"p:cancel:*", b"p:cancel:k", b"m"]
    assert isinstance(await reader.call("GET", "k"), Failure)
    assert await reader.call("PING") == [b"pong", b""]
    reader.stream.close()
    assert await writer.call("PUBLISH", "p:cancel:k", "m") == 0
    assert await writer.call("PUBSUB", "NUMPAT") == 0


async def test_closing_wakes_whoever_waits_and_ends_the_stream(peers: Any) -> None:
    stream = peers().stream
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.wait_readable)
        await anyio.wait_all_tasks_blocked()
        stream.close()
    stream.close()
    assert stream.try_receive() == b""
    with pytest.raises(OSError):
        stream.try_send(pack(("PING",)))


async def test_quit_is_answered_before_the_stream_ends(peers: Any) -> None:
    stream = peers().stream
    stream.try_send(pack(("QUIT",)) + pack(("PING",)))
    assert stream.try_receive() == b"+OK\r\n"
    assert stream.try_receive() == b""


async def test_a_killed_client_reads_the_end_of_its_stream(peers: Any) -> None:
    victim, killer = peers(), peers()
    number = await victim.call("CLIENT", "ID")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(victim.stream.wait_readable)
        await anyio.wait_all_tasks_blocked()
        assert await killer.call("CLIENT", "KILL", "ID", number) == 1
    assert victim.stream.try_receive() == b""


async def test_what_is_no_request_is_refused_and_hung_up_on(peers: Any) -> None:
    stream = peers().stream
    stream.try_send(b"PING\r\n")
    assert stream.try_receive().startswith(b"-ERR Protocol error")
    assert stream.try_receive() == b""


async def test_unknown_commands_are_refused_by_name(peers: Any) -> None:
    peer = peers()
    reply = await peer.call("GEOADD", "k", "1", "2", "m")
    assert isinstance(reply, Failure)
    assert reply == "ERR unknown command 'GEOADD', with args beginning with: 'k' '1' '2' 'm' "


async def test_resp3_is_declined(peers: Any) -> None:
    peer = peers()
    assert await peer.call("HELLO", 3) == "NOPROTO unsupported protocol version"
    reply = await peer.call("HELLO", 2, "SETNAME", "me")
    assert dict(zip(reply[::2], reply[1::2], strict=True))[b"proto"] == 2
    assert await peer.call("CLIENT", "GETNAME") == b"me"


async def test_a_server_is_shared_by_name_and_gone_with_its_last_holder(memory_url: str) -> None:
    first, second, other = Peer(memory_url), Peer(memory_url), Peer(memory_url + "-other")
    holding = memory.hold(memory_url)
    await first.call("SET", "k", "v")
    assert await second.call("GET", "k") == b"v"
    assert await other.call("GET", "k") is None
    for peer in (first, second, other):
        peer.stream.close()
    again = Peer(memory_url)
    assert await again.call("GET", "k") == b"v"
    again.stream.close()
    holding.close()
    holding.close()
    fresh = Peer(memory_url)
    assert await fresh.call("GET", "k") is None
    fresh.stream.close()


MESSAGES = 3000


@pytest.mark.parametrize(
    "text", ["return KEYS[1]..ARGV[1]", "local a\nlocal b\nerror('third')", "redis.call('GET')", "not Lua"]
)
def test_a_script_is_the_same_on_the_next_server(text: str, memory_url: str) -> None:
    """Which takes it as the first one has compiled it."""
    found: list[object] = []
    for server in ("one", "another"):
        stream = memory.open_stream(f"{memory_url}-{server}")
        stream.try_send(pack(("EVAL", text, 1, "key", "value")))
        found.append(stream.try_receive())
        stream.close()
    assert found[0] == found[1]


@pytest.mark.parametrize("other", ["asyncio", "trio"])
async def test_two_threads_with_loops_of_their_own_lose_no_message(
    peers: Any, memory_url: str, other: str
) -> None:
    """One loop writes with a script, the other one reads blocking; a lost wake-up would hang."""
    reader = peers()
    await reader.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")

    async def write() -> None:
        writer = Peer(memory_url)
        for number in range(MESSAGES):
            await writer.call("EVAL", "return redis.call('XADD', KEYS[1], '*', 'n', ARGV[1])", 1, "s", number)
            if number % 50 == 0:
                await writer.call("BLPOP", "turn", "0.001")  # lets the reader run dry, and block
        writer.stream.close()

    thread = threading.Thread(target=anyio.run, args=(write,), kwargs={"backend": other})
    thread.start()
    got: list[int] = []
    with anyio.fail_after(30):
        while len(got) < MESSAGES:
            reply = await reader.call(
                "XREADGROUP", "GROUP", "g", "c", "COUNT", 10, "BLOCK", 0, "STREAMS", "s", ">"
            )
            for number, fields in reply[0][1]:
                got.append(int(fields[1]))
                reader.send("XACK", "s", "g", number)
                reader.send("XDEL", "s", number)
                assert [await reader.read(), await reader.read()] == [1, 1]
    await anyio.to_thread.run_sync(thread.join)
    assert got == list(range(MESSAGES))
    assert await reader.call("XLEN", "s") == 0


async def test_waking_a_reader_whose_loop_has_ended_harms_nobody(peers: Any, memory_url: str) -> None:
    writer = peers()
    stranded = Peer(memory_url)
    parked = threading.Event()

    async def strand() -> None:
        stranded.send("SUBSCRIBE", "c")
        while stranded.stream.try_receive() is None:
            await stranded.stream.wait_readable()
        waiting = stranded.stream.wait_readable()
        first = waiting.send(None)  # started and never gone on with, as in a loop that was torn down
        parked.set()
        _left_behind.append((waiting, first))

    thread = threading.Thread(target=anyio.run, args=(strand,))
    thread.start()
    await anyio.to_thread.run_sync(thread.join)
    assert parked.is_set()
    assert await writer.call("PUBLISH", "c", "m") == 1
    stranded.stream.close()
    _left_behind.clear()


_left_behind: list[Any] = []


async def test_a_burst_of_pipelined_requests_takes_linear_time(peers: Any) -> None:
    def seconds(count: int) -> float:
        stream = peers().stream
        began = time.process_time()
        stream.try_send(pack(("SET", "k", "x" * 100)) * count)
        received = 0
        while received < 5 * count:
            received += len(stream.try_receive())
        return time.process_time() - began

    seconds(100)
    small = min(seconds(2_000) for _ in range(3))
    assert min(seconds(20_000) for _ in range(2)) < 40 * small


def test_a_connection_may_be_forgotten_in_the_midst_of_a_command(memory_url: str) -> None:
    """Its finalizer runs wherever Python collects garbage: also while the server goes through its sessions."""
    speaker, listeners = memory.open_stream(memory_url), [memory.open_stream(memory_url) for _ in range(3)]
    for listener in listeners:
        listener.try_send(b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n")
        listener.try_send(b"*2\r\n$10\r\nPSUBSCRIBE\r\n$1\r\nn\r\n")
    forget = iter(listeners[1:])

    class Output:
        """Stands for the garbage that a command makes."""

        def __call__(self) -> None:
            for listener in forget:
                listener.close()

    listeners[0]._session.on_output = Output()  # pyright: ignore[reportPrivateUsage]
    speaker.try_send(b"*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$1\r\nx\r\n")
    assert speaker.try_receive() == b":3\r\n"
    for stream in (speaker, listeners[0]):
        stream.close()
