"""Several real servers that belong together, all on 127.0.0.1: a cluster, and a master with replica and sentinels."""

from __future__ import annotations

import contextlib
import random
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import redis
from redis.crc import key_slot

from tests.servers import Server

__all__ = ["SERVICE", "Cluster", "Sentinels"]

SERVICE = "the-service"


def _port_pair() -> int:
    """A free port; so is the one 10,000 above, on which a node of a cluster talks to the others."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe, socket.socket() as bus:
            port = random.randrange(20_000, 30_000)  # below those the kernel gives to connections
            probe.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
            return port


def _until(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Servers tell nobody about each other: they can only be asked again and again."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


class _Fleet:
    def __init__(self) -> None:
        self._stack = ExitStack()
        self._admins: dict[int, redis.Redis] = {}

    def started(self, *arguments: str, port: int, program: str | None) -> Server:
        return self._stack.enter_context(Server(*arguments, port=port, program=program))

    def ask(self, server: Server, *command: str | int) -> Any:
        """Send a command to one of the servers, whatever its role; return the raw reply, texts decoded."""
        admin = self._admins.get(server.port)
        if admin is None:
            admin = redis.Redis(port=server.port, decode_responses=True, protocol=2)
            admin.response_callbacks.clear()
            self._admins[server.port] = self._stack.enter_context(admin)
        try:
            return admin.execute_command(*command)
        except redis.ConnectionError:  # to the process before this one
            return admin.execute_command(*command)

    def info_of(self, server: Server, section: str) -> str:
        return str(self.ask(server, "INFO", section))

    def until_in_step(self, master: Server, replica: Server) -> None:
        """Wait until a replica has everything that its master had when it was asked."""
        wanted = self._offset(master)
        _until(lambda: self._offset(replica) >= wanted, "the replica has everything")

    def _offset(self, server: Server) -> int:
        return int(self.info_of(server, "replication").split("master_repl_offset:")[1].split("\r")[0])

    def close(self) -> None:
        self._stack.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


class Cluster(_Fleet):
    """Nodes of a cluster; a context manager. The first ``primaries`` share the slots, the others are replicas."""

    def __init__(
        self, *arguments: str, primaries: int = 3, replicas: int = 0, program: str | None = None
    ) -> None:
        super().__init__()
        self.arguments, self.program = arguments, program
        self.primaries, self.replicas = primaries, replicas
        self.nodes: list[Server] = []

    def __enter__(self) -> Cluster:
        try:
            for _ in range(self.primaries + self.replicas):
                self.nodes.append(
                    self.started(
                        "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
                        "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0",
                        *self.arguments, port=_port_pair(), program=self.program,
                    )
                )  # fmt: skip
            self._form()
        except BaseException:
            self.close()
            raise
        return self

    def _form(self) -> None:
        first, primaries = self.nodes[0], self.nodes[: self.primaries]
        for index, node in enumerate(primaries):
            slots = range(16384 * index // len(primaries), 16384 * (index + 1) // len(primaries))
            self.ask(node, "CLUSTER", "ADDSLOTS", *slots)
            self.ask(node, "CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for node in self.nodes[1:]:
            self.ask(node, "CLUSTER", "MEET", "127.0.0.1", first.port)
        count = f"cluster_known_nodes:{len(self.nodes)}"
        _until(lambda: all(count in self.info(node) for node in self.nodes), "the nodes know each other")
        for index, node in enumerate(self.nodes[self.primaries :]):
            owner = self.id(primaries[index % len(primaries)])
            _until(
                lambda owner=owner, node=node: owner in self.ask(node, "CLUSTER", "NODES"),
                "the replica knows its owner",
            )
            self.ask(node, "CLUSTER", "REPLICATE", owner)
        self.until_up()
        for node in self.nodes[self.primaries :]:
            self.replicated(node)

    def info(self, node: Server) -> str:
        return str(self.ask(node, "CLUSTER", "INFO"))

    def id(self, node: Server) -> str:
        return str(self.ask(node, "CLUSTER", "MYID"))

    def replicated(self, node: Server) -> None:
        """Wait until ``node`` is a replica with everything that its owner has."""
        _until(
            lambda: "master_link_status:up" in self.info_of(node, "replication"), "the replica has its data"
        )

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def empty(self) -> None:
        """Forget all keys and scripts."""
        for node in self.others():
            if "role:master" in self.info_of(node, "replication"):
                self.ask(node, "FLUSHALL")
                self.ask(node, "SCRIPT", "FLUSH")

    def owner(self, key: str) -> Server:
        """The node that owns the slot of a key, as the first node that answers sees it."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            if node.process is not None:
                for first, last, (_, port, *_), *_ in self.slots(node):
                    if first <= slot <= last:
                        return next(node for node in self.nodes if node.port == port)
        raise RuntimeError(f"nobody owns slot {slot}")

    def slots(self, node: Server) -> list[Any]:
        return list(self.ask(node, "CLUSTER", "SLOTS"))

    def replica_of(self, owner: Server) -> Server:
        mine = self.id(owner)
        for node in self.others(owner):
            if f"myself,slave {mine}" in self.ask(node, "CLUSTER", "NODES"):
                return node
        raise RuntimeError("it has no replica")

    def until_another_owns(self, key: str, old: Server) -> Server:
        """Wait until the cluster has agreed on another owner than the one that was killed, and is up."""
        _until(lambda: self.owner(key) is not old, "there is a new owner")
        self.until_up()
        return self.owner(key)

    def take_over(self, replica: Server) -> None:
        """Make a replica the owner of its owner's slots, whatever the others think of it."""
        with contextlib.suppress(redis.ResponseError):  # the others were quicker
            self.ask(replica, "CLUSTER", "FAILOVER", "TAKEOVER")
        _until(
            lambda: all(self.id(replica) in self._owners(node) for node in self.others()),
            "everybody knows the new owner",
        )

    def _owners(self, node: Server) -> str:
        return str([entry[2] for entry in self.slots(node)])

    def bring_back(self, node: Server) -> None:
        """Start a killed node again: it becomes the replica of whoever took its slots."""
        node.start()
        self.replicated(node)
        self.until_up()

    def until_up(self) -> None:
        """Wait until every node is content with the cluster."""
        _until(
            lambda: all("cluster_state:ok" in self.info(node) for node in self.others()), "the cluster is up"
        )

    def others(self, *but: Server) -> Iterator[Server]:
        return (node for node in self.nodes if node not in but and node.process is not None)

    def begin_to_move(self, slot: int, source: Server, target: Server) -> None:
        """From now on keys of ``slot`` that ``source`` has not (any more) are asked of ``target``."""
        self.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.id(source))
        self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.id(target))

    def move_key(self, key: str, source: Server, target: Server) -> None:
        self.ask(source, "MIGRATE", "127.0.0.1", target.port, key, 0, 5000)

    def end_of_move(self, slot: int, target: Server) -> None:
        """``target`` owns the slot; everybody is told."""
        for node in (target, *self.others(target)):
            if "role:master" in self.info_of(node, "replication"):
                self.ask(node, "CLUSTER", "SETSLOT", slot, "NODE", self.id(target))

    def move(self, slot: int, source: Server, target: Server) -> None:
        """Move a slot with all its keys, so quickly that nobody is asked in between."""
        self.begin_to_move(slot, source, target)
        while keys := self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            for key in keys:
                self.move_key(key, source, target)
        self.end_of_move(slot, target)


class Sentinels(_Fleet):
    """A master, a replica and sentinels that watch them; a context manager."""

    def __init__(self, *arguments: str, sentinels: int = 3, program: str | None = None) -> None:
        super().__init__()
        self.arguments, self.program, self.count = arguments, program, sentinels
        self.servers: list[Server] = []
        self.sentinels: list[Server] = []
        self._configs = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="docket-sentinels-"))

    def __enter__(self) -> Sentinels:
        try:
            ports = [_port_pair() for _ in range(2 + self.count)]
            more = ("--repl-diskless-sync-delay", "0", *self.arguments)
            master = self.started(*more, port=ports[0], program=self.program)
            replica = self.started(
                "--replicaof", "127.0.0.1", str(ports[0]), *more, port=ports[1], program=self.program
            )
            self.servers = [master, replica]
            self.replicated()
            self._watch(ports[2:])
        except BaseException:
            self.close()
            raise
        return self

    def _watch(self, ports: list[int]) -> None:
        """Start sentinels that know each other from the start: to be introduced would take them seconds."""
        master, replica = self.servers
        ids = {port: f"{port:040d}" for port in ports}
        for port in ports:
            lines = [
                f"sentinel myid {ids[port]}",
                f"sentinel monitor {SERVICE} 127.0.0.1 {master.port} {self.count // 2 + 1}",
                f"sentinel down-after-milliseconds {SERVICE} 500",
                f"sentinel failover-timeout {SERVICE} 3000",
                f"sentinel known-replica {SERVICE} 127.0.0.1 {replica.port}",
                *(f"sentinel known-sentinel {SERVICE} 127.0.0.1 {p} {ids[p]}" for p in ports if p != port),
            ]
            config = Path(self._configs) / f"{port}.conf"
            config.write_text("\n".join(lines) + "\n")
            self.sentinels.append(_Sentinel(config, port=port, program=self.program))
            self._stack.enter_context(self.sentinels[-1])
        _until(
            lambda: all(self._sees_all(sentinel) for sentinel in self.sentinels),
            "the sentinels see everybody",
        )

    def _sees_all(self, sentinel: Server) -> bool:
        reply = self.ask(sentinel, "SENTINEL", "MASTER", SERVICE)
        master = dict(zip(reply[::2], reply[1::2], strict=True))
        return master["flags"] == "master" and master["num-slaves"] == "1"

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    def empty(self) -> None:
        """Forget all keys and scripts."""
        self.ask(self.master, "FLUSHALL")
        self.ask(self.master, "SCRIPT", "FLUSH")

    def named(self, sentinel: Server | None = None) -> int:
        """The port of the master that a sentinel names."""
        return int(self.ask(sentinel or self.sentinels[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    @property
    def master(self) -> Server:
        port = self.named()
        return next(server for server in self.servers if server.port == port)

    @property
    def replica(self) -> Server:
        master = self.master
        return next(server for server in self.servers if server is not master)

    def replicated(self) -> None:
        """Wait until the replica has everything."""
        for server in self.servers:
            if server.process is not None and "role:slave" in self.info_of(server, "replication"):
                _until(
                    lambda server=server: "master_link_status:up" in self.info_of(server, "replication"),
                    "the replica has its data",
                )

    def hand_over(self) -> Server:
        """Make the replica the master, by hand and at once; the old master goes on as its replica. Return that."""
        old, new = self.master, self.replica
        if old.process is not None:
            self.in_step()
        self.ask(new, "REPLICAOF", "NO", "ONE")
        self._name(new)
        if old.process is not None:
            self.ask(old, "REPLICAOF", "127.0.0.1", new.port)
            self.replicated()
        return old

    def in_step(self) -> None:
        """Wait until the replica has everything that the master has."""
        self.until_in_step(self.master, self.replica)

    def _name(self, master: Server) -> None:
        for sentinel in self.sentinels:
            if sentinel.process is not None:
                self.ask(sentinel, "SENTINEL", "REMOVE", SERVICE)
                self.ask(
                    sentinel, "SENTINEL", "MONITOR", SERVICE, "127.0.0.1", master.port, self.count // 2 + 1
                )
                self.ask(sentinel, "SENTINEL", "SET", SERVICE, "down-after-milliseconds", 500)
                self.ask(sentinel, "SENTINEL", "SET", SERVICE, "failover-timeout", 3000)

    def bring_back(self) -> None:
        """Start what was killed, as the replica of whoever is the master now."""
        for server in self.servers:
            if server.process is None:
                server.start()
                if server is not self.master:
                    self.ask(server, "REPLICAOF", "127.0.0.1", self.master.port)
        self.replicated()

    def until_another_than(self, old: Server) -> Server:
        """Wait until all sentinels that live name another master."""
        live = [sentinel for sentinel in self.sentinels if sentinel.process is not None]
        _until(lambda: all(self.named(sentinel) != old.port for sentinel in live), "there is a new master")
        return next(server for server in self.servers if server is not old)


class _Sentinel(Server):
    """A sentinel keeps what it knows in its configuration file."""

    def __init__(self, config: Path, *, port: int, program: str | None) -> None:
        super().__init__(program=program, port=port)
        self.config = config

    def command(self) -> list[str]:
        return [
            self.program, str(self.config), "--sentinel", "--port", str(self.port), "--bind", "127.0.0.1",
            "--dir", self.directory.name,
        ]  # fmt: skip
