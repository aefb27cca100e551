"""Loads the scripts of this room: one file per change, its header the contract.

In a file the lines ``-- KEYS a b``, ``-- ARGV a b rest...`` and ``-- USE lib`` are replaced, each on its own line
so that the server's line numbers stay true, by what binds these names and by the functions of ``scripts/lib``.
"""

from __future__ import annotations

import functools
from importlib.resources import files

from ..transport import Lua

__all__ = ["script"]

_FOLDER = files(__package__) / "scripts"


def _one_line(text: str) -> str:
    """A library without its comments and line breaks, for insertion into a single line."""
    return " ".join(line.partition("--")[0].strip() for line in text.splitlines())


def _bind(line: str) -> str:
    """The Lua that stands for one header line."""
    words = line.removeprefix("-- ").split()
    match words:
        case ["KEYS", *names]:
            return f"local {', '.join(names)} = unpack(KEYS)"
        case ["ARGV", *names] if names[-1].endswith("..."):
            rest = names.pop()[:-3]
            bound = f"local {', '.join(names)} = unpack(ARGV)" if names else ""
            return f"{bound} local {rest} = {{}} for i = {len(names) + 1}, #ARGV do {rest}[i - {len(names)}] = ARGV[i] end"
        case ["ARGV", *names]:
            return f"local {', '.join(names)} = unpack(ARGV)"
        case ["USE", *names]:
            return " ".join(_one_line((_FOLDER / "lib" / f"{name}.lua").read_text("utf-8")) for name in names)
        case _:
            return line


@functools.cache
def script(name: str) -> Lua:
    """The script ``scripts/{name}.lua``, bound and ready to run."""
    text = (_FOLDER / f"{name}.lua").read_text("utf-8")
    return Lua("\n".join(_bind(line) if line.startswith("-- ") else line for line in text.splitlines()))
