"""The recipes of docs/task-groups.md run."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from docket import Docket
from tests.house.test_docs import blocks
from tests.house.tree import ROOT
from tests.task_groups.conftest import working

PAGE = (ROOT / "docs" / "task-groups.md").read_text(encoding="utf-8")

#: What a recipe gives, by the call that stands above it.
RECIPES = re.findall(r"<!-- runs: (\w+)\(([^\n]*)\) == ([^\n]*) -->\n(```python\n.*?\n```)", PAGE, re.DOTALL)


@pytest.mark.anyio
@pytest.mark.pairs(("asyncio", "redis"), ("trio", "memory"))
@pytest.mark.parametrize(("name", "argument", "result", "block"), RECIPES, ids=[each[0] for each in RECIPES])
async def test_the_recipes_run(docket: Docket, name: str, argument: str, result: str, block: str) -> None:
    [(_, _, code)] = blocks(block)[1]
    namespace: dict[str, Any] = {}
    exec(compile(code, name, "exec", dont_inherit=True), namespace)
    for task in ast.parse(code).body:
        if isinstance(task, ast.AsyncFunctionDef):
            docket.register(namespace[task.name])
    execution = await docket.add(name)(ast.literal_eval(argument))
    async with working(docket, concurrency=3):
        assert await execution.get_result() == ast.literal_eval(result)


def test_every_python_block_is_a_recipe_that_runs_but_that_on_looking_at_trees() -> None:
    recipes = re.sub(r"^## Looking at a tree$.*?(?=^## )", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(RECIPES) == len([code for _, language, code in blocks(recipes)[1] if language == "python"]) > 5


def test_every_row_of_the_table_is_cited_by_a_test() -> None:
    rows = re.findall(r"^\| (G\d+) \|", PAGE, re.MULTILINE)
    cited = "".join(path.read_text(encoding="utf-8") for room in ("task_groups", "interop")
                    for path in (ROOT / "tests" / room).glob("test_*.py"))  # fmt: skip
    assert rows == [f"G{number}" for number in range(1, 16)]
    assert [row for row in rows if not re.search(rf'"""{row}\b', cited)] == []
