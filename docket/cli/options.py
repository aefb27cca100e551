"""Reads the text of options and environment variables, and explains what they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, cast

from cyclopts import CoercionError, Parameter, Token

from .. import clock
from ..errors import BadUrl
from ..moments import LONGEST, SINCE, check_duration, check_moment, read_seconds, read_since
from ..rules import LEVELS, Priority, check_lanes

__all__ = [
    "After",
    "Contains",
    "Heartbeat",
    "Limit",
    "Missed",
    "OfLevel",
    "choice",
    "duration",
    "each",
    "integer",
    "levels",
    "moment",
    "option",
    "path",
    "ttl",
    "until",
    "url",
    "word_or_path",
]

#: A reader of text, and the words for what it takes; it raises ValueError for anything else.
Reader = tuple[Callable[[str], Any], str]


def option(
    name: str | tuple[str, ...] | None, reader: Reader, variable: str | tuple[str, ...] | None = None
) -> Parameter:
    """The option ``name`` (None: an argument), and the environment variable used when it is not given.

    Of several variables the first one that is set counts.
    """
    read, takes = reader

    def convert(_: Any, tokens: Sequence[Token]) -> Any:
        return _read(read, takes, tokens[-1].value, tokens[-1])

    return Parameter(name=name, env_var=variable, converter=convert, show_default=_spelled)


def each(name: str, reader: Reader, variable: str | None = None) -> Parameter:
    """As `option`, for an option that may be given several times; its variable has several words."""
    read, takes = reader

    def convert(_: Any, tokens: Sequence[Token]) -> tuple[Any, ...]:
        return tuple(_read(read, takes, word, token) for token in tokens for word in _words(token.value))

    return Parameter(name=name, env_var=variable, converter=convert, negative=(), show_default=_spelled)


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def levels(name: str, variable: str) -> Parameter:
    """An option that takes levels of calls, with commas between them."""
    takes = f"levels with commas between them, each once: {', '.join(level.value for level in LEVELS)}"

    def convert(_: Any, tokens: Sequence[Token]) -> tuple[Priority, ...]:
        text = ",".join(token.value.strip(", ") for token in tokens)
        return _read(
            lambda text: check_lanes(text.replace(" ", "").lower().split(",")), takes, text, tokens[-1]
        )

    return Parameter(name=name, env_var=variable, converter=convert, negative=(), show_choices=False)


def _spelled(default: object) -> str | None:
    """A default as it would be typed; None where there is none to show."""
    if isinstance(default, tuple):
        return " ".join(map(str, cast("tuple[object, ...]", default))) or None
    if not isinstance(default, timedelta):
        return None if default is None else str(default)
    milliseconds = round(default / timedelta(milliseconds=1))
    for unit, size in ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0"


def _read(read: Callable[[str], Any], takes: str, text: str, token: Token) -> Any:
    try:
        return read(text)
    except BadUrl as error:  # its text names the wrong part, and has no password
        raise CoercionError(msg=f"takes {takes}: {error}", token=token) from None
    except ValueError:
        raise CoercionError(msg=f"takes {takes}, not {text!r}", token=token) from None


def integer(least: int, most: int | None = None) -> Reader:
    """Whole numbers of a range, both ends included."""

    def read(text: str) -> int:
        number = int(text)
        if number < least or (most is not None and number > most):
            raise ValueError(text)
        return number

    return read, f"a whole number from {least}" + (f" to {most}" if most is not None else "")


def duration(*, zero: bool = False) -> Reader:
    """Durations above zero, or from zero."""

    def read(text: str) -> timedelta:
        try:
            value = timedelta(seconds=read_seconds(text))
        except OverflowError:
            raise ValueError(text) from None
        return check_duration("it", value, positive=not zero)

    return (
        read,
        f"a duration {'from' if zero else 'above'} zero, up to {LONGEST.days} days, like 90, 90s, 2m, 1h, 7d, 250ms, "
        "01:30 or 01:00:00",
    )


def ttl() -> Reader:
    """How long something is kept: durations from zero, or ``never``, which is None, for what does not expire."""
    read, takes = duration(zero=True)
    return lambda text: None if text.strip().lower() == "never" else read(text), f"{takes}, or never"


def moment() -> Reader:
    """Moments: how long ago, or ISO 8601 with a time zone."""

    return lambda text: read_since(text, clock.now()), SINCE


def until() -> Reader:
    """How long something is good for: a duration, or a moment in ISO 8601 with a time zone."""
    read, takes = duration(zero=True)

    def either(text: str) -> timedelta | datetime:
        try:
            return read(text)
        except ValueError:
            return check_moment("it", datetime.fromisoformat(text.strip()))

    return either, f"{takes}; or a moment like 2026-11-28T12:00:00+00:00"


def choice(*words: str, upper: bool = False) -> Reader:
    """One of some words, in any case."""

    def read(text: str) -> str:
        word = text.strip().upper() if upper else text.strip().lower()
        if word not in words:
            raise ValueError(text)
        return word

    return read, f"{', '.join(words[:-1])} or {words[-1]}"


def _member(text: str) -> str:
    module, _, member = text.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), member]):
        raise ValueError(text)
    return text


def path(what: str) -> Reader:
    """The path of an object: ``package.module:name``."""
    return _member, f"{what} as 'package.module:name'"


def word_or_path(what: str, *words: str) -> Reader:
    """One of some words as it is, or the path of an object: ``package.module:name``."""
    return lambda text: text if text in words else _member(text), f"{', '.join(words)}, or {path(what)[1]}"


def _url(text: str) -> str:
    from ..transport import parse

    parse(text)
    return text


#: The URL of a server.
url: Reader = (_url, "the URL of a server")

# Options of several commands. Those of a page of a list:
Limit = Annotated[int, option("--limit", integer(1, 1000))]
After = Annotated[str | None, Parameter(name="--after")]
Contains = Annotated[str | None, Parameter(name="--contains")]

Heartbeat = Annotated[timedelta, option("--heartbeat-interval", duration(), "DOCKET_HEARTBEAT_INTERVAL")]
Missed = Annotated[int, option("--missed-heartbeats", integer(1), "DOCKET_MISSED_HEARTBEATS")]

#: The level of a call.
OfLevel = Annotated[str | None, option("--priority", choice(*(level.value for level in LEVELS)))]
