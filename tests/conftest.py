"""Fixtures of all tests: event loops, and the servers that the tests start themselves."""

from __future__ import annotations

import importlib.util
import itertools
import os
import signal
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from docket.transport import Client
from tests import where
from tests.fleets import Cluster, Sentinels
from tests.proxy import Proxy
from tests.servers import Server, binary, version
from tests.tls import Certificates, issue

HERE = Path(__file__).parent

#: What only `nox -s browser` and `nox -s mounts` run needs packages that only these install.
collect_ignore = [
    room
    for room, package in {"browser": "playwright", "mounts": "litestar"}.items()
    if importlib.util.find_spec(package) is None
]

_names = itertools.count()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="no slow tests, and few pairs of loops and servers")
    parser.addoption(
        "--loop", choices=("asyncio", "trio"), help="each test on this loop alone, where it has it"
    )


def pytest_configure() -> None:
    """A shell starts what runs in its background with SIGINT ignored, and so would our children be started."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what ``--quick`` leaves out: that takes seconds, in each process."""
    if not config.getoption("quick") or not collection_path.is_relative_to(HERE):
        return None
    return where.is_slow(collection_path.relative_to(HERE).as_posix()) or None


@pytest.hookimpl(wrapper=True)
def pytest_collect_directory(path: Path) -> Generator[None, Any, Any]:
    directory = yield
    if path.is_relative_to(HERE):
        for mark in where.ROOMS.get(path.relative_to(HERE).as_posix(), ()):
            directory.add_marker(mark)
    return directory


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Have each process of xdist begin with other files: what one of them compiles is there for the others."""
    report = yield
    if isinstance(collector, pytest.Directory) and (
        process := getattr(collector.config, "workerinput", None)
    ):
        first = int(process["workerid"].removeprefix("gw")) * len(report.result) // process["workercount"]
        report.result = [*report.result[first:], *report.result[:first]]
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what ``--quick`` does. In CI, where the cores are few and shared, what fails has a second run.

    It is named at the end (``-rfER``), to be looked at.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path.parts)  # in the same order in each process
    if config.getoption("quick"):
        left_out = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
    if os.environ.get("CI"):
        for item in items:
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
    """An empty database of the shared server, which keeps its scripts: to load them takes a third of a test."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
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


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server that the tests of one file have for themselves."""
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def own_sentinels() -> Iterator[Sentinels]:
    """As ``sentinels``, for the tests of one file."""
    with Sentinels() as running:
        yield running


@pytest.fixture
def watched(own_sentinels: Sentinels) -> Iterator[Sentinels]:
    """Servers that a test may hand over, stop and kill; the next one finds a master with a replica."""
    own_sentinels.empty()
    yield own_sentinels
    own_sentinels.bring_back()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A way to the shared server that a test may cut, delay and stop."""
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return issue(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def memory_url() -> str:
    """A memory:// server that no other test sees."""
    return f"memory://test-{next(_names)}"


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """A fresh server, one kind after the other: those that tests/where.py says."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    """A client of a fresh server, one kind after the other."""
    async with Client.from_url(url) as client:
        yield client
