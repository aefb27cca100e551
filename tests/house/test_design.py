"""docs/design.md names only what exists: files, classes, functions, their members, and folders."""

from __future__ import annotations

import ast
import builtins
import re
import typing
from keyword import kwlist

from tests.house.test_docs import blocks
from tests.house.tree import PACKAGE, ROOT, parsed, sources

DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")


class Names(ast.NodeVisitor):
    """Every name that the sources give to something; ``of`` has the members of each class and of each file."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.of: dict[str, set[str]] = {}
        self._around: list[str] = []
        for path in sources():
            self.known |= {path.stem, *path.relative_to(PACKAGE).parent.parts}
            # A room shows what its files have: `store.Claims`, and `claims.Claims`.
            self._around = [path.stem, *path.relative_to(PACKAGE).parent.parts]
            self.visit(parsed(path))

    def _add(self, *names: str) -> None:
        self.known.update(names)
        for around in self._around:
            self.of.setdefault(around, set()).update(names)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._add(node.name)
        self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._add(node.name)
        self._around.append(node.name)
        self.generic_visit(node)
        self._around.pop()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Store):
            self._add(node.attr)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self._add(node.arg)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Names of fields and options; those of classes are no proof."""
        if isinstance(node.value, str) and node.value.islower():
            self._add(node.value)


#: What the design names and others define.
FOREIGN = {"find_class", "hiredis", "pickle.Unpickler", "redis.exceptions.ConnectionError"} | {
    *dir(builtins),
    *dir(typing),
    *kwlist,
}


def dotted_names(span: str) -> list[str]:
    """The names in a span of Python: `Running.trusted_until`, `Settling.prepare(...)`; none in other spans."""
    if re.search(r"[{<]|\w:\w", span):
        return []
    try:
        nodes = [*ast.walk(ast.parse(" ".join(span.split())))]
    except SyntaxError:
        return []
    inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    found = [ast.unparse(node) for node in nodes if isinstance(node, ast.expr) and id(node) not in inner]
    return [name for name in found if re.fullmatch(r"[A-Za-z_][\w.]*", name)]


def test_the_design_names_only_what_exists() -> None:
    """Each file, class, function and member that stands in backticks, or as `module.py` and `script.lua`."""
    names = Names()
    lua = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.lua")}
    fields = {word for path in lua for word in re.findall(r"'([\w:]+)'", (PACKAGE / path).read_text("utf-8"))}
    files = {path.relative_to(PACKAGE).as_posix() for path in sources()} | lua
    files |= {f"{file.rpartition('/')[0]}/" for file in files}
    prose, _ = blocks(DESIGN)

    def exists(name: str) -> bool:
        owner, _, member = name.rpartition(".")
        if name in FOREIGN | fields:
            return True
        return member in (names.of.get(owner.rpartition(".")[2], set()) if owner else names.known)

    unknown: list[str] = []
    for span in re.findall(r"`([^`]+)`|\b([\w/]+\.(?:py|lua))\b", prose):
        name = span[0] or span[1]
        if name.endswith((".py", ".lua", "/")) or name.startswith("tests/"):
            there = any(f"/{each}".endswith(f"/{name}") for each in files) or (ROOT / name).exists()
            unknown += [] if there else [name]
        else:
            unknown += [each for each in dotted_names(name) if not exists(each)]
    assert not unknown


def test_the_floors_of_the_design_are_the_folders_of_the_package() -> None:
    drawn = blocks(DESIGN)[1][0][2]
    named = set(re.findall(r"(?:^|\s)(\w+)/(?=\s|,)", drawn))
    folders = {path.parent.name for path in sources()} - {PACKAGE.name}
    assert folders - {"commands"} <= named, "a folder that the floors leave out"
    assert named <= folders | {"scripts"}, "a folder that is gone"
