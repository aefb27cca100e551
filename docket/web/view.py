"""What a page is: it reads for everybody, then shows what it has read to one viewer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, unquote

import attrs

from .markup import Safe

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["Content", "Page", "Part", "Query", "Show", "View", "named", "spelled"]

Query: TypeAlias = "Mapping[str, str]"


@attrs.frozen
class Part:
    """A piece of a page that is kept up to date. Its name is the ``id`` of its element."""

    name: str
    content: Safe
    kind: str = ""
    """``half``: it takes half of the width, where there is room."""


@attrs.frozen(kw_only=True)
class View:
    """Who looks, where and when. ``here`` is the page with its query: actions come back to it."""

    docket: str
    here: str
    now: datetime
    may_act: bool


@attrs.frozen(kw_only=True)
class Content:
    """A page without its frame. ``document`` is what it shows, for programs."""

    title: str
    blocks: Sequence[Safe | Part]
    status: int = 200
    document: Mapping[str, object] | None = None

    @property
    def parts(self) -> list[Part]:
        return [block for block in self.blocks if isinstance(block, Part)]


Show: TypeAlias = Callable[[View], Content]


@attrs.frozen(kw_only=True)
class Page:
    """``path`` is its place below the dashboard; one without a ``label`` is not in the navigation.

    ``read`` may be shared by all who look at the same page with the same query.
    """

    path: str
    read: Callable[[Docket, Query], Awaitable[Show]]
    label: str = ""
    key: str = ""
    """The letter that leads here after ``g``."""
    follows: bool = False
    """Whether it is about one task, whose events bring it up to date at once."""


def spelled(name: str) -> str:
    """A key or another name as a field of a form carries it: browsers change line breaks in fields."""
    return quote(name, safe="")


def named(field: str) -> str:
    """The name that `spelled` wrote. Raises: UnicodeDecodeError (a ValueError)."""
    return unquote(field, errors="strict")
