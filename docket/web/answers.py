"""Answers that are whole pages."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from .frame import plain_page
from .http import Response
from .markup import Safe, el

__all__ = ["html", "plain"]


def html(page: Safe, status: int = 200) -> Response:
    return Response(body=page.encode(), status=status)


def plain(
    status: int,
    title: str,
    text: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    *,
    home: str | None = "./",
) -> Response:
    """A page that says one thing, and leads ``home``."""
    return attrs.evolve(html(plain_page(title, el("p", text), home=home), status), headers=headers)
