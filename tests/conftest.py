"""Fixtures of all tests: event loops, and the servers that the tests start themselves."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests import where
from tests.fleets import Cluster, Sentinels
from tests.servers import Server, binary, version

HERE = Path(__file__).parent

_names = itertools.count()


def pytest_configure() -> None:
    """A shell starts what runs in its background with SIGINT ignored, and so would our children be started."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collect_directory(path: Path) -> Generator[None, Any, Any]:
    directory = yield
    if path.is_relative_to(HERE):
        for mark in where.ROOMS.get(path.relative_to(HERE).as_posix(), ()):
            directory.add_marker(mark)
    return directory


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In CI, where the cores are few and shared, what races real time has a second run; nothing else ever has."""
    for item in items:
        if os.environ.get("CI") and item.get_closest_marker("real_time"):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    where.parametrize(metafunc)


def pytest_report_header() -> str:
    return f"server under test: {version(binary())} ({binary()})"


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """One event loop after the other: those that tests/where.py says."""
    return where.BACKENDS[request.param]()


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


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """A fresh server, one kind after the other: those that tests/where.py says."""
    return str(request.getfixturevalue(f"{request.param}_url"))
