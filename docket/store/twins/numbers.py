"""The twin of lib/numbers.lua."""

from __future__ import annotations

__all__ = ["whole"]


def whole(text: bytes | None) -> int | None:
    """A whole number from 0, or None where a text is none."""
    return int(text) if text is not None and len(text) <= 15 and text.isdigit() else None
