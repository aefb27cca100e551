"""What catches everything raises again, or says why not: beyond what ruff knows of it (BLE001)."""

from __future__ import annotations

import ast
import re

from tests.house.tree import label, parsed, sources
from tests.where import slow


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a handler of everything has no ``raise`` of its own."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if not any(kind is None or getattr(kind, "id", "") in {"Exception", "BaseException"} for kind in kinds):
        return False
    inner: list[ast.AST] = list(handler.body)
    while inner:
        node = inner.pop()
        if isinstance(node, ast.Raise):
            return False
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner.extend(ast.iter_child_nodes(node))
    return True


@slow  # it reads the same on each Python
def test_nobody_catches_everything_and_goes_on() -> None:
    """Where somebody else's code runs (a task's body, a pickle), a comment on the line says so."""
    wrong: list[str] = []
    for path in sources():
        lines = path.read_text(encoding="utf-8").splitlines()
        wrong += [
            f"{label(path)}:{handler.lineno}"
            for handler in ast.walk(parsed(path))
            if isinstance(handler, ast.ExceptHandler) and swallows(handler)
            if not re.search(r"# (?!noqa)\w|# noqa: BLE001 - \w", lines[handler.lineno - 1])
        ]
    assert not wrong, "catches everything without raising"
