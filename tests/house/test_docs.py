"""What the documents point at exists, and the Python in them compiles."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.house.tree import ROOT, label

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

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


def test_every_link_inside_of_the_project_resolves() -> None:
    broken: list[str] = []
    for path in DOCUMENTS:
        prose, _ = blocks(path.read_text(encoding="utf-8"))
        for match in LINK.finditer(re.sub(r"`[^`\n]*`", "", prose)):
            target, _, fragment = (match["target"] or match["image"]).partition("#")
            if "://" in target or target.startswith("mailto:"):
                continue
            there = (path.parent / target).resolve() if target else path
            known = there.exists() and (not fragment or there.suffix != ".md" or fragment in anchors(there))
            broken += [] if known else [f"{label(path)}: {match[0]}"]
    assert not broken, "\n".join(broken)


def test_the_python_of_every_document_compiles() -> None:
    for path in DOCUMENTS:
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
