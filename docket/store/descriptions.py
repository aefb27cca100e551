"""What workers publish of their tasks, as JSON: for programs that have none of their code."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

from ..values import frozen

__all__ = ["Recurrence", "TaskDescription"]

#: How many characters of a text are published.
LONGEST = {"signature": 500, "doc": 200, "cron": 200, "tz": 100}
MOST_LIMITS, LONGEST_LIMIT = 20, 200


@frozen(kw_only=True)
class Recurrence:
    """When a perpetual task runs again: ``every`` so long, or at the times of a line of ``cron`` in the zone ``tz``.

    Workers schedule one that is ``automatic`` by themselves, under its own name as the key.
    """

    every: timedelta | None = None
    cron: str | None = None
    tz: str | None = None
    automatic: bool = False

    @property
    def words(self) -> str:
        """For people: ``*/5 * * * * Europe/Berlin``, ``every 0:05:00``."""
        if self.cron is not None:
            return f"{self.cron} {self.tz or ''}".rstrip()
        return f"every {self.every}" if self.every else "again and again"

    def written(self) -> str:
        """As JSON. Raises: nothing."""
        return json.dumps(
            {
                "every": None if self.every is None else self.every.total_seconds(),
                "cron": _cut("cron", self.cron),
                "tz": _cut("tz", self.tz),
                "automatic": self.automatic,
            }
        )

    @classmethod
    def read(cls, written: bytes) -> Recurrence:
        """Whatever is written there: what cannot be read of it is not there."""
        told = _told(written)
        return cls(
            every=_seconds(told.get("every")),
            cron=_text(told.get("cron")),
            tz=_text(told.get("tz")),
            automatic=told.get("automatic") is True,
        )


@frozen(kw_only=True)
class TaskDescription:
    """What a worker says about a task: its parameters, the first line of its docstring, and what it asks for.

    ``attempts`` is how often a call runs at most until it succeeds, None for ever; ``timeout`` how long each of these
    may take; ``limits`` what else it waits for, as texts for people.
    """

    signature: str | None = None
    doc: str | None = None
    attempts: int | None = 1
    timeout: timedelta | None = None
    limits: tuple[str, ...] = ()
    recurrence: Recurrence | None = None

    def written(self) -> str:
        """As JSON, without the recurrence, which is kept beside it."""
        return json.dumps(
            {
                "signature": _cut("signature", self.signature),
                "doc": _cut("doc", self.doc),
                "attempts": self.attempts,
                "timeout": None if self.timeout is None else self.timeout.total_seconds(),
                "limits": [limit[:LONGEST_LIMIT] for limit in self.limits[:MOST_LIMITS]],
            }
        )

    @classmethod
    def read(cls, written: bytes, recurrence: Recurrence | None) -> TaskDescription:
        """Whatever is written there: what cannot be read of it is not there."""
        told = _told(written)
        attempts, limits = told.get("attempts", 1), told.get("limits")
        return cls(
            signature=_text(told.get("signature")),
            doc=_text(told.get("doc")),
            attempts=attempts if attempts is None or type(attempts) is int else 1,
            timeout=_seconds(told.get("timeout")),
            limits=tuple(filter(None, map(_text, limits))) if isinstance(limits, list) else (),  # pyright: ignore[reportUnknownArgumentType]
            recurrence=recurrence,
        )


def _cut(part: str, text: str | None) -> str | None:
    return None if text is None else text[: LONGEST[part]]


def _told(written: bytes) -> dict[str, Any]:
    with suppress(ValueError, TypeError, RecursionError):
        return dict(json.loads(written))
    return {}


def _text(told: object) -> str | None:
    return told if isinstance(told, str) else None


def _seconds(told: object) -> timedelta | None:
    if type(told) is not float and type(told) is not int:
        return None
    with suppress(ValueError, OverflowError):
        return timedelta(seconds=told)
    return None
