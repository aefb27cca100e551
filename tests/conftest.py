"""Fixtures of all tests: three event loops, and the servers that the tests start themselves."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.fleets import Cluster, Sentinels
from tests.servers import Server, binary, version

BACKENDS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    pytest.param(("trio", {}), id="trio"),
]

HERE = Path(__file__).parent

#: Rooms of tests that are about other processes and packages: peers, fleets of servers, telemetry, whole programs.
#: And scripts of the server, which know no Python.
SLOW = {"bench", "chaos", "hostile", "instrumentation", "interop", "seeds", "store", "topologies"}

#: Tables of inputs, each with every loop and server: what they show is the same on every Python. CI leaves uvloop
#: out of them, which runs the same code of ours as asyncio's own loop.
TABLES = {
    "tests/docket/test_foreign.py",
    "tests/docket/test_names.py",
    "tests/docket/test_numbers.py",
    "tests/docket/test_times.py",
    "tests/transport/test_arguments.py",
    "tests/worker/test_counted_values.py",
    "tests/worker/test_foreign_fields.py",
    "tests/worker/test_misused_keys.py",
    "tests/worker/test_times.py",
    "tests/worker/test_unreadable.py",
}

#: Tests that take long by themselves: outages, timeouts, processes.
LONG = {
    "tests/worker/test_holding_on.py",
    "tests/worker/test_lost_answers.py",
    "tests/worker/test_progress_outages.py",
    "tests/worker/test_skew.py",
}

_names = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        where = item.path.relative_to(HERE)
        if SLOW & set(where.parts[:-1]) or _is_table(item) or f"tests/{where.as_posix()}" in LONG:
            item.add_marker(pytest.mark.slow)
    if os.environ.get("CI"):
        items[:] = [item for item in items if not (_is_table(item) and "uvloop" in item.name)]
        items[:] = [
            item for item in items if not ("hostile" in item.path.parts and "uvloop-redis" in item.name)
        ]


def _is_table(item: pytest.Item) -> bool:
    return f"tests/{item.path.relative_to(HERE).as_posix()}" in TABLES


def pytest_report_header() -> str:
    return f"server under test: {version(binary())} ({binary()})"


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server that most tests share; each test works under names of its own."""
    with Server() as running:
        yield running


@pytest.fixture
def redis_url(server: Server) -> str:
    """An empty database of the shared server."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        client.script_flush()
    return server.url


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster that most tests share: three primaries, none of which may be stopped."""
    with Cluster() as running:
        yield running


@pytest.fixture
def cluster_url(cluster: Cluster) -> str:
    """An empty cluster."""
    cluster.empty()
    return cluster.url


@pytest.fixture(scope="session")
def sentinels() -> Iterator[Sentinels]:
    """A master, its replica and three sentinels that most tests share; none may be stopped."""
    with Sentinels() as running:
        yield running


@pytest.fixture
def sentinel_url(sentinels: Sentinels) -> str:
    """An empty master behind sentinels."""
    sentinels.empty()
    return sentinels.url


@pytest.fixture
def memory_url() -> str:
    """A memory:// server that no other test sees."""
    return f"memory://test-{next(_names)}"


@pytest.fixture(params=["memory", "redis"])
def url(request: pytest.FixtureRequest) -> str:
    """A fresh server of each kind, one after the other."""
    return str(request.getfixturevalue(f"{request.param}_url"))
