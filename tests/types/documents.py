"""The Python of a document as programs for a type checker, each line at the line where it stands in the document."""

from __future__ import annotations

from collections.abc import Iterator

from tests.house.test_docs import blocks

__all__ = ["programs"]

#: Code that readers do not need and checkers do: a comment of the document, before the block that it is for.
HIDDEN, END = "<!-- python", "-->"

#: The next block does not go on with those before it.
ANEW = "<!-- another program -->"


def programs(text: str) -> list[str]:
    """The blocks of a document, joined: a block knows what those before it have imported and defined."""
    lines = [""] * len(text.splitlines())
    marks = {*_hidden(text, lines)}
    for first, language, code in blocks(text)[1]:
        if language in {"python", "py"}:
            for number, line in enumerate(code.splitlines(), first):
                lines[number - 1] = line
    starts = [0, *sorted(marks)]
    ends = [*starts[1:], len(lines)]
    whole = [
        "\n".join([""] * start + lines[start:end]) + "\n" for start, end in zip(starts, ends, strict=True)
    ]
    return [code for code in whole if code.strip()]


def _hidden(text: str, lines: list[str]) -> Iterator[int]:
    """Take the hidden code; yield the lines at which another program begins."""
    indent: str | None = None
    for number, line in enumerate(text.splitlines()):
        if line == ANEW:
            yield number
        elif line.strip() == HIDDEN:
            indent = line.removesuffix(HIDDEN)
        elif line.strip() == END:
            indent = None
        elif indent is not None:
            lines[number] = line.removeprefix(indent)
