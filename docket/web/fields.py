"""What the fields of a form say."""

from __future__ import annotations

from ..client import check_key
from ..errors import UsageError
from .http import Form
from .view import named

__all__ = ["MOST_KEYS", "keys_in", "name_in", "word_in"]

MOST_KEYS = 500
"""That one form acts on."""


def word_in(form: Form, name: str) -> str:
    """The field of that name, empty where there is none; of several the last one."""
    return (form.get(name) or [""])[-1].strip()


def keys_in(form: Form) -> list[str]:
    """The keys that a form is about: that of the button, else the checked ones.

    Raises: UsageError - there is none, there are too many, or one is no key.
    """
    fields = form.get("only") or form.get("key") or ()
    if not fields:
        raise UsageError("no row is checked")
    if len(fields) > MOST_KEYS:
        raise UsageError(f"{len(fields)} rows are checked: at most {MOST_KEYS} at a time")
    keys = dict.fromkeys(_named("a key", field) for field in fields)
    return [check_key(key) for key in keys]  # all of them before anything is done


def name_in(form: Form, field: str) -> str:
    """The name in a field that was `spelled`. Raises: UsageError - it is none."""
    return _named(f"the {field}", word_in(form, field))


def _named(what: str, field: str) -> str:
    try:
        return named(field)
    except ValueError:
        raise UsageError(f"{what} of the form is no text") from None
