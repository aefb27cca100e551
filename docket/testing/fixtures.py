"""Fixtures for pytest: ``docket``, ``worker`` and ``virtual_clock``, for tests that anyio's plugin runs.

Put ``pytest_plugins = ["docket.testing.fixtures"]`` into the conftest.py at the root, or import the names that you want
in any conftest.py. There they shadow no ``import docket`` of a test module. They run on the ``anyio_backend``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from anyio.pytest_plugin import extract_backend_and_options, get_runner

from .. import clock
from ..docket import Docket
from ..errors import UsageError
from ..worker import Worker
from .clocks import VirtualClock, virtual_backend

__all__ = ["VirtualClock", "docket", "virtual_clock", "worker"]

T = TypeVar("T")


@pytest.fixture
def virtual_clock(anyio_backend: Any) -> Generator[VirtualClock]:
    """Run the test, and every fixture of it, on a virtual clock: see `docket.testing.virtual_backend`.

    The backend is the one of ``anyio_backend``; uvloop, which has no virtual clock, gives way to asyncio's own loop.
    Raises: UsageError - an async fixture has started the event loop before, so that no clock can be chosen any more.
    """
    name, _ = extract_backend_and_options(anyio_backend)
    with get_runner(*virtual_backend(name)) as runner:
        if not runner.run_fixture(_is_virtual, {}):
            raise UsageError(
                "virtual_clock comes too late: an async fixture has started the event loop. Let that fixture depend "
                "on virtual_clock, or name virtual_clock before it; and use no async fixture of a wider scope"
            )
        yield VirtualClock()


async def _is_virtual() -> bool:
    return clock.is_virtual()


@pytest.fixture
def docket(request: pytest.FixtureRequest, anyio_backend: Any) -> Generator[Docket]:
    """An entered docket on a ``memory://`` server that no other test sees.

    A fixture ``docket_settings`` of yours, where there is one, returns what `docket.Docket` is told besides:
    ``{"serializer": "json", "signing_keys": [...]}``.
    """
    try:
        settings: Mapping[str, Any] = request.getfixturevalue("docket_settings")
    except pytest.FixtureLookupError as error:
        if error.argname != "docket_settings":
            raise
        settings = {}
    yield from _run(request, anyio_backend, partial(_docket, settings))


async def _docket(settings: Mapping[str, Any]) -> AsyncGenerator[Docket]:
    name = f"test-{uuid4()}"
    async with Docket(name, f"memory://{name}", **settings) as docket:
        yield docket


@pytest.fixture
def worker(request: pytest.FixtureRequest, anyio_backend: Any, docket: Docket) -> Generator[Worker]:
    """A worker of ``docket``, entered and not running: ``await worker.run_until_finished()``."""

    async def entered() -> AsyncGenerator[Worker]:
        async with Worker(docket) as worker:
            yield worker

    yield from _run(request, anyio_backend, entered)


def _run(
    request: pytest.FixtureRequest, anyio_backend: Any, fixture: Callable[[], AsyncGenerator[T]]
) -> Generator[T]:
    """Run an async fixture in the loop of the test, on a virtual clock if the test asks for one anywhere."""
    if "virtual_clock" in request.fixturenames:
        request.getfixturevalue("virtual_clock")
    with get_runner(*extract_backend_and_options(anyio_backend)) as runner:
        yield from runner.run_asyncgen_fixture(fixture, {})
