"""The machinery of one chaos session: server, proxies, worker and producer processes, each with a log file."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.chaos.ledger import Ledger
from tests.chaos.producer import ProducerSettings
from tests.chaos.worker import LATE, WorkerSettings
from tests.proxy import Proxy
from tests.servers import Server

__all__ = ["DOCKET", "LOADING", "LOOPS", "PRODUCERS", "TIMEOUTS", "WORKERS", "Rig"]

ROOT = Path(__file__).parents[2]
DOCKET = "chaos"
LOOPS = ("asyncio", "uvloop", "trio")
WORKERS, PRODUCERS = 4, 3

#: How many seconds a server may load what it kept.
LOADING = 60.0

#: A client that finds the server silent has to notice within a lease.
TIMEOUTS = "?socket_timeout=1&socket_connect_timeout=1"

DURABLE = (
    "--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0",
    "--aof-use-rdb-preamble", "no", "--aof-timestamp-enabled", "yes",
)  # fmt: skip


PATIENT: dict[str, Any] = {
    "socket_timeout": 5,
    "retry": Retry(ConstantBackoff(0.05), 100),
    "retry_on_error": [redis.ConnectionError],
}
IMPATIENT: dict[str, Any] = {"socket_timeout": 0.5, "retry": Retry(ConstantBackoff(0), 0)}


class Member:
    """One process; ``said`` is its log."""

    def __init__(self, module: str, settings: Any, log: Path) -> None:
        self.log, self.settings = log, settings
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, json.dumps(attrs.asdict(settings))],
                cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.process.pid


class Rig:
    """A context manager. Workers that die are started again until `release`.

    This one has a server that loses nothing of what it has acknowledged, and a proxy for each worker and for the
    producers.
    """

    replicated = False
    """Whether what counts as acknowledged is what a replica has, too."""

    def __init__(self, directory: Path, *, seed: int, lease: float, keep: float, pause: float) -> None:
        self.directory, self.seed, self.lease, self.keep = directory, seed, lease, keep
        self.pause = pause
        self.ledger = Ledger(directory / "ledger", "rig")
        self.workers: list[Member] = []
        self.producers: list[Member] = []
        self.proxies: list[Proxy] = []
        self.starts = 0
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._over, self._released = threading.Event(), False

    def __enter__(self) -> Rig:
        try:
            self._open()
            for slot in range(WORKERS):
                self.workers.append(self._worker(slot))
            for at in range(PRODUCERS):
                self.producers.append(self._producer(at))
            for loop in (self._keep_alive, self._watch_server, self._watch_self):
                thread = threading.Thread(target=loop, daemon=True)
                thread.start()
                self._stack.callback(thread.join)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._over.set()
        with self._lock:
            for member in (*self.workers, *self.producers):
                member.process.kill()
                member.process.wait()
        self._stack.close()

    def _open(self) -> None:
        """Start the server, with `admin`, `probe` and `url` for those who ask it directly."""
        self.server = self.enter(Server(*DURABLE))
        self.proxies = [self.enter(Proxy(self.server.port)) for _ in range(WORKERS + 1)]
        self.url = self.server.url
        self.admin = self.enter(redis.Redis(port=self.server.port, **PATIENT))
        self.probe = self.enter(redis.Redis(port=self.server.port, **IMPATIENT))

    def url_of(self, slot: int) -> str:
        """By which way a worker reaches the server; the producers' slot is the last one."""
        return self.proxies[slot].url + TIMEOUTS

    def enter(self, what: Any) -> Any:
        return self._stack.enter_context(what)

    @property
    def journal(self) -> Path | None:
        """Where the server's append-only file is, if it has one with all that has ever happened."""
        return Path(self.server.directory.name) / "appendonlydir"

    # processes -------------------------------------------------------------------------------------------

    def _worker(self, slot: int) -> Member:
        """Some workers keep their name for ever, others have a new one each time; some change their loop."""
        self.starts += 1
        loop = LOOPS[slot] if slot < len(LOOPS) else LOOPS[self.starts % len(LOOPS)]
        settings = WorkerSettings(
            url=self.url_of(slot),
            docket=DOCKET,
            name=f"worker-{slot}" if slot % 2 == 0 else f"worker-{slot}-{self.starts}",
            slot=slot,
            loop=loop,
            ledger=str(self.directory / "ledger"),
            lease=self.lease,
            keep=self.keep,
        )
        member = Member("tests.chaos.worker", settings, self.directory / f"worker-{slot}-{self.starts}.log")
        self.ledger.note("started", of=member.pid, slot=slot, loop=loop, name=settings.name)
        return member

    def _producer(self, at: int) -> Member:
        settings = ProducerSettings(
            url=self.url_of(WORKERS),
            docket=DOCKET,
            name=f"{at}",
            loop=LOOPS[at % len(LOOPS)],
            ledger=str(self.directory / "ledger"),
            seed=f"{self.seed}-producer-{at}",
            keep=self.keep,
            pause=self.pause,
            replicated=self.replicated,
        )
        return Member("tests.chaos.producer", settings, self.directory / f"producer-{at}.log")

    def signal_worker(self, slot: int, number: signal.Signals) -> None:
        with self._lock:
            member = self.workers[slot]
            self.ledger.note("signal", of=member.pid, slot=slot, signal=number.name)
            member.process.send_signal(number)

    def _keep_alive(self) -> None:
        """Start again what has died."""
        while not self._over.wait(0.02):
            with self._lock:
                for slot, member in enumerate(self.workers):
                    if self._released or member.process.poll() is None:
                        continue
                    self.ledger.note("exit", of=member.pid, slot=slot, code=member.process.returncode)
                    self.workers[slot] = self._worker(slot)

    def end_producers(self, patience: float) -> None:
        """Let the producers finish what they have begun."""
        for member in self.producers:
            member.process.terminate()
        self._wait(self.producers, patience)

    def release(self, patience: float) -> None:
        """Let the workers drain and end, for good."""
        with self._lock:
            self._released = True
        for slot in range(len(self.workers)):
            self.signal_worker(slot, signal.SIGTERM)
        self._wait(self.workers, patience)

    def _wait(self, members: list[Member], patience: float) -> None:
        deadline = time.monotonic() + patience
        for member in members:
            try:
                member.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.ledger.note("exit", of=member.pid, code=None)
            else:
                self.ledger.note("exit", of=member.pid, code=member.process.returncode)

    def slots_of(self, target: int) -> list[int]:
        """Whom a fault of the network meets: one worker, the producers, or everybody."""
        return [target] if target <= WORKERS else list(range(WORKERS + 1))

    # the server ------------------------------------------------------------------------------------------

    def command(self, *words: str) -> Any:
        """Ask the server itself; it may be on its way back, and load what it has for some time."""
        deadline = time.monotonic() + LOADING
        while True:
            try:
                return self.admin.execute_command(*words)
            except redis.BusyLoadingError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)  # it does not tell

    def _watch_server(self) -> None:
        """Note when the server was silent, whatever the reason."""
        heard = time.monotonic()
        while not self._over.wait(0.05):
            try:
                self.probe.ping()
            except redis.RedisError:
                continue
            if time.monotonic() - heard > 0.05 + LATE:
                self.ledger.note("silent", since=heard)
            heard = time.monotonic()

    def _watch_self(self) -> None:
        """Note when this process, and with it the network, got no turn."""
        since = time.monotonic()
        while not self._over.wait(0.05):
            if time.monotonic() - since > 0.05 + LATE:
                self.ledger.note("stall", since=since)
            since = time.monotonic()
