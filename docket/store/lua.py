"""Loads the scripts of this room: one file per change, its header the contract.

In a file the lines ``-- KEYS a b``, ``-- ARGV a b rest...`` and ``-- USE lib`` are replaced, each on its own line so
that the server's line numbers stay true, by what binds these names and by the functions of ``scripts/lib``. A library
may name others that it needs in a line ``-- USE lib`` of its own, at its head or inside of a function that is seldom
called: each function is made anew by every run of its script. Whoever runs a script calls its function in
`script_calls`, by the names of the header.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from os.path import dirname, join
from typing import TYPE_CHECKING, TypeAlias, cast

from ..standins import redis_errors
from ..transport import Argument, Client, Lua, Reply

if TYPE_CHECKING:
    from ..memory import Twin

__all__ = ["Call", "run_each", "script"]

#: A script with its keys and arguments, as ``Client.run`` takes them.
Call: TypeAlias = tuple[Lua, list[Argument], list[Argument]]

_FOLDER = join(dirname(__file__), "scripts")
_USE = "-- USE "


def _read(*path: str) -> str:
    """A file of ours, also from within a zip archive. `importlib.resources` would load 20 modules for that."""
    return cast("bytes", __spec__.loader.get_data(join(_FOLDER, *path))).decode()


@functools.cache
def _library(name: str) -> str:
    return _read("lib", f"{name}.lua")


def _libraries(names: list[str]) -> str:
    """The libraries of these names in one line, each once, after those that it needs."""
    return " ".join(map(_one_line, dict.fromkeys(_with_needed(names))))


def _with_needed(names: list[str]) -> Iterator[str]:
    for name in names:
        for line in _library(name).splitlines():
            if line.startswith(_USE):
                yield from _with_needed(line.split()[2:])
        yield name


@functools.cache
def _one_line(name: str) -> str:
    """A library without its comments and line breaks."""
    lines = _library(name).splitlines()
    return " ".join(
        _libraries(line.split()[2:]) if line.startswith(f"  {_USE}") else line.partition("--")[0].strip()
        for line in lines
    )


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
            return _libraries(names)
        case _:
            return line


def _named(table: str, names: list[str]) -> str:
    return f"local {', '.join(names)} = unpack({table}, 1, {len(names)})" if names else ""


@functools.cache
def script(name: str) -> Lua:
    """The script ``scripts/{name}.lua``, bound and ready to run."""
    text = _read(f"{name}.lua")
    bound = "\n".join(_bind(line) if line.startswith("-- ") else line for line in text.splitlines())
    # Vouched: this room's methods are given what was checked above it.
    return Lua(bound, vouched=True, twin_of=_twin_of)


def _twin_of(sha: str) -> Twin | None:
    from .twins import TWINS  # only servers in this process run them

    return TWINS.get(sha)


async def run_each(client: Client, calls: Sequence[Call]) -> list[Reply | redis_errors.RedisError]:
    """Run calls of one script, in one write; error replies stay in their places."""
    if not calls:
        return []
    return await client.run_many(calls[0][0], [(keys, arguments) for _, keys, arguments in calls])
