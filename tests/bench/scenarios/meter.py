"""What a stretch of work took: time, processor time of this process and of the server, and what the server was sent.

Only names that this build, its base and pydocket share are used in these files: a contender's own Python runs them.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import redis

__all__ = ["PAD", "Meter", "arguments", "often", "percentile", "run", "settings"]

PAD = "x" * 64  #: beside its number, what a task is called with
LOOK = 2  #: commands of one look


def arguments() -> argparse.ArgumentParser:
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="redis://localhost:6379/0")
    parser.add_argument("--loop", default="asyncio", choices=("asyncio", "uvloop", "trio"))
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=10)
    parser.add_argument("--tuned", action="store_true", help="look each 5 ms (pydocket)")
    parser.add_argument("--signed", action="store_true", help="sign and check all payloads")
    parser.add_argument("--serializer", help="instead of pickles")
    return parser


def settings(given: argparse.Namespace) -> dict[str, Any]:
    """Settings of a docket that is ``--signed`` or has a ``--serializer``: none that a base lacks, if nobody asks."""
    signed = {"signing_keys": ["k" * 32]} if given.signed else {}
    return signed | ({"serializer": given.serializer} if given.serializer else {})


def often(given: argparse.Namespace) -> dict[str, Any]:
    """Settings of a worker that is ``--tuned``."""
    names = ("minimum_check_interval", "scheduling_resolution") if given.tuned else ()
    return dict.fromkeys(names, timedelta(milliseconds=5))


class Meter:
    """``took(n)`` says what each of ``n`` tasks took since the last look."""

    def __init__(self, url: str) -> None:
        self._server = None if url.startswith("memory") else redis.Redis.from_url(url)
        if self._server is not None:
            self._server.flushall()
        self._before = self._look()

    def start(self) -> None:
        self._before = self._look()

    def took(self, n: int) -> dict[str, float]:
        now, before = self._look(), self._before
        before["commands"] = before.get("commands", 0) + LOOK
        figures = {name: (now[name] - before[name]) / n for name in now}
        seconds = figures.pop("seconds")
        self._before = now
        return {"per_s": 1 / seconds, **figures}

    def memory(self) -> int:
        """Bytes that the server's records take."""
        return 0 if self._server is None else int(self._info("memory")["used_memory"])

    def _look(self) -> dict[str, float]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        figures = {"seconds": time.perf_counter(), "cpu_us": 1e6 * (used.ru_utime + used.ru_stime)}
        if self._server is None:
            return figures
        cpu, stats = self._info("cpu"), self._info("stats")
        return figures | {
            "server_us": 1e6 * (cpu["used_cpu_user"] + cpu["used_cpu_sys"]),
            "commands": stats["total_commands_processed"],
            "sends": stats["total_reads_processed"],  # what the server read at once
            "bytes_sent": stats["total_net_input_bytes"],
            "bytes_received": stats["total_net_output_bytes"],
        }

    def _info(self, section: str) -> dict[str, Any]:
        assert self._server is not None
        answer: Any = self._server.info(section)
        return answer


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def run(main: Callable[[argparse.Namespace], Awaitable[dict[str, float]]], given: argparse.Namespace) -> None:
    """Run a scenario on the loop that was asked for, and print its figures as one line of JSON."""
    import anyio  # not every task queue brings it

    if given.loop == "trio":
        figures = anyio.run(main, given, backend="trio")
    else:
        figures = anyio.run(main, given, backend_options={"use_uvloop": given.loop == "uvloop"})
    rounded = {name: round(value, 3) for name, value in figures.items()}
    print(json.dumps(rounded), flush=True)
    sys.exit(0)
