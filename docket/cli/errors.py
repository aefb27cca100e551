"""The error of a command that could not do its work."""

from __future__ import annotations

__all__ = ["CommandFailed"]


class CommandFailed(Exception):
    """The command line was right, but the command failed. The message is a line for people, or several."""
