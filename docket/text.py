"""Text of others: what an object's own code returns as its text, and names that become keys.

Python's strings may hold lone surrogates (``os.listdir`` and ``json.loads`` return them), which UTF-8 cannot encode. An
object's text is made by its own code, which may raise. For people surrogates are escaped; in names they are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from .errors import UsageError

__all__ = [
    "check_encodable",
    "checked_name",
    "class_name",
    "class_path",
    "error_text",
    "printable",
    "readable",
    "shortened",
    "similar",
    "text_of",
]


_NAME: Any = type.__dict__["__name__"]
_QUALIFIED: Any = type.__dict__["__qualname__"]
_MODULE: Any = type.__dict__["__module__"]


def readable(text: str) -> str:
    """The text as a plain string, lone surrogates as backslash escapes: it can be written anywhere."""
    if type(text) is str and text.isascii():
        return text
    return str.encode(text, "utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """The text on one line; characters that move a terminal's cursor or hide text are escaped. For text of others."""
    if str.isprintable(text):
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def text_of(value: object, spell: Callable[[Any], str] = str) -> str:
    """The `str` or `repr` (``spell``) of a value, for people; if that raises, a text that names the error.

    Raises: KeyboardInterrupt, nothing else: the value's own code may raise anything (I9).
    """
    try:
        return readable(spell(value))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit among them
        return f"({spell.__name__}() of it raised {class_name(error)})"


def class_name(value: object) -> str:
    """The name of a value's class, for people. It is read from `type` itself: a metaclass may return anything."""
    return readable(_NAME.__get__(type(value)))


def class_path(value: object) -> str:
    """The name of a value's class with its module, as people write it: ``KeyError``, ``package.module.MyError``."""
    kind = type(value)
    module = _MODULE.__get__(kind)
    path = readable(_QUALIFIED.__get__(kind))
    return path if module == "builtins" or not isinstance(module, str) else f"{readable(module)}.{path}"


def error_text(error: BaseException) -> str:
    """``ValueError: its message``, for people. Raises: KeyboardInterrupt."""
    return f"{class_name(error)}: {text_of(error)}"


def shortened(text: str, most: int, ahead: int | None = None) -> str:
    """The text, or its beginning and its end with ``...`` in between: of at most so many characters, at least 3.

    ``ahead`` are the characters of the beginning, two thirds unless it is given.
    """
    if len(text) <= most:
        return text
    ahead = (most - 3) * 2 // 3 if ahead is None else ahead
    return f"{text[:ahead]}...{text[len(text) - (most - 3 - ahead) :]}"


def check_encodable(text: str, what: str) -> None:
    """Refuse a name that cannot become a key; ``what`` names it in the error.

    Raises: UsageError (a ValueError).
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{what} {readable(repr(text))} has a character that UTF-8 cannot hold "
            f"({readable(repr(text[error.start]))}, at {error.start})"
        ) from None


def checked_name(given: object, what: str) -> str:
    """The plain string of a name that becomes a key, or a part of one; ``what`` names it in the error.

    Raises: TypeError - it is no text; UsageError (a ValueError) - it is empty, or UTF-8 cannot hold it.
    """
    if not isinstance(given, str):
        raise TypeError(f"{what} is a str, not {type(given).__name__}: {text_of(given, repr)}")
    if type(given) is not str:  # formatted into a key, a subclass (an enum, say) would insert text of its own
        given = str.__str__(given)
    if not given:
        raise UsageError(f"{what} may not be empty")
    if not given.isascii():
        check_encodable(given, what)
    return given


def similar(name: str, names: Collection[str]) -> str:
    """The end of a sentence that asks whether a similar name was meant; empty if there is none."""
    import difflib  # of a mistake, and few make one

    found = difflib.get_close_matches(name, sorted(names), n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""
