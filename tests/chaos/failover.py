"""A rig whose server is a master with a replica, watched by sentinels, and what is done to them.

Replication is asynchronous: a master that dies takes what it has not passed on along. So here only what a replica has
counts as acknowledged (WAIT); what workers write without waiting may be lost, and then a run that had ended runs again,
and who is admitted by the new master may run beside who was admitted by the old one, until that one's worker has
renewed its leases there in vain.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import redis
from redis.sentinel import Sentinel

from tests.chaos.plan import Fault
from tests.chaos.rig import IMPATIENT, PATIENT, Rig
from tests.chaos.torment import SILENT, Tormentor
from tests.fleets import SERVICE, Sentinels
from tests.servers import Server

__all__ = ["Failovers", "WatchedRig"]


class WatchedRig(Rig):
    """Processes find the master by way of the sentinels; there is no proxy."""

    replicated = True

    def _open(self) -> None:
        self.fleet: Sentinels = self.enter(Sentinels())
        self.url = self.fleet.url
        sentinels = [("127.0.0.1", sentinel.port) for sentinel in self.fleet.sentinels]
        found = Sentinel(sentinels, sentinel_kwargs={"socket_timeout": 0.5})
        self.admin = self.enter(found.master_for(SERVICE, **PATIENT))
        self.probe = self.enter(found.master_for(SERVICE, **IMPATIENT))

    def url_of(self, slot: int) -> str:
        return self.url + "?socket_timeout=1&socket_connect_timeout=1"

    @property
    def journal(self) -> None:
        return None


class Failovers(Tormentor):
    """Carries out what happens to masters."""

    rig: WatchedRig

    def failover(self, fault: Fault) -> None:
        fleet = self.rig.fleet
        with self.noted(fault, SILENT):
            old = fleet.master
            match fault.name:
                case "kill master":
                    old.kill()
                    self._until_replaced(old)
                    fleet.bring_back()
                case "freeze master":
                    old.pause()
                    self._until_replaced(old)
                    time.sleep(fault.seconds)
                    old.resume()
                case "hand over":
                    until(self._is_handed_over, "the sentinels agree to replace the master")
                    self._until_replaced(old)
                case other:
                    raise ValueError(other)
            # Not by its name: the sentinels may have made the old one master again.
            until(
                lambda: "role:slave" in fleet.info_of(fleet.replica, "replication"),
                "the other one follows the master",
            )
            fleet.replicated()

    def _until_replaced(self, old: Server) -> None:
        def replaced() -> bool:
            return all(self.rig.fleet.named(sentinel) != old.port for sentinel in self.rig.fleet.sentinels)

        until(replaced, "all sentinels name another master")

    def _is_handed_over(self) -> bool:
        try:
            self.rig.fleet.ask(self.rig.fleet.sentinels[0], "SENTINEL", "FAILOVER", SERVICE)
        except redis.ResponseError:
            return False  # they are still busy with the last time
        return True


def until(condition: Callable[[], bool], what: str) -> None:
    """Sentinels act on their own, and tell nobody else."""
    deadline = time.monotonic() + 60
    while True:
        try:
            if condition():
                return
        except redis.ConnectionError:
            pass  # it is being demoted, which costs it its clients
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within 60 s: {what}")
        time.sleep(0.05)
