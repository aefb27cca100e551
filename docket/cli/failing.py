"""How a command says that it could not do what it was asked for."""

from __future__ import annotations

__all__ = ["CommandFailed"]


class CommandFailed(Exception):
    """The command line was right and the command failed all the same; the message is for people, one line."""
