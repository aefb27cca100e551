"""The same commands, the same replies: a real server beside the one in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.memory.battery import CASES, Pause, arguments
from tests.memory.normal import normalise
from tests.memory.resp import Failure, MemoryClient, SocketClient
from tests.servers import Server, binary, valkey_binary, version

NO_BLOCK = "7.0 refuses blocking commands in scripts, later releases run them as if they did not block"

BIG = "'HSET','h','n',100000000000000000"
BLOCK = "'BLOCK',0,'STREAMS'"
#: Steps that a server of the named kind may answer otherwise, and why.
EXPLAINED: dict[str, dict[str, str]] = {
    "redis 7.0": {
        "hexadecimal numbers: ZADD z 0x10 hex": "taken by 7.0, refused by later releases and here",
    },
    "other": {
        "refused in transactions: EXEC": "what MULTI refuses spoils the transaction since 7.2",
        f"lua calls: EVAL redis.call({BIG}) return redis.call('HGET','h','n') 0": "7.0 prints numbers in 17 "
        "digits, later releases whole ones in full",
        "lua errors: EVAL return redis.pcall('NOSUCH').err 0": "reworded, and the text is a value here",
        "lua errors: EVAL return redis.pcall('GET').err 0": "reworded, and the text is a value here",
        f"lua calls: EVAL return redis.call('XREADGROUP','GROUP','g','c',{BLOCK},'s','>') 0": NO_BLOCK,
        "lua calls: EVAL return redis.call('BLPOP','nolist',0) 0": NO_BLOCK,
        f"lua calls: EVAL return redis.call('XREAD',{BLOCK},'s','$') 0": NO_BLOCK,
        "lua errors: EVAL return os.execute 0": "later releases have os.clock, hence os",
    },
}


def kind_of(server: Server) -> str:
    return "redis 7.0" if "Redis server v=7.0" in version(server.program) else "other"


@pytest.fixture(
    scope="module", params=dict.fromkeys([binary(), valkey_binary()]), ids=lambda path: Path(path).name
)
def reference(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server from PATH, and Valkey where that is another."""
    with Server(program=request.param) as running:
        yield running


def shown(step: Any) -> str:
    return " ".join(str(word) for word in arguments(step))


@pytest.mark.parametrize("case", CASES)
def test_a_real_server_answers_alike(case: str, reference: Server, memory_url: str) -> None:
    kind = kind_of(reference)
    real, twin = SocketClient(reference.port), MemoryClient(memory_url)
    real.call("FLUSHALL")
    real.call("SCRIPT", "FLUSH")
    different: list[str] = []
    for step in CASES[case]:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            continue
        words = arguments(step)
        expected, got = real.call(*words), twin.call(*words)
        lenient = kind == "other"
        left = normalise(words, expected, lenient=lenient)
        right = normalise(words, got, lenient=lenient)
        if (left != right or type(left) is not type(right)) and f"{case}: {shown(step)}" not in EXPLAINED[
            kind
        ]:
            different.append(f"{shown(step)[:120]}\n  real: {expected!r}\n  twin: {got!r}")
    real.close()
    twin.close()
    assert not different, "\n" + "\n".join(different)


def test_replies_are_told_apart() -> None:
    assert Failure("ERR x") != normalise(("GET", "k"), b"ERR x")
