"""What the documents point at exists, and the Python in them compiles."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import PACKAGE, ROOT, label, parsed, sources

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DESIGN = ROOT / "docs" / "design.md"
EVERY = pytest.mark.parametrize("path", DOCUMENTS, ids=label)

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+) *(?P<language>[\w+-]*)[^\n]*$")
LINK = re.compile(
    r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)(?: +\"[^\"]*\")?\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)"
)


def blocks(text: str) -> tuple[str, list[tuple[int, str, str]]]:
    """The prose without its fenced blocks, and the blocks: first line, language, code."""
    prose: list[str] = []
    found: list[tuple[int, str, str]] = []
    opened: tuple[int, re.Match[str], list[str]] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if opened is None:
            if match := FENCE.match(line):
                opened = (number + 1, match, [])
            else:
                prose.append(line)
        elif line.strip() == opened[1]["fence"]:
            found.append((opened[0], opened[1]["language"], "\n".join(opened[2])))
            opened = None
        else:
            opened[2].append(line.removeprefix(opened[1]["indent"]))
    assert opened is None, f"the block that opens above line {opened and opened[0]} has no end"
    return "\n".join(prose), found


def anchors(path: Path) -> set[str]:
    """The fragments that a heading of a document can be reached by."""
    prose, _ = blocks(path.read_text(encoding="utf-8"))
    headings = [
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()) for line in prose.splitlines() if line[:1] == "#"
    ]
    return {heading.strip().replace(" ", "-") for heading in headings}


@EVERY
def test_every_link_inside_of_the_project_resolves(path: Path) -> None:
    prose, _ = blocks(path.read_text(encoding="utf-8"))
    broken: list[str] = []
    for match in LINK.finditer(re.sub(r"`[^`\n]*`", "", prose)):
        target, _, fragment = (match["target"] or match["image"]).partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = (path.parent / target).resolve() if target else path
        known = there.exists() and (not fragment or there.suffix != ".md" or fragment in anchors(there))
        broken += [] if known else [match[0]]
    assert not broken, f"{label(path)}: {broken}"


@EVERY
def test_the_python_of_every_document_compiles(path: Path) -> None:
    for line, language, code in blocks(path.read_text(encoding="utf-8"))[1]:
        if language in {"python", "py"}:
            source = "\n" * (line - 1) + code  # a SyntaxError names the line of the document
            compile(source, label(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """``.ci/run`` takes the first line of the block behind this marker and moves only its ``.venv``."""
    marker, text = "<!-- test command -->", (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"/{marker}/ {{" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert text.count(marker) == 1
    _, code = text.split(marker)
    assert re.fullmatch(r"\n+```\w*\n[^\n]*\.venv[^\n]*nox\n```\n.*", code, re.DOTALL), (
        "not one line of one block"
    )


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
FOREIGN = {
    "Annotated",
    "find_class",
    "hiredis",
    "pickle.Unpickler",
    "redis",
    "redis.exceptions.ConnectionError",
    "yield",
}


def test_the_design_names_only_what_exists() -> None:
    """Each file, class, function and member that stands in backticks, or as `module.py` and `script.lua`."""
    names = Names()
    lua = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.lua")}
    fields = {word for path in lua for word in re.findall(r"'([\w:]+)'", (PACKAGE / path).read_text("utf-8"))}
    files = {path.relative_to(PACKAGE).as_posix() for path in sources()} | lua
    prose, _ = blocks(DESIGN.read_text(encoding="utf-8"))
    unknown: list[str] = []
    for span in re.findall(r"`([^`\n]+)`|\b([\w/]+\.(?:py|lua))\b", prose):
        name = (span[0] or span[1]).removesuffix("()")
        if name.endswith((".py", ".lua", "/")) or name.startswith("tests/"):
            there = any(f"/{each}".endswith(f"/{name}") for each in files) or (ROOT / name).exists()
        elif name in FOREIGN | fields or not re.fullmatch(r"[A-Za-z_][\w.]*\w", name):
            continue
        else:
            owner, _, member = name.rpartition(".")
            there = member in (names.of.get(owner.rpartition(".")[2], set()) if owner else names.known)
        unknown += [] if there else [name]
    assert not unknown


def test_the_floors_of_the_design_are_the_folders_of_the_package() -> None:
    drawn = blocks(DESIGN.read_text(encoding="utf-8"))[1][0][2]
    named = set(re.findall(r"(?:^|\s)(\w+)/(?=\s|,)", drawn))
    folders = {path.parent.name for path in sources()} - {PACKAGE.name}
    assert folders - {"commands"} <= named, "a folder that the floors leave out"
    assert named <= folders | {"scripts"}, "a folder that is gone"
