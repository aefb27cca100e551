"""The examples, and the texts that they were taken from where those are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs

from tests.house.tree import ROOT

__all__ = [
    "Block",
    "Example",
    "by_name",
    "code_of",
    "examples",
    "lines_of",
    "looks_like_code",
    "texts",
    "tile",
]

EXAMPLES = Path(__file__).parent / "examples"

#: Lines without indentation or with it, none of them blank.
Block = list[str]

PART = re.compile(r"^## (?P<title>[^\n]+)$|^```python\n(?P<code>.*?)\n```$", re.DOTALL | re.MULTILINE)

#: How a line of Python begins or ends; prose, commands, JSON and what programs print do neither.
CODE = re.compile(
    r"(async|await|def|class|import|with|raise|return|assert) \S|from \S+ import |(return|pass|break|continue)$"
    r"|(for|if|elif|while|except|else|try)\b.*:$|print\(|[\w.]+\(.*\)$|[\w.\[\]\"']+ ?(: [\w\[\], ]+)? = \S|\) -> |# "
)


@attrs.frozen
class Example:
    """One block of Python; ``name`` is ``theme: title``, ``line`` the one of its file that the code begins in."""

    name: str
    code: str
    path: Path
    line: int


@cache
def examples() -> tuple[Example, ...]:
    """All of them, in the order of the files."""
    return tuple(example for path in sorted(EXAMPLES.glob("*.md")) for example in _examples_of(path))


def _examples_of(path: Path) -> Iterator[Example]:
    title, text = "", path.read_text(encoding="utf-8")
    for match in PART.finditer(text):
        title = match["title"] or title
        if match["code"]:
            line = 1 + text.count("\n", 0, match.start("code"))
            yield Example(f"{path.stem}: {title}", match["code"], path, line)


@cache
def by_name(name: str) -> Example:
    return next(example for example in examples() if example.name == name)


def lines_of(code: str, *, exact: bool) -> Block:
    """The lines that are not blank; with their inner and outer spaces only if ``exact``."""
    lines = [
        line.rstrip() for line in code.replace("Â±", "±").splitlines()
    ]  # "Â" is one text's misread encoding
    return [line if exact else " ".join(line.split()) for line in lines if line.strip()]


def texts() -> list[Path]:
    """The texts about docket in the nearest folder ``*/seeds`` beside the project, if there is any."""
    for above in ROOT.parents:
        found = sorted(above.glob("*/seeds/*.txt"))
        if found := [path for path in found if "docket" in path.read_text(encoding="utf-8")]:
            return found
    return []


def code_of(text: str) -> list[Block] | None:
    """The blocks of a text that fences them, without inner and outer spaces; None for one that does not.

    In the rows of a diff every line of code stands between a ``+`` and the bar and number of the next row.
    """
    if not (fenced := re.findall(r"^```python\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)):
        return None
    blocks = [lines_of(code, exact=False) for code in fenced]
    return [[line for line in block if not re.fullmatch(r"[|+]|\d+", line)] for block in blocks]


def tile(text: Block, known: list[Block]) -> tuple[list[Block], Block]:
    """Lay the known blocks over a text, the longest first at each line.

    Shapes: the blocks found, in order, and the lines that no block covers.
    """
    found: list[Block] = []
    left: Block = []
    longest_first = sorted(known, key=len, reverse=True)
    at = 0
    while at < len(text):
        here = next((block for block in longest_first if text[at : at + len(block)] == block), None)
        if here is None:
            left.append(text[at])
            at += 1
        else:
            found.append(here)
            at += len(here)
    return found, left


def looks_like_code(line: str) -> bool:
    return CODE.match(line) is not None
