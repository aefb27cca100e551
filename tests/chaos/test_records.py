"""What the session is judged by survives what it is about: the ledger, and the server's append-only file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.chaos import leftovers
from tests.chaos.appendonly import commands, histories
from tests.chaos.ledger import Ledger, read
from tests.chaos.rig import DURABLE
from tests.servers import Server


def test_a_ledger_has_the_lines_of_all_processes_in_order(tmp_path: Path) -> None:
    mine = Ledger(tmp_path, "mine")
    mine.note("before")
    code = (
        "from pathlib import Path; from tests.chaos.ledger import Ledger; import os, signal, sys\n"
        "Ledger(Path(sys.argv[1]), 'other').note('meanwhile', key='k'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2])
    mine.note("after")
    with next(tmp_path.glob("mine-*")).open("ab") as file:
        file.write(b'{"at": 1, "torn')
    assert [(entry["what"], entry.get("key")) for entry in read(tmp_path)] == [
        ("before", None),
        ("meanwhile", "k"),
        ("after", None),
    ]


def test_processes_that_have_the_same_number_are_told_apart(tmp_path: Path) -> None:
    rig = Ledger(tmp_path, "rig")
    mine = Ledger(tmp_path, "mine")
    for key in ("one", "other"):
        rig.note("started", of=os.getpid())
        mine.note("begin", run=1, key=key)
        rig.note("exit", of=os.getpid())
    numbers = [entry.get("of") if entry["what"] != "begin" else entry["pid"] for entry in read(tmp_path)]
    first, second = numbers[:3], numbers[3:]
    assert len(set(first)) == len(set(second)) == 1
    assert first != second


def test_the_server_wrote_down_every_state_through_its_restarts() -> None:
    with Server(*DURABLE) as server:
        for state in ("queued", "running", "completed"):
            with redis.Redis(port=server.port) as client:
                client.eval(
                    "return redis.call('HSET', KEYS[1], 'state', ARGV[1], 'generation', 3)",
                    1,
                    "d:runs:k",
                    state,
                )
                client.hset("d:runs:k", "other", "x")
                client.set("unrelated", state)
            server.restart()
        with redis.Redis(port=server.port) as client:
            client.delete("d:runs:k")
            client.hset("d:runs:k", "state", "scheduled")
        found = histories(commands(Path(server.directory.name) / "appendonlydir"), "d")
    assert [(change.generation, change.state) for change in found.pop("k")] == [
        (3, "queued"), (3, "running"), (3, "completed"), (0, "scheduled"),
    ]  # fmt: skip
    assert found == {}


@pytest.fixture
def admin(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


def test_what_has_not_ended_is_seen(admin: redis.Redis) -> None:
    assert leftovers.waiting(admin, "d") == {}
    admin.xgroup_create("d:stream", leftovers.STREAM_GROUP, "0", mkstream=True)
    admin.xadd("d:stream", {"key": "k"})
    admin.xreadgroup(leftovers.STREAM_GROUP, "w", {"d:stream": ">"})
    admin.zadd("d:queue", {"later": 1})
    admin.sadd("d:waiting", "limit")
    assert leftovers.waiting(admin, "d") == {"stream": 1, "queue": 1, "waiting": 1, "pending on stream": 1}


def test_what_is_never_removed_is_seen(admin: redis.Redis) -> None:
    admin.set("d:runs:kept", "", ex=100)
    admin.xadd("d:stream", {"key": "k"})
    assert leftovers.leaks(admin, "d") == []
    admin.set("d:runs:k", "")
    admin.zadd("d:concurrency:c:1", {"k": 1})
    admin.expire("d:concurrency:c:1", 100)
    assert sorted(leftovers.leaks(admin, "d")) == [
        "d:concurrency:c:1 is still there",
        "d:runs:k has no TTL",
    ]
