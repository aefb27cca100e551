"""What the type checker knows of a docket."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.where import slow

pytestmark = slow

GOOD = """
from typing import Any, assert_type

from docket import Docket, Execution, TaskCall


async def add(a: int, b: int = 0) -> int:
    return a + b


async def nothing(name: str) -> None: ...


def plain(name: str) -> list[str]:
    return [name]


async def use(docket: Docket) -> None:
    execution = await docket.add(add)(1, b=2)
    assert_type(execution, Execution[int])
    assert_type(await execution.get_result(), int)
    assert_type(await (await docket.add(nothing, key="k")("x")).get_result(), None)
    assert_type(await (await docket.replace(add, execution.when, "k")(1)).get_result(), int)
    assert_type(await docket.add("add")(1), Execution[Any])
    assert_type(docket.call(add)(1), TaskCall)
    assert_type(await docket.add_many([docket.call(add)(1)]), list[Execution[Any]])
    assert_type(await docket.add(plain)("x"), Execution[list[str]])
    wider: Execution[float] = execution
    print(wider)
"""

BAD = """
from docket import Docket


async def add(a: int, b: int = 0) -> int:
    return a + b


async def use(docket: Docket) -> None:
    await docket.add(add)("text")
    await docket.add(add)()
    docket.call(add)(1, c=2)
    await docket.replace(add, when=None, key="k")(1)
    text: str = await (await docket.add(add)(1)).get_result()
    print(text)
"""


def complaints(code: str, folder: Path) -> list[str]:
    (folder / "checked.py").write_text(code)
    (folder / "pyrightconfig.json").write_text('{"strict": ["."]}')
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", str(folder)],
        capture_output=True, text=True, check=False, cwd=root, env=None,
    )  # fmt: skip
    return [line.strip() for line in done.stdout.splitlines() if " - error: " in line]


def test_a_result_has_the_type_that_the_task_returns(tmp_path: Path) -> None:
    assert complaints(GOOD, tmp_path) == []


def test_a_call_that_does_not_fit_is_an_error_before_it_runs(tmp_path: Path) -> None:
    lines = {int(line.split(":")[1]) for line in complaints(BAD, tmp_path)}
    assert lines == {10, 11, 12, 13, 14}
