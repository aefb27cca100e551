"""What a test sits down at: one docket, both implementations, a server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import attrs
import redis
from anyio import fail_after, sleep, to_thread

from .sides import Ours, Program, RemoteDocket, Side

__all__ = ["Table", "start", "start_ours", "start_pydocket"]


def environment(**more: str) -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ} | more


def start_pydocket(python: str, tasks: str = "tasks.py") -> Program:
    program = Program(python, tasks, **environment())
    assert program.versions == {"pydocket": "0.27.0"}
    return program


def start_ours() -> Program:
    """Our implementation in a process of its own, for tests that kill it."""
    return Program(sys.executable, **environment(PYTHONPATH=str(Path(__file__).parents[2])))


def start(whose: str, pydocket_python: str) -> Program:
    """That of one side, "ours" or "pydocket"."""
    return start_ours() if whose == "ours" else start_pydocket(pydocket_python)


@attrs.frozen(repr=False)
class Table:
    """One docket that both sides have open, and a plain client to look at it."""

    name: str
    url: str
    pydocket: RemoteDocket
    ours: Ours
    redis: redis.Redis

    def side(self, name: str) -> Side:
        return self.pydocket if name == "pydocket" else self.ours

    def runs(self) -> dict[bytes, bytes]:
        """How often each number of `tally` was run."""
        return self.redis.hgetall(f"tally:{self.name}")

    def release(self) -> None:
        """Let every `hold` end."""
        self.redis.set(f"release:{self.name}", 1)

    async def begun(self, key: str) -> str:
        """Wait for `hold` under ``key`` to begin; the name of its worker."""
        found = await to_thread.run_sync(lambda: self.redis.blpop([f"began:{self.name}:{key}"], timeout=20))
        assert found is not None, f"{key} did not begin"
        return found[1].decode()

    async def ticks(self, worker: str, count: int) -> None:
        """Wait until ``worker`` has run `tick` so often."""

        def wait() -> None:
            left = count
            while left:
                found = self.redis.blpop([f"ticks:{self.name}"], timeout=20)
                assert found is not None, "the perpetual task has ended"
                left -= found[1] == worker.encode()  # the one before may have left some

        await to_thread.run_sync(wait)

    async def reaches(self, key: str, value: str, *, field: str = "state") -> None:
        """Wait for a field of the record of ``key`` to be ``value``."""
        with fail_after(20):
            while self.redis.hget(f"{self.name}:runs:{key}", field) != value.encode():
                await sleep(0.01)  # a record that changed before one subscribed must be looked at

    def assert_left_clean(self) -> None:
        """Nothing waits, nothing is held, and what is left has a time to live or is known to stay."""
        assert self.redis.xlen(f"{self.name}:stream") == 0
        assert self.redis.zcard(f"{self.name}:queue") == 0
        assert self.redis.xpending(f"{self.name}:stream", "docket-workers")["pending"] == 0
