"""A docket on a fresh server of each kind, and what telemetry says of it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import anyio
import pytest

from docket import Docket, Worker
from docket.instrumentation.metrics import Metrics
from docket.signals import signals
from tests.instrumentation.exposition import Scrape, scraping
from tests.instrumentation.spans import Heard, listening

_names = itertools.count()


@pytest.fixture(autouse=True)
def metrics_are_counted_here_only() -> Iterator[None]:
    """OpenTelemetry's providers cannot be unset; tests of other rooms are to run as in a program without one."""
    signals.subscribers[:] = [Metrics()]
    yield
    signals.subscribers.clear()


@pytest.fixture
def heard() -> Iterator[Heard]:
    """The spans of this test."""
    with listening() as heard:
        yield heard


@pytest.fixture
def scrape() -> Iterator[Scrape]:
    """The metrics of this process, as Prometheus gets them."""
    with scraping() as scrape:
        yield scrape


@pytest.fixture
async def docket(url: str, anyio_backend: Any) -> AsyncGenerator[Docket]:
    async with Docket(f"told-{next(_names)}", url) as docket:
        yield docket


async def drained(docket: Docket, **settings: Any) -> None:
    """Let a worker run everything."""
    with anyio.fail_after(20):
        async with Worker(docket, "w", **settings) as worker:
            await worker.run_until_finished()


async def hello(name: str) -> str:
    return f"hello {name}"
