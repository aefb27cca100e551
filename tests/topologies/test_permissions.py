"""Users that may do no more than what docs/servers.md lists, and users that lack some of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from docket import ConcurrencyLimit, Docket, ExecutionState, Priority, Worker
from docket.store.lua import script
from tests.durations import ms
from tests.fleets import Cluster
from tests.servers import Server
from tests.topologies.scenes import adding, asking, in_turns, ordering, plain, register, working

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]

#: The words of ACL SETUSER for each of the documented users, by name.
USERS = {
    words[2]: words
    for words in (
        block.split()
        for block in re.findall(
            r"```text\n(ACL SETUSER .*?)```", (ROOT / "docs" / "servers.md").read_text("utf-8"), re.DOTALL
        )
    )
}

ON_A_CLUSTER = ("+cluster|slots", "+asking", "+eval")


def permitted(user: str) -> set[str]:
    return {word[1:] for word in USERS[user] if word.startswith("+")}


@pytest.fixture
def admin(own_server: Server) -> Iterator[Redis]:
    with Redis(port=own_server.port) as admin:
        admin.flushall()
        admin.script_flush()
        yield admin


def url_of(server: Server, user: str) -> str:
    return server.url.replace("redis://", f"redis://{user}:secret@")


async def play(urls: dict[str, str]) -> None:
    async with Docket("orders", urls["adds"]) as adds, Docket("orders", urls["works"]) as works:
        await ordering(adds, works)
    async with (
        Docket("orders", urls["adds"]) as adds,
        Docket("orders", urls["asks"]) as asks,
        Docket("orders", urls["works"]) as works,
    ):
        for docket in adds, asks, works:
            register(docket)
        await adding(adds)
        async with working(works):
            await asking(asks)


async def test_the_documented_users_may_do_all_that_they_have_to(own_server: Server, admin: Redis) -> None:
    for words in USERS.values():
        admin.execute_command(*words)
    await play({user: url_of(own_server, user) for user in USERS})


@pytest.mark.parametrize("user", ["adds", "asks"])
async def test_they_may_replace_and_cancel_what_a_limit_has_just_let_begin(
    own_server: Server, admin: Redis, user: str
) -> None:
    for words in USERS.values():
        admin.execute_command(*words)
    begun, go_on = anyio.Event(), anyio.Event()

    async def alone(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        begun.set()
        await go_on.wait()

    async with (
        Docket("orders", url_of(own_server, user)) as docket,
        Docket("orders", url_of(own_server, "works")) as works,
    ):
        works.register(alone)
        await docket.add(alone)()
        worker = Worker(works, "w")
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(worker.run_forever)
                await begun.wait()
                waits = await docket.add(alone, key="k")()
                while not waits.waits_for:
                    await anyio.sleep(0.01)
                    await waits.sync()
                worker.stop()  # so nobody takes what its end wakes
                go_on.set()
        await waits.sync()
        assert waits.state is ExecutionState.QUEUED
        if user == "adds":
            await docket.replace(alone, datetime.now(UTC) + timedelta(days=1), "k")()
        else:
            await docket.cancel("k")
        assert not admin.exists("orders:waiting", "orders:limits")


async def test_who_only_operates_sees_everything(own_server: Server, admin: Redis) -> None:
    for words in USERS.values():
        admin.execute_command(*words)
    async with (
        Docket("orders", url_of(own_server, "works")) as works,
        Docket("orders", url_of(own_server, "operates")) as operates,
    ):
        works.register(plain)
        await works.add(plain)(1)
        with anyio.fail_after(20):
            await Worker(works, "w").run_until_finished()
        await works.pause(plain)
        await works.add(plain, key="k")(1)
        await works.add(plain, key="urgent", priority="high")(1)
        await works.add_many(works.call(in_turns, key=f"a{n}")("a", n) for n in range(2))
        assert len(await operates.history()) == 1
        assert sum(one.completed for one in await operates.throughput()) == 1
        assert await operates.depths()
        counts = await operates.counts()
        assert (counts.due, counts.levels, counts.turns) == (4, {Priority.HIGH: 1}, 1)
        for state in "due", "later", "running", "limited":
            await operates.executions(state)  # type: ignore[arg-type]
        await operates.dead_letters()
        assert not await operates.failures()
        assert not await operates.retrying()
        assert await operates.count_failures() == {}
        assert await operates.failure("k") is None
        assert len(await operates.pauses()) == 1
        assert (await operates.get_execution("k")) is not None
        assert (await operates.snapshot()).total_tasks == 4
        await operates.workers()
        await operates.concurrency()
        await operates.strikes()
        known = await operates.known_task("plain")
        assert known is not None
        assert known.completed == 1
        assert (await operates.known_tasks()).total
        await operates.schedules()
        with pytest.raises(NoPermissionError):
            await operates.cancel("k")


async def test_so_they_may_on_a_cluster(cluster: Cluster, cluster_url: str) -> None:
    for words in USERS.values():
        for node in cluster.nodes:
            cluster.ask(node, *(word.replace("orders", "{orders}") for word in words), *ON_A_CLUSTER)
    urls = {user: cluster_url.replace("//", f"//{user}:secret@") for user in USERS}
    await play(urls)


def test_the_categories_cover_the_commands(admin: Redis) -> None:
    words = ("+@read", "+@write", "+@scripting", "+@pubsub", "+@connection", "-@dangerous", "+time")
    assert " ".join(words) in (ROOT / "docs" / "servers.md").read_text("utf-8")
    of_categories: set[str] = set()
    for word in words:
        name = word[1:]
        found = {name}
        if name.startswith("@"):
            found = {one.decode() for one in admin.execute_command("ACL", "CAT", name[1:])}
        of_categories = of_categories - found if word.startswith("-") else of_categories | found
    for command in permitted("works"):
        assert of_categories & {command, command.partition("|")[0]}, command


def test_every_command_of_every_script_is_permitted() -> None:
    folder = ROOT / "docket" / "store" / "scripts"
    for path in folder.glob("*.lua"):
        for command, first in re.findall(
            r"redis\.p?call\(\s*'(\w+)'(?:\s*,\s*'([A-Z]+)')?", script(path.stem).text
        ):
            name = command.lower() + (f"|{first.lower()}" if command == "XGROUP" else "")
            assert name in permitted("works"), f"{path.name}: {name}"


@pytest.mark.parametrize("user", USERS)
def test_no_command_is_listed_that_nothing_uses(user: str) -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "docket").rglob("*.lua")]
    sources += [
        path.read_text("utf-8")
        for room in ("store", "transport", "worker")
        for path in (ROOT / "docket" / room).glob("*.py")
    ]
    whole = "\n".join(sources)
    for command in permitted(user) - {"evalsha"}:
        assert all(re.search(rf"""["']{word.upper()}["']""", whole) for word in command.split("|")), command


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("-evalsha", "evalsha"),
        ("-xgroup", "xgroup"),
        ("-psubscribe", "psubscribe"),
        ("-xack", "ACL LOG"),
        ("-zrangebyscore", "ACL LOG"),
        ("-xpending", "xpending"),
        ("resetkeys ~orders:stream", "key"),
        ("resetchannels &orders:*", "channel"),
    ],
    ids=lambda text: text.replace("-", "no "),
)
async def test_a_worker_that_lacks_a_permission_ends_and_says_so(
    own_server: Server, admin: Redis, lacking: str, said: str
) -> None:
    admin.execute_command(*USERS["works"])
    async with Docket("orders", own_server.url) as docket:
        docket.register(plain)
        await docket.add(plain)(1)
    admin.execute_command("ACL", "SETUSER", "works", *lacking.split())
    async with Docket("orders", url_of(own_server, "works")) as docket:
        docket.register(plain)
        with anyio.fail_after(10), pytest.raises(NoPermissionError, match=said):
            await Worker(docket, "w", redelivery_timeout=ms(400)).run_forever()


@pytest.mark.parametrize(
    ("lacking", "said"),
    [("-evalsha", "evalsha"), ("-hset", "ACL LOG"), ("resetkeys", "key"), ("resetchannels", "channel")],
    ids=lambda text: text.replace("-", "no "),
)
async def test_who_may_not_add_is_told(own_server: Server, admin: Redis, lacking: str, said: str) -> None:
    admin.execute_command(*USERS["adds"], *lacking.split())
    async with Docket("orders", url_of(own_server, "adds")) as docket:
        with anyio.fail_after(10), pytest.raises(NoPermissionError, match=said):
            await docket.add(plain)(1)


async def test_a_right_that_is_taken_away_ends_a_worker_that_runs(own_server: Server, admin: Redis) -> None:
    admin.execute_command(*USERS["works"])
    begun, go_on = anyio.Event(), anyio.Event()

    async def long() -> None:
        begun.set()
        await go_on.wait()

    async with (
        Docket("orders", own_server.url) as mine,
        Docket("orders", url_of(own_server, "works")) as docket,
    ):
        docket.register(long)
        await mine.add(long, key="long")()

        async def take_away() -> None:
            await begun.wait()
            admin.execute_command("ACL", "SETUSER", "works", "-xack")
            go_on.set()

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(take_away)
                with pytest.raises(NoPermissionError, match="ACL LOG"):
                    await Worker(docket, "w").run_forever()
        assert (await mine.snapshot()).running, "its delivery is left to others, and not set aside"


async def test_who_only_looks_sees_and_changes_nothing(own_server: Server, admin: Redis) -> None:
    admin.execute_command(*USERS["looks"])
    async with Docket("orders", own_server.url) as docket:
        docket.register(plain)
        await docket.add(plain, key="k")(1)
        await docket.add(plain, key="urgent", priority="high")(1)
        await docket.add_many(docket.call(in_turns, key=f"a{n}")("a", n) for n in range(2))
    async with Docket("orders", url_of(own_server, "looks")) as looks:
        looks.register(plain)
        with anyio.fail_after(10):
            seen = {
                each.key: (each.priority.value, each.waits_for_turn)
                for each in (await looks.snapshot()).future
            }
            assert seen == {
                "k": ("normal", None),
                "urgent": ("high", None),
                "a0": ("normal", None),
                "a1": ("normal", "tenant:a"),
            }
            assert list(await looks.task_workers("plain")) == []
            execution = await looks.get_execution("k")
            assert execution is not None
            async for event in execution.subscribe():
                assert (event["key"], event["type"]) == ("k", "state")
                break
            for change in looks.add(plain)(1), looks.cancel("k"), looks.clear(), looks.strike(plain):
                with pytest.raises(NoPermissionError):
                    await change
            async with looks.redis() as redis:
                with pytest.raises(NoPermissionError):
                    await redis.publish(looks.cancel_channel("k"), "k")
