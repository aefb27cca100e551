"""Loads the scripts of this room: one file per change, its header the contract.

In a file the lines ``-- KEYS a b``, ``-- ARGV a b rest...`` and ``-- USE lib`` are replaced, each on its own
line so that the server's line numbers stay true, by what binds these names and by the functions of
``scripts/lib``.
"""

from __future__ import annotations

import functools
from importlib.resources import files

from ..transport import Lua

__all__ = ["script"]

_FOLDER = files("docket.store") / "scripts"


def _one_line(text: str) -> str:
    """A library without its comments and line breaks, for insertion into a single line."""
    return " ".join(line.partition("--")[0].strip() for line in text.splitlines())


def _bind(line: str) -> str:
    """The Lua that stands for one header line."""
    match line.removeprefix("-- ").split():
        case ["KEYS" | "ARGV" as table, *names] if names[-1].endswith("..."):
            rest, fixed = names[-1][:-3], len(names) - 1
            # ``unpack`` is the quickest, and refuses some thousands of values.
            few = f"{rest} = {{unpack({table}, {fixed + 1})}}"
            many = f"{rest} = {{}} for i = {fixed + 1}, #{table} do {rest}[i - {fixed}] = {table}[i] end"
            return f"{_named(table, names[:-1])} local {rest} if #{table} < 4000 then {few} else {many} end"
        case ["KEYS" | "ARGV" as table, *names]:
            return _named(table, names)
        case ["USE", *names]:
            return " ".join(_one_line((_FOLDER / "lib" / f"{name}.lua").read_text("utf-8")) for name in names)
        case _:
            return line


def _named(table: str, names: list[str]) -> str:
    return f"local {', '.join(names)} = unpack({table}, 1, {len(names)})" if names else ""


@functools.cache
def script(name: str) -> Lua:
    """The script ``scripts/{name}.lua``, bound and ready to run."""
    text = (_FOLDER / f"{name}.lua").read_text("utf-8")
    bound = "\n".join(_bind(line) if line.startswith("-- ") else line for line in text.splitlines())
    return Lua(bound, vouched=True)  # this room's methods are given what was checked above it
