"""What is on the server when nothing is left to do: what became of each task, and what should not be there."""

from __future__ import annotations

import contextlib
import re
from datetime import timedelta
from typing import Any

import anyio
import attrs
import redis

from docket import Docket
from docket.execution import ExecutionCancelled
from docket.store.levels import LANES, NORMAL_LANE
from tests.chaos import tasks
from tests.chaos.poison import POISONS

__all__ = ["UNLIMITED", "Ending", "endings", "leaks", "waiting"]

#: What may live for ever: there is one of each on a docket, whatever it has run.
UNLIMITED = re.compile(r"(stream|strikes|workers|ops:lane:[a-z-]+)$")

STREAM_GROUP = "docket-workers"

STREAMS = ("stream", *(f"ops:lane:{lane}" for lane in LANES if lane != NORMAL_LANE))


@attrs.frozen
class Ending:
    """What the record of a task says, and what `get_result` does."""

    state: str
    value: Any = None
    """What it returned, or the name of the class of what it raised."""


def waiting(admin: Any, prefix: str) -> dict[str, int]:
    """What has not come to its end: how much there is, by the names of the rows."""
    counts = {
        "queue": admin.zcard(f"{prefix}:queue"),
        "parked": admin.zcard(f"{prefix}:parked"),
        "waiting": admin.scard(f"{prefix}:waiting"),
        "groups": admin.zcard(f"{prefix}:groups"),
    }
    for name in STREAMS:
        counts[name] = admin.xlen(f"{prefix}:{name}")
        with contextlib.suppress(redis.ResponseError):  # no worker has been there yet
            counts[f"pending on {name}"] = admin.xpending(f"{prefix}:{name}", STREAM_GROUP)["pending"]
    return {name: count for name, count in counts.items() if count}


def leaks(admin: Any, prefix: str) -> list[str]:
    """Keys that nobody needs any more, and keys that would stay for ever."""
    found: list[str] = []
    names = [name.decode() for name in admin.scan_iter(match=f"{prefix}:*", count=1000)]
    for at in range(0, len(names), 1000):
        chunk = names[at : at + 1000]
        with admin.pipeline(transaction=False) as pipe:
            for name in chunk:
                pipe.ttl(name)
            ttls = pipe.execute()
        for name, ttl in zip(chunk, ttls, strict=True):
            short = name.removeprefix(f"{prefix}:")
            if short.startswith(("concurrency:", "progress:")) or short in ("limits", "waiting", "dead"):
                found.append(f"{name} is still there")
            elif ttl == -1 and not UNLIMITED.match(short):
                found.append(f"{name} has no TTL")
    return found


def endings(url: str, prefix: str, keys: list[str]) -> dict[str, Ending]:
    """What became of each key, asked by the public ways."""
    found: dict[str, Ending] = {}

    async def ask(docket: Docket, key: str) -> None:
        execution = await docket.get_execution(key)
        if execution is None:
            found[key] = Ending("missing")
            return
        state, value = execution.state.value, None
        if state in ("completed", "failed", "cancelled"):
            try:
                value = await execution.get_result(timeout=timedelta(seconds=10))
            except ExecutionCancelled:
                pass
            except Exception as error:  # the task's own
                value = type(error).__name__
        found[key] = Ending(state, value)

    async def main() -> None:
        async with Docket(prefix, url) as docket:
            for task in [*tasks.TASKS, *POISONS]:
                docket.register(task)
            for at in range(0, len(keys), 200):
                async with anyio.create_task_group() as group:
                    for key in keys[at : at + 200]:
                        group.start_soon(ask, docket, key)

    anyio.run(main)
    return found
