"""Asks before much is changed at once."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from ..text import printable

__all__ = ["Yes", "agrees", "at_a_terminal"]

Yes = Annotated[bool, Parameter(name=("--yes", "-y"), negative=())]


def at_a_terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def agrees(question: str) -> bool:
    """Whether the answer is yes."""
    print(printable(f"{question} [y/N] "), end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
