"""Logging of a worker process: level, format, and what a terminal may be shown."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from ..text import error_text, printable, readable, text_of

__all__ = ["FORMATS", "LEVELS", "JsonFormatter", "configure", "default_format", "warn_on_stderr"]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMATS = ("rich", "plain", "json")

#: The attributes of every record; the program added all others (``extra=``).
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: name, levelname, message, exc_info (the traceback's text, or null), asctime (ISO 8601).

    The program's ``extra=`` follows; values that JSON does not know appear as their ``repr``.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "name": record.name,
            "levelname": record.levelname,
            "message": record.getMessage(),
            "exc_info": self.formatException(record.exc_info) if record.exc_info else None,
            "asctime": _moment(record.created),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        try:
            return _json(line)
        except (
            ValueError,
            TypeError,
            RecursionError,
        ):  # a nan, a key that is no text, a list that holds itself
            return _json({name: _as_json(value) for name, value in line.items()})


def _moment(seconds: float) -> str:
    """A moment in local time, to the millisecond, with its offset from UTC: hosts of one log may have several zones."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(timespec="milliseconds")


def _json(value: object) -> str:
    return json.dumps(value, default=_shown, allow_nan=False)


def _as_json(value: object) -> object:
    """A value as JSON knows it, or its ``repr``."""
    try:
        return json.loads(_json(value))
    except (ValueError, TypeError, RecursionError):
        return _shown(value)


def _shown(value: object) -> str:
    return text_of(value, repr)


class TextFormatter(logging.Formatter):
    """Text for people. A record of docket's is one line, since it quotes names that others chose.

    Tracebacks, records of tasks and formats of several lines keep their line breaks, but have nothing that moves a
    terminal's cursor. Records of other loggers stay as they are.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        if not record.name.isprintable():  # the logger of an unknown task has the task's name
            record = logging.makeLogRecord({**vars(record), "name": printable(record.name)})
        line = super().formatMessage(record)
        if record.name.startswith("docket.task.") or "\n" in str(record.msg):
            return _lines(line)
        return printable(line) if record.name.partition(".")[0] == "docket" else readable(line)

    def formatException(self, ei: Any) -> str:
        return _lines(super().formatException(ei))


def _lines(text: str) -> str:
    return "\n".join(printable(line.replace("\t", "    ")) for line in text.split("\n"))


class Warnings(TextFormatter):
    """As `TextFormatter`, but of a traceback only the last line."""

    def formatException(self, ei: Any) -> str:
        return printable(error_text(ei[1]))


def warn_on_stderr() -> None:
    """Print warnings to stderr, for commands other than the worker, unless the program has set up logging already."""
    handler = logging.StreamHandler()
    handler.setFormatter(Warnings("docket: %(message)s"))
    handler.addFilter(
        lambda record: record.name != "docket.docket"
    )  # the command itself prints what is struck
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def default_format() -> str:
    """``rich`` at a terminal, ``plain`` elsewhere."""
    return "rich" if sys.stdout.isatty() else "plain"


def configure(level: str, style: str) -> None:
    """Log everything from ``level`` on to stdout; replaces the handlers of the root logger."""
    logging.basicConfig(level=level, handlers=[_handler(style)], force=True)


def _handler(style: str) -> logging.Handler:
    if style == "rich":
        from rich.logging import RichHandler

        rich = RichHandler()
        rich.setFormatter(TextFormatter("%(message)s", datefmt="[%X]"))
        return rich
    handler = logging.StreamHandler(sys.stdout)
    plain = TextFormatter("[%(asctime)s] %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if style == "json" else plain)
    return handler
