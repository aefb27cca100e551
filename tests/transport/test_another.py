"""Another client of the same server, for an event loop in another thread."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.to_thread
import pytest

from docket.transport import Client

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["memory", "redis", "cluster", "sentinel"])
async def test_another_client_reaches_the_same_server_from_another_thread(
    kind: str, request: pytest.FixtureRequest, anyio_backend: Any
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    async with Client.from_url(url, home="{another}", client_name="ours") as client:
        await client.set("{another}:key", "here")

        async def elsewhere() -> tuple[Any, Any]:
            async with client.another() as another:
                await another.set("{another}:key", "there")
                return await another.call_alone("CLIENT", "GETNAME"), another.is_cluster

        name, is_cluster = await anyio.to_thread.run_sync(
            lambda: anyio.run(elsewhere, backend=anyio_backend[0])
        )
        assert (name, is_cluster) == (b"ours", kind == "cluster")
        assert await client.get("{another}:key") == b"there"
