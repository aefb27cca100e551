"""What a task costs stays within 5 % of expected.json: commands, sends and bytes, and the client's instructions.

A cost that has fallen fails, too, so that what was won is not lost unseen: ``python -m tests.bench.counts --write``.
"""

from __future__ import annotations

import pytest

from tests.bench.counts import counted, differences, expected, has_callgrind, instructions, python, steps

RENEW = "if that is meant: python -m tests.bench.counts --write"


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_task_takes_the_expected_commands_sends_and_bytes(loop: str) -> None:
    assert differences(counted(loop), expected()["counts"][loop]) == [], RENEW


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize(
    "settings", [("--signed",), ("--serializer", "json"), ("--serializer", "json", "--signed")]
)
def test_signatures_and_json_take_no_command_of_the_server(loop: str, settings: tuple[str, ...]) -> None:
    usual = {name: figure for name, figure in expected()["counts"][loop].items() if "bytes" not in name}
    assert differences(counted(loop, *settings), usual) == []


@pytest.mark.skipif(not has_callgrind(), reason="valgrind is not installed")
@pytest.mark.skipif(python() not in expected(), reason="nobody has counted on this version of Python")
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_task_takes_the_expected_instructions_of_the_client(loop: str) -> None:
    off = [""]
    for _ in range(3):  # on a busy machine a worker also does what it does now and then
        if off:
            off = differences(steps(instructions(loop)), expected()[python()][loop])
    assert off == [], RENEW
