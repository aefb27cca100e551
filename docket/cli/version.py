"""``docket version``."""

from __future__ import annotations

from .. import __version__

__all__ = ["version"]


def version() -> None:
    """Print the version of docket."""
    print(__version__)
