"""What goes wrong with a server, brought about on a real one: each is a context manager over a ``Server``.

When left the server is well again. What it holds stays, but for the last two of ``LOSSES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.servers import Server
from tests.where import EVERY_LOOP

__all__ = ["AWAY", "LOSSES", "REFUSALS", "SAID", "Trouble", "on_some_loop"]

Trouble = Callable[[Server], AbstractContextManager[None]]


@contextmanager
def _admin(server: Server) -> Iterator[Any]:
    with redis.Redis(port=server.port) as admin:
        yield admin


def _configured(name: str, bad: str, good: str) -> Trouble:
    @contextmanager
    def trouble(server: Server) -> Iterator[None]:
        with _admin(server) as admin:
            admin.config_set(name, bad)
            try:
                yield
            finally:
                admin.config_set(name, good)

    return trouble


@contextmanager
def _replica(server: Server) -> Iterator[None]:
    """Of a master that is not there, so that it keeps what it has."""
    with _admin(server) as admin:
        admin.execute_command("REPLICAOF", "127.0.0.1", 1)
        yield
        admin.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def _stale_replica(server: Server) -> Iterator[None]:
    with _configured("replica-serve-stale-data", "no", "yes")(server), _replica(server):
        yield


@contextmanager
def _cannot_save(server: Server) -> Iterator[None]:
    """A folder lies where the server wants to write its file."""
    file = Path(server.directory.name, "dump.rdb")
    blocker = file / "in the way"
    with _admin(server) as admin:
        blocker.mkdir(parents=True)
        admin.config_set("save", "3600 1000000")
        assert not _saved(admin)
        yield
        blocker.rmdir()
        file.rmdir()
        assert _saved(admin)
        admin.config_set("save", "")
        file.unlink()


def _saved(admin: Any) -> bool:
    admin.bgsave()
    while (now := admin.info("persistence"))["rdb_bgsave_in_progress"]:
        pass
    return bool(now["rdb_last_bgsave_status"] == "ok")


@contextmanager
def _busy(server: Server) -> Iterator[None]:
    """A script keeps the server until it is killed."""
    with _admin(server) as admin, _admin(server) as killer:
        admin.config_set("lua-time-limit", 1)
        connection = admin.connection_pool.get_connection()
        connection.send_command("EVAL", "while true do end", 0)
        while True:
            try:
                killer.ping()
            except redis.ResponseError:
                break
        yield
        killer.script_kill()
        connection.disconnect()
        admin.config_set("lua-time-limit", 5000)


@contextmanager
def _no_room(server: Server) -> Iterator[None]:
    """Everybody is sent away but whoever does this, and nobody else is let in."""
    with _admin(server) as admin:
        admin.config_set("maxclients", 1)
        for kind in ("normal", "pubsub"):
            admin.client_kill_filter(_type=kind, skipme=True)
        yield
        admin.config_set("maxclients", 10000)


@contextmanager
def _killed(server: Server) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def _stopped(server: Server) -> Iterator[None]:
    server.pause()
    yield
    server.resume()


def _write_file(admin: Any) -> None:
    """Have the server write what it will read when it starts again."""
    if admin.config_get("appendonly")["appendonly"] == "no":
        admin.save()
        return
    admin.bgrewriteaof()
    while (now := admin.info("persistence"))["aof_rewrite_in_progress"] or now["aof_rewrite_scheduled"]:
        pass


@contextmanager
def _loading(server: Server) -> Iterator[None]:
    """It has come back, and reads its file: slowly, until the block is left."""
    often = "loading-process-events-interval-bytes"
    with _admin(server) as admin:
        if not admin.config_get(often):
            pytest.skip("before Redis 7 a server that loads slowly does not answer meanwhile")
        pipeline = admin.pipeline(transaction=False)
        for number in range(3000):
            pipeline.set(f"ballast:{number}", "x" * 1000)
        pipeline.execute()
        _write_file(admin)
    usual = server.arguments
    server.arguments = (*usual, "--key-load-delay", "1000", f"--{often}", "1024")
    server.restart()
    yield
    server.arguments = usual
    server.restart()
    Path(server.directory.name, "dump.rdb").unlink(missing_ok=True)
    with _admin(server) as admin:
        while True:
            try:
                admin.delete(*(f"ballast:{number}" for number in range(3000)))
                return
            except (redis.BusyLoadingError, redis.ConnectionError):
                pass


#: The server answers, and refuses; connections stay.
REFUSALS: dict[str, Trouble] = {
    "OOM": _configured("maxmemory", "1", "0"),
    "READONLY": _replica,
    "MASTERDOWN": _stale_replica,
    "NOREPLICAS": _configured("min-replicas-to-write", "1", "0"),
    "MISCONF": _cannot_save,
    "BUSY": _busy,
}

#: Nobody answers, or no newcomer.
AWAY: dict[str, Trouble] = {
    "refused": _killed, "MAXCLIENTS": _no_room, "LOADING": _loading, "SIGSTOP": _stopped,
}  # fmt: skip


@contextmanager
def _scripts_flushed(server: Server) -> Iterator[None]:
    with _admin(server) as admin:
        admin.script_flush()
    yield


@contextmanager
def _disconnected(server: Server) -> Iterator[None]:
    with _admin(server) as admin:
        for kind in ("normal", "pubsub"):
            admin.client_kill_filter(_type=kind, skipme=True)
    yield


@contextmanager
def _flushed(server: Server) -> Iterator[None]:
    with _admin(server) as admin:
        admin.flushall()
    yield


@contextmanager
def _restarted(server: Server) -> Iterator[None]:
    server.restart()
    yield


#: It happens in a moment; the server loses its scripts, its connections, its data, or all of them.
LOSSES: dict[str, Trouble] = {
    "scripts": _scripts_flushed, "connections": _disconnected, "data": _flushed, "everything": _restarted,
}  # fmt: skip

#: What users are told.
SAID = {
    "OOM": "maxmemory",
    "READONLY": "read only replica",
    "MASTERDOWN": "read only replica|Link with MASTER is down",
    "NOREPLICAS": "NOREPLICAS",
    "MISCONF": "MISCONF",
    "BUSY": "BUSY",
    "refused": "refused|Connect call failed|lost|reset|closed",
    "MAXCLIENTS": "max number of clients",
    "LOADING": "loading the dataset",
    "SIGSTOP": "No answer from the server",
}


def on_some_loop(names: Iterable[str], everywhere: Iterable[str] = ()) -> Any:
    """Parametrize a test by ``name``: each on one loop, in turn; on the others in the chaos session, but for some.

    A trouble takes its seconds on each loop, and what differs between them is in the transport.
    """
    cases = [
        pytest.param(
            loop,
            name,
            id=f"{loop}-{name}",
            marks=() if number % 3 == turn or name in everywhere else pytest.mark.chaos,
        )
        for number, name in enumerate(names)
        for turn, loop in enumerate(EVERY_LOOP)
    ]
    return pytest.mark.parametrize(("anyio_backend", "name"), cases, indirect=["anyio_backend"])
