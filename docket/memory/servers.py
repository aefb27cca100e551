"""The servers of this process by name, each alive as long as anybody holds it, or for good."""

from __future__ import annotations

from importlib.util import find_spec
from threading import RLock

from .server import Server

__all__ = ["Hold", "hold"]


class Hold:
    """Keeps one server alive until ``close``."""

    __slots__ = ("_name", "_servers", "server")

    def __init__(self, servers: Servers, name: str, server: Server) -> None:
        self._servers: Servers | None = servers
        self._name, self.server = name, server

    def close(self) -> None:
        """End the hold; idempotent. With the last hold the server and its keys are gone, unless they stay for good."""
        servers, self._servers = self._servers, None
        if servers is not None:
            servers.release(self._name)


class _Kept:
    """A server, the number of its holds, and whether it stays without any."""

    __slots__ = ("for_good", "holds", "server")

    def __init__(self) -> None:
        self.server, self.holds, self.for_good = Server(), 0, False


class Servers:
    """Counts the holds of each server."""

    def __init__(self) -> None:
        # Reentrant, and each step below is complete: a forgotten client ends its hold wherever garbage is collected.
        self._lock = RLock()
        self._by_name: dict[str, _Kept] = {}

    def hold(self, name: str, for_good: bool) -> Hold:
        with self._lock:
            kept = self._by_name.get(name) or self._by_name.setdefault(name, _Kept())
            kept.holds += 1
            kept.for_good = kept.for_good or for_good
        return Hold(self, name, kept.server)

    def release(self, name: str) -> None:
        with self._lock:
            kept = self._by_name[name]
            kept.holds -= 1
            if kept.holds or kept.for_good:
                return
            del self._by_name[name]
        with kept.server.lock:
            kept.server.close()


_servers = Servers()  # one per process: a name of memory:// means the same everywhere in it


def hold(name: str, *, for_good: bool = False) -> Hold:
    """Keep the server called ``name`` alive until the hold is closed, or ``for_good``; start it if need be.

    For programs that do not have a connection open all the time and still want its keys to stay.
    Raises: ModuleNotFoundError - lupa is not installed, which runs the scripts of docket (a minimal install).
    """
    if find_spec("lupa") is None:
        raise ModuleNotFoundError("memory:// needs lupa; pip install 'anydocket[memory]'", name="lupa")
    return _servers.hold(name, for_good)
