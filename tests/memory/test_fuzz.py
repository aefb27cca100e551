"""Random commands, the same replies; see ``fuzz`` for what is sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.memory.fuzz import fuzz
from tests.servers import Server, valkey_binary, version

pytestmark = pytest.mark.slow

SHORT, LONG = 10_000, 250_000


def is_seven(server: Server) -> bool:
    return "Redis server v=7.0" in version(server.program)


@pytest.fixture(scope="module")
def valkey() -> Iterator[Server]:
    with Server(program=valkey_binary()) as running:
        yield running


def test_random_commands_are_answered_as_by_the_server_from_path(server: Server, memory_url: str) -> None:
    sent, differences = fuzz(server.port, memory_url, SHORT, seed=1, lenient=not is_seven(server))
    assert not differences, "\n".join(map(str, differences))
    assert sent >= SHORT


def test_random_commands_are_answered_as_by_valkey(valkey: Server, memory_url: str) -> None:
    sent, differences = fuzz(valkey.port, memory_url, SHORT // 2, seed=500_000, lenient=True)
    assert not differences, "\n".join(map(str, differences))
    assert sent >= SHORT // 2


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1_000_000, 2_000_000])
def test_a_long_run_of_random_commands_shows_no_difference(
    server: Server, memory_url: str, seed: int
) -> None:
    sent, differences = fuzz(server.port, memory_url, LONG, seed=seed, lenient=not is_seven(server))
    assert not differences, "\n".join(map(str, differences))
    assert sent >= LONG


@pytest.mark.chaos
def test_a_long_run_beside_valkey_shows_no_difference(valkey: Server, memory_url: str) -> None:
    sent, differences = fuzz(valkey.port, memory_url, LONG, seed=3_000_000, lenient=True)
    assert not differences, "\n".join(map(str, differences))
    assert sent >= LONG
