"""Carries out the faults of a plan on a rig, and notes when each began and ended."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import redis

from docket import Docket
from docket.store import EVERY_TASK, script_calls
from docket.synchronous import SyncDocket
from tests.chaos.plan import FAILOVERS, OPERATORS, SERVER, Fault
from tests.chaos.rig import DOCKET, LOADING, TIMEOUTS, Rig
from tests.chaos.tasks import TASKS
from tests.proxy import Proxy

__all__ = ["Tormentor"]

#: After how many seconds a client has found another connection: when it is told that the old one is lost, and when
#: it has to find out by itself.
TOLD, SILENT = 0.7, 1.7


class Tormentor:
    """Carries out a plan, each of its tracks in a thread; any error ends the torment and comes out of `wait`."""

    def __init__(self, rig: Rig, tracks: Sequence[Sequence[Fault]]) -> None:
        self.rig, self._over = rig, threading.Event()
        self._error: BaseException | None = None
        self.count = 0
        self._threads = [threading.Thread(target=self._run, args=(track,), daemon=True) for track in tracks]

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def _run(self, track: Sequence[Fault]) -> None:
        slipped = 0.0  # a fault that took longer than planned puts off those after it
        try:
            for fault in track:
                due = self._began + fault.at + slipped
                if self._over.wait(max(0.0, due - time.monotonic())):
                    return
                self._perform(fault)
                slipped = max(slipped, time.monotonic() - self._began - fault.at - fault.seconds)
        except BaseException as error:
            self._error = error
            self._over.set()

    def _perform(self, fault: Fault) -> None:
        self.count += 1
        target = fault.target % len(self.rig.workers)
        match fault.name:
            case "kill worker" | "kill two workers":
                self.rig.signal_worker(target, signal.SIGKILL)
                if fault.name == "kill two workers":
                    self.rig.signal_worker((target + 1) % len(self.rig.workers), signal.SIGKILL)
            case "terminate worker" | "terminate worker twice":
                self.rig.signal_worker(target, signal.SIGTERM)
                if fault.name == "terminate worker twice":
                    time.sleep(0.2)
                    self.rig.signal_worker(target, signal.SIGTERM)
            case "stop worker" | "stop worker briefly":
                self.rig.signal_worker(target, signal.SIGSTOP)
                time.sleep(fault.seconds)
                self.rig.signal_worker(target, signal.SIGCONT)
            case _ if fault.name in OPERATORS:
                self._operate(fault)
            case _ if fault.name in NETWORK_FAULTS:
                self._network(fault)
            case _ if fault.name in FAILOVERS and fault.name not in SERVER:
                self.failover(fault)
            case _:
                self._server(fault)

    @contextmanager
    def noted(self, fault: Fault, after: float, slots: Sequence[int] | None = None) -> Iterator[None]:
        """Note what those in ``slots`` (None: everybody) may suffer from, until ``after`` seconds after its end."""
        since = time.monotonic()
        try:
            yield
        finally:
            until = time.monotonic()
            self.rig.ledger.note("fault", name=fault.name, since=since, until=until, after=after, slots=slots)

    def _operate(self, fault: Fault) -> None:
        """Pause, and resume; nothing of it is a trouble that would excuse anybody."""
        task = None if fault.name == "pause all tasks" else TASKS[self.count % len(TASKS)].__name__
        docket = self._operator
        self._insist(lambda: docket.pause(task, reason=fault.name))
        since = time.monotonic()
        time.sleep(fault.seconds)
        name, until = task or EVERY_TASK, time.monotonic()
        self.rig.ledger.note("pause", name=fault.name, task=name, since=since, until=until)
        if fault.name == "die in a resume":  # the first step is all it does: workers do the rest
            self._insist(lambda: docket.run(_begin_resume, docket, name))
        else:
            self._insist(lambda: docket.resume(task))

    @cached_property
    def _operator(self) -> SyncDocket:
        docket: SyncDocket = self.rig.enter(Docket(DOCKET, self.rig.url + TIMEOUTS).sync())
        return docket

    def _insist(self, act: Callable[[], object]) -> None:
        """Do something again until the server has answered that it is done."""
        deadline = time.monotonic() + LOADING
        while True:
            try:
                act()
                return
            except (redis.RedisError, OSError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _network(self, fault: Fault) -> None:
        slots = self.rig.slots_of(fault.target)
        silent = fault.name not in ("cut", "refuse", "delay")
        with self.noted(fault, SILENT if silent else TOLD, slots):
            proxies = [self.rig.proxies[slot] for slot in slots]
            for proxy in proxies:
                NETWORK_FAULTS[fault.name](proxy)
            time.sleep(fault.seconds)
            for proxy in proxies:
                if fault.name == "hang and cut":
                    proxy.cut()  # what was said meanwhile is lost; without it, it arrives late
                proxy.resume()

    def _server(self, fault: Fault) -> None:
        rig = self.rig
        silent = fault.name in ("stop redis", "pause clients", "pause writes")
        with self.noted(fault, SILENT if silent else TOLD):
            match fault.name:
                case "kill redis" | "kill redis for long":
                    rig.server.kill()
                    time.sleep(fault.seconds)
                    rig.server.start()
                case "end redis":
                    assert rig.server.process is not None
                    rig.server.process.terminate()
                    rig.server.process.wait()
                    time.sleep(fault.seconds)
                    rig.server.start()
                case "stop redis":
                    rig.server.pause()
                    time.sleep(fault.seconds)
                    rig.server.resume()
                case "kill clients":
                    rig.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                case "kill subscribers":
                    rig.command("CLIENT", "KILL", "TYPE", "pubsub")
                case "pause clients" | "pause writes":
                    which = "ALL" if fault.name == "pause clients" else "WRITE"
                    rig.command("CLIENT", "PAUSE", str(round(fault.seconds * 1000)), which)
                    time.sleep(fault.seconds)
                case "refuse writes":
                    self._configured(fault, "min-replicas-to-write", "1", "0")
                case "out of memory":
                    self._configured(fault, "maxmemory", "1", "0")
                case "forget scripts":
                    rig.command("SCRIPT", "FLUSH")
                case other:
                    raise ValueError(other)

    def _configured(self, fault: Fault, name: str, value: str, usual: str) -> None:
        self.rig.command("CONFIG", "SET", name, value)
        try:
            time.sleep(fault.seconds)
        finally:
            with contextlib.suppress(
                redis.ConnectionError
            ):  # then it was started again, and has forgotten it
                self.rig.command("CONFIG", "SET", name, usual)

    def failover(self, fault: Fault) -> None:
        """Replace the master, where there is one."""
        raise NotImplementedError


async def _begin_resume(docket: SyncDocket, task: str) -> None:
    store = docket.docket.store
    await store.client.run(*script_calls.resume(store.keys, task=task, limit=1, begins=1))


NETWORK_FAULTS = {
    "delay": lambda proxy: proxy.delay(0.1),
    "hang": Proxy.hang,
    "hang up": lambda proxy: proxy.hang("up"),
    "hang down": lambda proxy: proxy.hang("down"),
    "hang and cut": Proxy.hang,
    "cut": Proxy.cut,
    "cut up": lambda proxy: proxy.cut("up"),
    "cut down": lambda proxy: proxy.cut("down"),
    "refuse": lambda proxy: (proxy.refuse(), proxy.cut()),
}
