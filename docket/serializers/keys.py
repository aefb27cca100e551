"""The keys that the environment has for what is sealed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ..errors import BadSetting
from ..variables import key_lines

__all__ = ["KEYS", "KEYS_FILE", "keys_of_environment", "keys_of_file"]

logger = logging.getLogger("docket.serializers")

KEYS, KEYS_FILE = "DOCKET_SEALING_KEYS", "DOCKET_SEALING_KEYS_FILE"


def keys_of_environment() -> list[str]:
    """The keys in DOCKET_SEALING_KEYS, between spaces, or in the file that DOCKET_SEALING_KEYS_FILE names, one a line.

    The newest comes first. Raises: BadSetting - there are none, or both are set; the file cannot be read.
    """
    text, path = (os.environ.get(name, "").strip() for name in (KEYS, KEYS_FILE))
    if bool(text) == bool(path):
        said = "both are set: use one of them" if text else "neither is set"
        raise BadSetting(f"what is sealed needs keys, by the variable {KEYS} or {KEYS_FILE}; {said}")
    if text:
        return text.split()
    return keys_of_file(path, f"the variable {KEYS_FILE}")


def keys_of_file(path: str | Path, name: str) -> list[str]:
    """The keys in a file that a setting names: one a line, the newest first; empty lines and those with a ``#`` in
    front count nothing.

    One that everybody may read is taken, and logged.
    Raises: BadSetting - it cannot be read, or has no key.
    """
    keys = key_lines(path, name, "sealing keys", logger)
    if not keys:
        raise BadSetting(f"{name}: there is no key in {path}")
    return keys
