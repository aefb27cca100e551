"""What is too big to read in one go is split by ownership."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.tree import label, parsed, sources

LINES_OF_A_FUNCTION = 60
PARAMETERS = 8

#: Signatures that pydocket's users already call, or that a command line spells out.
WIDE = {"Docket.__init__", "Worker.__init__", "Worker.run", "Execution.__init__"}

SOURCES = pytest.mark.parametrize("path", sources(), ids=label)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> list[tuple[str, Function]]:
    """Every function with its qualified name, the innermost too."""
    found: list[tuple[str, Function]] = []

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = f"{prefix}{child.name}." if isinstance(child, Function | ast.ClassDef) else prefix
            if isinstance(child, Function):
                found.append((name[:-1], child))
            walk(child, name)

    walk(tree, "")
    return found


def length(function: Function) -> int:
    """Lines from ``def`` to the end; a docstring is the contract and costs nothing."""
    last = function.end_lineno or function.lineno
    doc = function.body[0]
    contract = ast.get_docstring(function) is not None
    return last - function.lineno + 1 - ((doc.end_lineno or 0) - doc.lineno + 1 if contract else 0)


def width(function: Function) -> int:
    """Parameters that a caller fills in."""
    every = function.args
    named = [*every.posonlyargs, *every.args, *every.kwonlyargs]
    return len([one for one in named if one.arg not in {"self", "cls"}])


@SOURCES
def test_no_function_is_longer_than_60_lines(path: Path) -> None:
    long = [
        f"{name}: {length(node)}"
        for name, node in functions(parsed(path))
        if length(node) > LINES_OF_A_FUNCTION
    ]
    assert not long, f"{label(path)}: {long}"


@SOURCES
def test_no_signature_has_more_than_8_parameters(path: Path) -> None:
    wide = [
        f"{name}: {width(node)}"
        for name, node in functions(parsed(path))
        if width(node) > PARAMETERS and name not in WIDE and not label(path).startswith("docket/cli/")
    ]
    assert not wide, f"{label(path)}: {wide}"
