"""Environment variables that the library itself reads; those of the commands are in cli/."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from .errors import BadSetting
from .text import text_of

__all__ = ["check_switch", "is_set", "key_lines", "switched_on"]

_WORDS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off", ""), False),
}


def switched_on(name: str) -> bool:
    """Whether a variable says yes; one that is not set or empty says no.

    Raises: BadSetting - it says neither.
    """
    text = os.environ.get(name, "")
    try:
        return _WORDS[text.strip().lower()]
    except KeyError:
        raise BadSetting(f"the variable {name} takes true or false, not {text!r}") from None


def is_set(*names: str) -> bool:
    """Whether one of some variables is set, and not empty."""
    return any(os.environ.get(name) for name in names)


def key_lines(path: str | Path, name: str, what: str, logger: logging.Logger) -> list[str]:
    """The keys in a file, one a line, in their order; empty lines and those with a ``#`` in front count nothing.

    One that everybody may read is taken, and logged as the file of ``what``. ``name`` is of the setting that names it.
    Raises: BadSetting - it cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            lines = [line.strip() for line in file]
    except (OSError, ValueError) as error:
        raise BadSetting(f"{name}: the file cannot be read: {error}") from error
    if os.name == "posix" and stat.S_ISREG(mode) and mode & stat.S_IROTH:
        logger.warning("The file of %s %s may be read by every user of this machine: chmod o-r", what, path)
    return [line for line in lines if line and not line.startswith("#")]


def check_switch(name: str, given: object) -> bool:
    """Return a setting that is True or False.

    Raises: BadSetting - it is neither.
    """
    if not isinstance(given, bool):
        raise BadSetting(f"{name} takes True or False, not {text_of(given, repr)}")
    return given
