"""What the house tests look at: the sources of docket as syntax trees."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "docket"


def sources(under: Path = PACKAGE) -> list[Path]:
    """Every Python file below a folder."""
    return sorted(under.rglob("*.py"))


def label(path: Path) -> str:
    """The path as people write it: ``docket/worker/reader.py``."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def dotted(path: Path) -> str:
    """The name that imports this file: ``docket.worker`` for ``docket/worker/__init__.py``."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    """Whether a dotted name below docket is a file or a folder here, rather than something in one."""
    place = PACKAGE.parent.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import, those inside of functions and TYPE_CHECKING blocks too.

    ``from docket.store import keys`` is ``docket.store.keys`` where that is a file, else ``docket.store``.
    """
    package = dotted(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield node.lineno, inner if inner.split(".")[0] == "docket" and is_module(inner) else origin


def type_checking_lines(path: Path) -> set[int]:
    """The lines that only a type checker reads."""
    guards = (node for node in ast.walk(parsed(path)) if isinstance(node, ast.If))
    return {
        line
        for guard in guards
        if isinstance(guard.test, ast.Name) and guard.test.id == "TYPE_CHECKING"
        for line in range(guard.body[0].lineno, (guard.body[-1].end_lineno or 0) + 1)
    }
