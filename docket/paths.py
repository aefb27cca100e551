"""What users name by text, as ``"module.path:member"``."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["member_at"]


def member_at(path: str, malformed: Exception) -> Any:
    """The member of a module. Raises: ``malformed`` - the path is not of that form; ImportError, AttributeError."""
    module, colon, member = path.partition(":")
    if not (module and colon and member):
        raise malformed
    return getattr(importlib.import_module(module), member)
