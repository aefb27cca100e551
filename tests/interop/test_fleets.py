"""On a cluster and behind sentinels: the same keys, the same results, whoever adds and whoever works."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import attrs
import pytest

from docket.transport import Client
from tests.fleets import Cluster, Sentinels

from .sides import Ours, Program, RemoteDocket, Side, from_now

pytestmark = pytest.mark.anyio

both_ways = pytest.mark.parametrize(
    ("one", "other"), [("pydocket", "ours"), ("ours", "pydocket")], ids=["pydocket-first", "ours-first"]
)
_names = itertools.count()


@attrs.frozen
class Fleet:
    """One docket that both sides have open on several servers."""

    prefix: str
    pydocket: RemoteDocket
    ours: Ours
    redis: Client

    def side(self, name: str) -> Side:
        return self.pydocket if name == "pydocket" else self.ours


everywhere = pytest.mark.parametrize("fleet", ["cluster", "sentinels"], indirect=True)


@pytest.fixture
async def fleet(
    request: pytest.FixtureRequest, peer: Program, anyio_backend: object
) -> AsyncGenerator[Fleet, None]:
    """On a cluster, unless the test is run behind sentinels too, where all keys are those of a single server."""
    kind = getattr(request, "param", "cluster")
    servers: Cluster | Sentinels = request.getfixturevalue(kind)
    name = f"fleet-{next(_names)}"
    prefix = f"{{{name}}}" if kind == "cluster" else name
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(Client.from_url(servers.url, home=prefix))
        remote = RemoteDocket(peer, name, servers.url)
        ours = await stack.enter_async_context(Ours.opened(name, servers.url))
        stack.push_async_callback(remote.close)
        yield Fleet(prefix, remote, ours, redis)


@everywhere
@both_ways
async def test_one_adds_the_other_works_and_both_read_what_came_of_it(
    fleet: Fleet, one: str, other: str
) -> None:
    await fleet.side(one).add("echo", {"deep": [1, "é", None]}, key="echo")
    await fleet.side(one).add("fail", "no", key="fail")
    await fleet.side(one).add("flaky", key="flaky")
    await fleet.side(one).add("echo", "later", key="later", when=from_now(0.1))
    many = await fleet.side(one).add_many("echo", [[number] for number in range(20)])
    await fleet.side(other).drain("worker")
    for side in (fleet.side(one), fleet.side(other)):
        assert await side.outcome("echo") == {"result": {"deep": [1, "é", None]}}
        assert await side.outcome("flaky") == {"result": "attempt 3"}
        assert await side.outcome("later") == {"result": "later"}
        failed = await side.outcome("fail")
        assert (failed["error"], failed["message"]) == ("ValueError", "no")
        assert [await side.outcome(key) for key in many] == [{"result": number} for number in range(20)]


@both_ways
async def test_what_one_has_placed_the_other_sees_replaces_and_cancels(
    fleet: Fleet, one: str, other: str
) -> None:
    await fleet.side(one).add("echo", 1, key="a", when=from_now(60))
    await fleet.side(one).add("echo", 2, key="b", when=from_now(60))
    assert (await fleet.side(other).add("echo", 3, key="a"))["disposition"] == "already_scheduled"
    assert (await fleet.side(other).snapshot())["future"] == ["a", "b"]
    await fleet.side(other).cancel("a")
    await fleet.side(other).replace("echo", 4, key="b", when=from_now(-1))
    await fleet.side(one).drain("worker")
    assert (await fleet.side(one).execution("a"))["state"] == "cancelled"
    assert await fleet.side(one).outcome("b") == {"result": 4}
    await fleet.side(one).add("echo", 5, when=from_now(60))
    assert await fleet.side(other).clear() == 1


@both_ways
async def test_who_waits_hears_of_the_other_s_end(fleet: Fleet, one: str, other: str) -> None:
    """Events, too, pass from one client's node to the other's."""
    await fleet.side(one).start_worker("worker")
    await fleet.side(other).add("echo", "x", key="k", when=from_now(0.3))
    await fleet.side(other).subscribe("k")
    events = await fleet.side(other).events("k")
    assert [event["state"] for event in events if event["type"] == "state"][-1] == "completed"
    await fleet.side(one).stop_worker("worker")


@everywhere
async def test_both_leave_the_same_keys_and_results(fleet: Fleet) -> None:
    kept: dict[str, Any] = {}
    for name in ("pydocket", "ours"):
        await fleet.side(name).add("echo", 1, key=name)
        await fleet.side(name).drain("worker")
        keys = [key.decode() async for key in fleet.redis.scan_iter(match=f"*{name}*")]
        mine = [key for key in keys if key.startswith(f"{fleet.prefix}:") and ":ops:" not in key]
        stored = json.loads(await fleet.redis.get(next(key for key in mine if ":results:" in key)) or "")
        shape = {key: type(value).__name__ for key, value in stored.items()}
        kept[name] = sorted(key.replace(name, "*") for key in mine), shape
    assert kept["pydocket"] == kept["ours"]
