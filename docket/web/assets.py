"""The style and the script of the dashboard: files of the package, which browsers may keep."""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files

import attrs

__all__ = ["ASSETS", "Asset", "asset", "link_to"]

#: Name and type of each.
ASSETS = {"board.css": "text/css; charset=utf-8", "board.js": "text/javascript; charset=utf-8"}


@attrs.frozen
class Asset:
    body: bytes
    kind: str
    version: str
    """Of the content: an address with it may be kept for ever."""


@functools.cache
def asset(name: str) -> Asset:
    """Raises: KeyError - there is none of that name."""
    kind = ASSETS[name]
    body = files(__package__ or "docket.web").joinpath("assets", name).read_bytes()
    return Asset(body, kind, hashlib.sha256(body).hexdigest()[:16])


def link_to(name: str) -> str:
    return f"{name}?v={asset(name).version}"
