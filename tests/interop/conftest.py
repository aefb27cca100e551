"""Fixtures: pydocket 0.27.0 in a process of its own, our docket in this one, and a server between them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import redis

from tests.servers import Server

from .environment import peer_python
from .sides import Ours, Program, RemoteDocket
from .table import Table, start_pydocket

_names = itertools.count()


@pytest.fixture(scope="session")
def pydocket_python() -> str:
    return peer_python()


@pytest.fixture(scope="session")
def peer(pydocket_python: str) -> Iterator[Program]:
    """pydocket in a process that all tests share; each works on a docket of its own."""
    program = start_pydocket(pydocket_python)
    yield program
    program.close()


@asynccontextmanager
async def laid(server: Server, peer: Program) -> AsyncGenerator[Table, None]:
    name = f"interop-{next(_names)}"
    async with AsyncExitStack() as stack:
        client = stack.enter_context(redis.Redis.from_url(server.url))
        remote = RemoteDocket(peer, name, server.url)
        ours = await stack.enter_async_context(Ours.opened(name, server.url))
        stack.push_async_callback(remote.close)
        yield Table(name, server.url, remote, ours, client)
        client.set(f"release:{name}", 1)


@pytest.fixture
async def table(server: Server, peer: Program, anyio_backend: object) -> AsyncGenerator[Table, None]:
    async with laid(server, peer) as table:
        yield table


@pytest.fixture
async def twins(
    server: Server, peer: Program, anyio_backend: object
) -> AsyncGenerator[dict[str, Table], None]:
    """Two dockets: one that only pydocket touches, one that only ours touches."""
    async with laid(server, peer) as theirs, laid(server, peer) as ours:
        yield {"pydocket": theirs, "ours": ours}
