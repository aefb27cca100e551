"""The servers of this process by name, each alive while somebody holds it."""

from __future__ import annotations

from threading import Lock

from .server import Server

__all__ = ["Hold", "hold"]


class Hold:
    """Keeps one server alive until ``close``."""

    __slots__ = ("_name", "_servers", "server")

    def __init__(self, servers: Servers, name: str, server: Server) -> None:
        self._servers: Servers | None = servers
        self._name, self.server = name, server

    def close(self) -> None:
        """Let go; idempotent. With the last hold the server and all it remembers are gone."""
        servers, self._servers = self._servers, None
        if servers is not None:
            servers.release(self._name)


class Servers:
    """Counts the holds of each server."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_name: dict[str, tuple[Server, int]] = {}

    def hold(self, name: str) -> Hold:
        with self._lock:
            server, holds = self._by_name.get(name) or (Server(), 0)
            self._by_name[name] = server, holds + 1
        return Hold(self, name, server)

    def release(self, name: str) -> None:
        with self._lock:
            server, holds = self._by_name.pop(name)
            if holds > 1:
                self._by_name[name] = server, holds - 1
                return
        with server.lock:
            server.close()


_servers = Servers()  # one per process: that a name means the same everywhere in it is what memory:// is for


def hold(name: str) -> Hold:
    """Keep the server called ``name`` alive, started if need be, until the hold is closed.

    For whoever has no connection open all the time and still wants its keys to stay.
    """
    return _servers.hold(name)
