"""Environment variables that the library itself reads; those of the commands are in cli/."""

from __future__ import annotations

import os

from .errors import BadSetting
from .text import text_of

__all__ = ["check_switch", "is_set", "switched_on"]

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


def check_switch(name: str, given: object) -> bool:
    """Return a setting that is True or False.

    Raises: BadSetting - it is neither.
    """
    if not isinstance(given, bool):
        raise BadSetting(f"{name} takes True or False, not {text_of(given, repr)}")
    return given
