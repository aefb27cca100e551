"""Writes ``docket/store/script_calls.py`` from the headers of the scripts: ``python -m tests.store.script_calls``."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

import docket.store

FOLDER = Path(docket.store.__file__).parent / "scripts"
MODULE = FOLDER.parent / "script_calls.py"
FENCE = ["message_id", "generation", "claim", "holder"]

TOP = '''"""One function per script: the keys and arguments that its header names, in the order of the header.

Written by ``python -m tests.store.script_calls``; a test compares the two. Each function returns what ``Client.run``
takes. The names of a fence, where they follow one another, are one parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..transport import Argument
from .fence import Fence
from .lua import Call, script

# fmt: off
# ruff: noqa: PLR0913
'''


def names(text: str, table: str) -> list[str]:
    """What a header names after KEYS or ARGV."""
    return re.findall(rf"^-- {table} (.*)$", text, re.MULTILINE)[0].split()


def parameters(name: str, text: str) -> tuple[list[str], list[str], list[str]]:
    """The parameters of a function with their types, and what it puts into KEYS and ARGV."""
    keys, argv = names(text, "KEYS"), names(text, "ARGV")
    taken = [f"{key}: Argument" for key in keys]
    sent: list[str] = []
    while argv:
        if argv[:4] == FENCE:
            taken.append("fence: Fence")
            sent += [f"fence.{field}" for field in FENCE]
            del argv[:4]
            continue
        each = argv.pop(0)
        rest = each.removesuffix("...")
        taken.append(f"{rest}: Argument" if rest == each else f"{rest}: Sequence[Argument]")
        sent.append(rest if rest == each else f"*{rest}")
    both = [one.partition(":")[0] for one in taken]
    assert len(set(both)) == len(both), f"{name}.lua names something twice"
    return taken, keys, sent


def wrapped(items: list[str], indent: str) -> str:
    text = ", ".join(item.replace(" ", "~") for item in items)
    lines = textwrap.fill(text, 108, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    return lines.replace("~", " ") + ","


def function(name: str, text: str) -> str:
    """The function of a script."""
    taken, keys, sent = parameters(name, text)
    summary = text.replace("\n-- ", " ").removeprefix("-- ").partition(". ")[0].rstrip(".") + "."
    summary = textwrap.fill(summary, 108, initial_indent='    """', subsequent_indent="    ")
    return f'''

def {name}(
    *,
{wrapped(taken, "    ")}
) -> Call:
{summary}"""
    return (
        script("{name}"),
        [{", ".join(keys)}],
        [
{wrapped(sent, "            ")}
        ],
    )
'''


def module(folder: Path = FOLDER) -> str:
    """The text of the module."""
    scripts = sorted(folder.glob("*.lua"))
    return TOP + "".join(function(path.stem, path.read_text("utf-8")) for path in scripts)


if __name__ == "__main__":
    sys.exit(MODULE.write_text(module(), "utf-8") == 0)
