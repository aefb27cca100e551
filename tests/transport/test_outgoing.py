"""What waits to be sent: the same bytes in the same order, however they come and go; large ones are not copied."""

from __future__ import annotations

import socket
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docket.transport import Apart, Client, Lua, apart, current_backend, parse, resp
from docket.transport.connection import Connection
from docket.transport.outgoing import Outgoing
from docket.transport.resp import LARGE, joined, pack, pack_vouched, pieces, python_pack, words
from docket.transport.sockets import SocketStream, connect

SIZES = st.sampled_from([1, 3, 70, LARGE - 1, LARGE, LARGE + 5])
PACKED = st.one_of(SIZES, st.lists(SIZES, min_size=1, max_size=4).map(tuple))


@given(st.lists(st.one_of(PACKED, st.sampled_from([-1, -50, -LARGE]))))
def test_bytes_leave_in_the_order_in_which_they_came(steps: list[int | tuple[int, ...]]) -> None:
    outgoing, came, sent = Outgoing(), bytearray(), bytearray()

    def take(buffer: bytearray | memoryview, most: int) -> int:
        sent.extend(buffer[:most])
        return len(buffer[:most])

    for number, step in enumerate(steps):
        if isinstance(step, int) and step < 0:
            assert outgoing.send(lambda buffer, most=-step: take(buffer, most)) or not outgoing  # type: ignore[misc]
        else:
            made = tuple(
                bytes([number % 256]) * size for size in (step if isinstance(step, tuple) else (step,))
            )
            outgoing.put(made if isinstance(step, tuple) else made[0])
            came += b"".join(made)
        assert len(outgoing) == len(came) - len(sent)
        assert bool(outgoing) is (len(came) > len(sent))
    while outgoing.send(lambda buffer: take(buffer, 100_000)):
        pass
    assert (sent, len(outgoing)) == (came, 0)


def test_what_was_given_up_is_not_sent() -> None:
    outgoing = Outgoing()
    outgoing.put((b"a", b"x" * LARGE, b"b"))
    outgoing.clear()
    outgoing.put(b"c")
    assert (outgoing.send(len), len(outgoing)) == (1, 0)


def test_large_arguments_are_packed_as_others_are_and_sent_as_they_are() -> None:
    large = b"x" * LARGE
    plain = ("EVALSHA", "sha", 1, "key", large, "ü", 7, large, b"")
    command = tuple(apart(part) if isinstance(part, str | bytes) else part for part in plain)
    assert [type(part) is Apart for part in command] == [part is large for part in plain]
    packed = pack_vouched(command)
    assert b"".join(packed) == pack(plain)  # type: ignore[arg-type]
    assert [piece is large for piece in packed] == [False, True, False, True, False]
    assert (pack(command), python_pack(command)) == (pack(plain), pack(plain))
    assert words(command) == words(plain)
    assert b"".join(joined([b"ab", packed, b"cd"])) == b"ab" + pack(plain) + b"cd"  # type: ignore[arg-type]
    assert joined([b"ab", b"cd"]) == b"abcd"
    assert type(pieces(("PING", 1))) is bytes
    assert type(apart("ü" * LARGE)) is Apart
    assert apart("ü") == "ü"
    assert resp.encode("ü" * LARGE) == apart("ü" * LARGE).data  # type: ignore[union-attr]


@pytest.mark.anyio
@pytest.mark.parametrize("is_first", [True, False])
async def test_who_is_cancelled_while_sending_leaves_the_rest_to_who_waits(is_first: bool) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    connection, replies = Connection(SocketStream(ours), current_backend()), list[Any]()
    large, small = pack(("SET", "k", b"x" * 3_000_000)), pack(("GET", "k"))
    sending = anyio.CancelScope()

    async def send() -> None:
        with sending:
            await connection.request(large)

    async def ask() -> None:
        replies.append(await connection.request(small))

    async with anyio.create_task_group() as group:
        for each in (ask, send) if is_first else (send, ask):
            group.start_soon(each)
            await anyio.wait_all_tasks_blocked()
        sending.cancel()
        came = 0
        while came < len(large) + len(small):
            await anyio.wait_readable(theirs)
            came += len(theirs.recv(1_000_000))
        theirs.send(b":1\r\n:2\r\n")
    assert replies == [1 if is_first else 2]
    connection.fail(ConnectionError("over"))
    theirs.close()


@pytest.mark.anyio
async def test_large_arguments_travel_among_small_ones(url: str) -> None:
    """Each caller has its own answer, however the socket cuts them up."""
    echo = Lua("return {#ARGV[1], ARGV[2]}", vouched=True)
    answers: dict[int, object] = {}

    async def ask(client: Client, number: int) -> None:
        size = (3_000_000, 10)[number % 2]
        answers[number] = await client.run(echo, [], [apart(b"x" * size), apart(b"%d" % number * LARGE)])

    async with Client.from_url(url) as client, anyio.create_task_group() as group:
        for number in range(9):
            group.start_soon(ask, client, number)
    assert answers == {n: [(3_000_000, 10)[n % 2], b"%d" % n * LARGE] for n in range(9)}


@pytest.mark.anyio
@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="this kernel takes whatever it is given")
async def test_the_kernel_takes_no_more_than_is_soon_under_way() -> None:
    """It takes 4 MB otherwise, which the server's caches have lost before it reads them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = await connect(parse(f"redis://127.0.0.1:{server.getsockname()[1]}"))
        taken = 0
        while sent := stream.try_send(bytes(1_000_000)):
            taken += sent
        stream.close()
    assert 256 * 1024 < taken < 1_000_000
