"""Durations and tables for people: plain text, or tables of rich on a terminal."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from ..text import printable

__all__ = ["counted", "has_rich_terminal", "past", "print_table", "relative", "span"]

WIDEST = 60
"""The most characters to which a column is padded; a longer cell widens only its own row."""


def span(length: timedelta) -> str:
    """A duration to the millisecond: ``0:00:04.620``, ``2 days, 0:00:00.000``; never negative."""
    milliseconds = max(round(length / timedelta(milliseconds=1)), 0)
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    before = f"{days} day{'' if days == 1 else 's'}, " if days else ""
    return f"{before}{hours}:{minutes:02}:{seconds:02}.{milliseconds:03}"


def relative(when: datetime, now: datetime) -> str:
    """The distance of a moment: ``in 0:01:30.000``, ``0:00:04.620 ago``."""
    return f"in {span(when - now)}" if when > now else f"{span(now - when)} ago"


def past(when: datetime, now: datetime) -> str:
    """The distance of what has happened: ``0:00:04.620 ago``; ``just now`` where another clock is ahead of ours."""
    return "just now" if when > now else relative(when, now)


def counted(number: int, thing: str) -> str:
    """``1 task``, ``2 tasks``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def has_rich_terminal() -> bool:
    """Whether stdout is a terminal, and rich is installed."""
    return sys.stdout.isatty() and importlib.util.find_spec("rich") is not None


def print_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: int = 0,
    if_any: Collection[str] = (),
) -> None:
    """Print a table; the ``numbers`` columns after the first one are aligned right.

    Of those ``if_any`` names only the columns are there in which a row has something.
    """
    right = range(1, 1 + numbers)
    there = [at for at, name in enumerate(headers) if name not in if_any or any(row[at] for row in rows)]
    headers = [headers[at] for at in there]
    rows = [[printable(row[at]) for at in there] for row in rows]
    if has_rich_terminal():
        _print_rich_table(headers, rows, right)
        return
    widths = [min(max(map(len, column)), WIDEST) for column in zip(headers, *rows, strict=True)]
    for row in (headers, *rows):
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _print_rich_table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: range) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column, header in enumerate(headers):
        table.add_column(header, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
