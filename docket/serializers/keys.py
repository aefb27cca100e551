"""The keys that the environment has for what is sealed."""

from __future__ import annotations

import logging
import os
import stat

from ..errors import BadSetting

__all__ = ["KEYS", "KEYS_FILE", "keys_of_environment"]

logger = logging.getLogger("docket.serializers")

KEYS, KEYS_FILE = "DOCKET_SEALING_KEYS", "DOCKET_SEALING_KEYS_FILE"


def keys_of_environment() -> list[str]:
    """The keys in DOCKET_SEALING_KEYS, between spaces, or in the file that DOCKET_SEALING_KEYS_FILE names, one a line.

    The newest comes first. Empty lines of the file count nothing, nor do those that begin with ``#``. A file that
    others may read is taken, with a warning.
    Raises: BadSetting - there are none, or both are set; the file cannot be read.
    """
    text, path = (os.environ.get(name, "").strip() for name in (KEYS, KEYS_FILE))
    if bool(text) == bool(path):
        said = "both are set: use one of them" if text else "neither is set"
        raise BadSetting(f"what is sealed needs keys, by the variable {KEYS} or {KEYS_FILE}; {said}")
    if text:
        return text.split()
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            lines = [line.strip() for line in file]
    except (OSError, ValueError) as error:
        raise BadSetting(f"the variable {KEYS_FILE}: the file cannot be read: {error}") from error
    if os.name == "posix" and stat.S_ISREG(mode) and mode & stat.S_IROTH:
        logger.warning("Every user of this machine may read the file of keys %s: chmod o-r", path)
    return [line for line in lines if line and not line.startswith("#")]
