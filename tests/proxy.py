"""A TCP proxy between the code under test and a real server: delays, cuts, half-open connections, refusals.

It has a thread and an event loop of its own, so it serves clients on every loop and goes on where a test blocks
its own. Its controls may be called from any thread; each has taken effect when it returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Literal, TypeVar

__all__ = ["Direction", "Proxy"]

T = TypeVar("T")

Direction = Literal["both", "up", "down"]
"""``up`` is what clients say to the server, ``down`` what the server says to clients."""

CHUNK = 65536


class Proxy:
    """Forwards each connection to ``port`` on 127.0.0.1; a context manager.

        with Server() as server, Proxy(server.port) as proxy:
            async with Docket("work", url=proxy.url) as docket:
                proxy.hang()
                ...
                proxy.resume()

    Controls hold for the connections there are and for those to come, until ``resume()``; a cut is a moment.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ways = {"up": _Way(), "down": _Way()}
        self.answer_lost = threading.Event()
        """Set when somebody has said what `lose_answer` or `cut_within` was told."""
        self._listener: socket.socket | None = None
        self._reserved = _bound(0)  # without listening: the port stays ours while connections are refused
        self._trap = _Trap(self.answer_lost)
        self.accepted = 0
        """How many connections have been made so far."""

    @property
    def port(self) -> int:
        return int(self._reserved.getsockname()[1])

    @property
    def url(self) -> str:
        """The server's database 0, by way of this proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return self._do(lambda: len(self._links))

    def addresses(self) -> set[str]:
        """The connections that are open now as the server calls them, ``host:port``."""
        return self._do(lambda: {link.address for link in self._links})

    def delay(self, seconds: float, direction: Direction = "both") -> None:
        """Have everything arrive ``seconds`` later; as much at once as before. 0 ends that."""
        self._do(lambda: [way.delay(seconds) for way in self._along(direction)])

    def hang(self, direction: Direction = "both") -> None:
        """Forward nothing, as a network does that loses packets: half-open connections, without an error.

        New connections are accepted, and as mute. What is said meanwhile arrives after ``resume()``, as after
        TCP has sent it again; call ``cut()`` before that to have it lost.
        """
        self._do(lambda: [way.hold() for way in self._along(direction)])

    def cut(self, direction: Direction = "both") -> None:
        """Break the connections that are open now; what is on its way is lost.

        ``both`` resets them at both ends. ``up`` is the server's end only: the client goes on without hearing of
        it, and what it says is swallowed. ``down`` is the client's end only: to the server, the client is still
        there.
        """
        self._do(lambda: [link.cut(direction) for link in self._links])

    def lose_answer(self, to: bytes) -> None:
        """Lose what the server says to the first connection that asks for ``to``, from then on, until ``cut()``.

        The server hears the question: that it has executed it, ask it yourself before you cut.
        """
        self.answer_lost.clear()
        self._do(lambda: self._trap.set(to))

    def cut_within(self, word: bytes) -> None:
        """Break the first connection on which a client says ``word``, once the server has heard that and no more."""
        self.answer_lost.clear()
        self._do(lambda: self._trap.set(word, within=True))

    def refuse(self) -> None:
        """Refuse new connections; those that are open go on (``cut`` them as well)."""
        self._do(self._stop_listening)

    def resume(self) -> None:
        """End delays, hanging and refusing. What was held back arrives."""
        self._do(lambda: [way.clear() for way in self._ways.values()])
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def __enter__(self) -> Proxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()

    def _do(self, action: Callable[[], T]) -> T:
        async def in_the_loop() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(in_the_loop(), self._loop).result()

    def _along(self, direction: Direction) -> Iterator[_Way]:
        return (way for name, way in self._ways.items() if direction in (name, "both"))

    async def _listen(self) -> None:
        # Not asyncio's server: what that has accepted when it is closed, it forgets without closing it.
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.setblocking(False)
            self._listener.listen(1024)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _end(self) -> None:
        self._stop_listening()
        for task in self._tasks:
            task.cancel()
        while asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.sleep(0)
        # Transports that were closed by these close their sockets in the turns to come.
        await asyncio.sleep(0.01)

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:  # it was gone already
            return
        self.accepted += 1
        client.setblocking(False)
        task = self._loop.create_task(self._serve(client))
        self._tasks.add(task)

        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            client.close()  # else left open by a task that was cancelled before it began

        task.add_done_callback(over)

    async def _serve(self, client: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=client)
        try:
            to_server = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:  # nobody is there: as nearly as can be as if the client had connected to it by itself
            return _reset(writer)
        except asyncio.CancelledError:
            _reset(writer)
            raise
        link = _Link((reader, writer), to_server, self._trap)
        self._links.add(link)
        try:
            await link.forward(self._ways["up"], self._ways["down"])
        finally:
            self._links.discard(link)
            link.cut("both")


class _Way:
    """What happens to everything that goes one way."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.open = asyncio.Event()
        self.open.set()

    def delay(self, seconds: float) -> None:
        self.seconds = seconds

    def hold(self) -> None:
        self.open.clear()

    def clear(self) -> None:
        self.seconds = 0.0
        self.open.set()


class _Trap:
    """The word that makes the link on which it is said mute, or breaks that right after the word; once."""

    def __init__(self, sprung: threading.Event) -> None:
        self._word: bytes | None = None
        self._within = False
        self._sprung = sprung

    def set(self, word: bytes, *, within: bool = False) -> None:
        self._word, self._within = word, within

    def sprung_by(self, chunk: bytes) -> int | None:
        """How much of the chunk the server is to hear, if the word is in it."""
        if self._word is None or self._word not in chunk:
            return None
        heard = chunk.index(self._word) + len(self._word) if self._within else len(chunk)
        self._word = None
        self._sprung.set()
        return heard

    @property
    def cuts(self) -> bool:
        return self._within


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, client: _Stream, server: _Stream, trap: _Trap) -> None:
        self._client, self._server, self._trap = client, server, trap
        self._is_mute = False
        host, port = server[1].get_extra_info("sockname")
        self.address = f"{host}:{port}"
        self._is_cut = False  # what is on its way is lost
        self._swallows = False  # only one end knows of that

    async def forward(self, up: _Way, down: _Way) -> None:
        """Until both ends are closed, or one where the other would hear of it."""
        pumps = (
            asyncio.ensure_future(self._pump(self._client[0], self._server[1], up)),
            asyncio.ensure_future(self._pump(self._server[0], self._client[1], down)),
        )
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if self._swallows:
                await asyncio.wait(pumps)
        finally:
            for pump in pumps:
                pump.cancel()

    def cut(self, direction: Direction) -> None:
        self._is_cut, self._swallows = True, self._swallows or direction != "both"
        if direction != "down":
            _reset(self._server[1])
        if direction != "up":
            _reset(self._client[1])

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: _Way) -> None:
        said: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1000)
        loop = asyncio.get_running_loop()

        async def deliver() -> None:
            while True:
                due, chunk = await said.get()
                await asyncio.sleep(due - loop.time())
                await way.open.wait()
                if not chunk:
                    return writer.close()
                if not writer.is_closing():  # else it was cut, and this is lost
                    writer.write(chunk)
                    with contextlib.suppress(OSError):
                        await writer.drain()

        delivery = asyncio.ensure_future(deliver())
        try:
            chunk = b"?"
            while chunk:
                try:
                    chunk = await reader.read(CHUNK)
                except OSError:
                    chunk = b""
                if reader is self._client[0]:
                    heard = self._trap.sprung_by(chunk)
                    if heard is not None and self._trap.cuts:
                        writer.write(chunk[:heard])
                        await writer.drain()
                        return  # which breaks it
                    self._is_mute = self._is_mute or heard is not None
                elif self._is_mute and chunk:
                    continue
                await said.put((loop.time() + way.seconds, chunk))
            if not self._is_cut:
                await delivery
        finally:
            delivery.cancel()


def _bound(port: int) -> socket.socket:
    """A socket on ``port``, which another one of ours may use as well."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close at once, so that the other end hears of it by a reset."""
    held = writer.get_extra_info("socket")
    if held is not None and not writer.is_closing():
        with contextlib.suppress(OSError):
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
