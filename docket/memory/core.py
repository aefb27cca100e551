"""The state of a server, which every command works on."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from .channels import Channels
from .inside import Inside
from .keyspace import Keyspace
from .replies import Reply
from .scripts import Scripts
from .session import Session

__all__ = ["Core"]


class Core:
    """The state of one server, and the command in progress.

    ``micros`` and ``keys.now`` (ms) are the time of the command in progress; it never runs backwards, even if the
    clocks of two threads disagree. ``nested`` is True within EXEC and scripts, where nothing blocks. ``scan_order`` is
    the order of the SCAN that began last, as long as it goes on. ``inside`` is what twins of scripts work on.
    """

    __slots__ = (
        "channels",
        "clock",
        "inside",
        "keys",
        "micros",
        "nested",
        "numbers",
        "scan_order",
        "scripts",
        "session",
        "sessions",
    )

    def __init__(self, clock: Callable[[], float], call: Callable[[list[bytes]], Reply]) -> None:
        self.clock = clock
        self.scripts = Scripts(call)
        self.keys = Keyspace()
        self.channels = Channels()
        self.inside = Inside(self.keys, self.channels)
        self.sessions: dict[int, Session] = {}
        self.numbers = itertools.count(1)
        self.session = Session(0, lambda: None)
        self.micros = 0
        self.nested = False
        self.scan_order: list[tuple[int, bytes]] | None = None

    def tick(self) -> None:
        """Read the clock for the next command, and expire due keys."""
        micros = int(self.clock() * 1_000_000)
        if micros > self.micros:
            self.micros = micros
            self.keys.now = micros // 1000
        if self.keys.expires:
            self.keys.expire_due()
