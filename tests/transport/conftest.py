"""Fixtures of the transport's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from docket.transport import Client
from tests.servers import Server


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Client]:
    """A client of an empty server behind a socket."""
    async with Client.from_url(redis_url) as client:
        yield client


@pytest.fixture
def victim(own_server: Server) -> Iterator[Server]:
    """A server that a test may stop, pause and kill; the next test finds it running again."""
    if own_server.process is None:
        own_server.start()
    yield own_server
    if own_server.process is None:
        own_server.start()
    own_server.resume()
