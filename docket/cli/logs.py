"""What a worker process logs, and how it looks."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

__all__ = ["FORMATS", "LEVELS", "JsonFormatter", "configure", "default_format"]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMATS = ("rich", "plain", "json")

#: What every record has; anything beyond was added by the program (``extra=``).
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: name, levelname, message, exc_info (the traceback's text, or null), asctime.

    What the program gave as ``extra=`` follows; of what JSON does not know it shows the ``repr``.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "name": record.name,
            "levelname": record.levelname,
            "message": record.getMessage(),
            "exc_info": self.formatException(record.exc_info) if record.exc_info else None,
            "asctime": self.formatTime(record),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        return json.dumps(line, default=repr)


def default_format() -> str:
    """``rich`` at a terminal, ``plain`` elsewhere."""
    return "rich" if sys.stdout.isatty() else "plain"


def configure(level: str, style: str) -> None:
    """Log everything from ``level`` on to stdout, in place of what the root logger did before."""
    logging.basicConfig(level=level, handlers=[_handler(style)], force=True)


def _handler(style: str) -> logging.Handler:
    if style == "rich":
        from rich.logging import RichHandler

        rich = RichHandler()
        rich.setFormatter(logging.Formatter("%(message)s", datefmt="[%X]"))
        return rich
    handler = logging.StreamHandler(sys.stdout)
    plain = logging.Formatter("[%(asctime)s] %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if style == "json" else plain)
    return handler
