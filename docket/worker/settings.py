"""The settings of a worker, checked as they are given."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import Any

import attrs

from ..errors import BadSetting, UsageError
from ..moments import check_setting
from ..numbers import spelled
from ..rules import LEVELS, Priority, check_lanes
from ..text import readable
from ..values import frozen
from ..variables import check_switch

__all__ = [
    "MAX_DELIVERIES",
    "MAX_WAITING",
    "MESSAGE_BATCH",
    "UNKNOWN_TASK_PATIENCE",
    "Settings",
    "default_name",
]

MESSAGE_BATCH = 1000
MAX_DELIVERIES = 5
MAX_WAITING = 1000
UNKNOWN_TASK_PATIENCE = timedelta(hours=1)


def default_name() -> str:
    """The name of a worker that is given none: ``hostname#pid``."""
    return f"{readable(socket.gethostname())}#{os.getpid()}"


def _lanes(given: Any) -> tuple[Priority, ...]:
    try:
        return check_lanes(given)
    except UsageError as error:
        raise BadSetting(str(error)) from None


@frozen(kw_only=True)
class Settings:
    """The settings of one worker; `Worker` describes them. Durations are timedeltas.

    Raises: BadSetting - one is out of range.
    """

    concurrency: int = 10
    message_batch: int = MESSAGE_BATCH
    redelivery_timeout: timedelta = timedelta(minutes=5)
    reconnection_delay: timedelta = timedelta(seconds=5)
    minimum_check_interval: timedelta = timedelta(milliseconds=250)
    scheduling_resolution: timedelta = timedelta(milliseconds=250)
    shutdown_timeout: timedelta = timedelta(seconds=25)
    max_deliveries: int = MAX_DELIVERIES
    unknown_task_patience: timedelta = UNKNOWN_TASK_PATIENCE
    schedule_automatic_tasks: bool = True
    parent_task_spans: bool | None = None
    max_waiting: int = MAX_WAITING
    lanes: tuple[Priority, ...] = attrs.field(default=LEVELS, converter=_lanes)

    def __attrs_post_init__(self) -> None:
        for name in ("concurrency", "message_batch", "max_deliveries", "max_waiting"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise BadSetting(f"{name} must be at least 1, a whole number, not {spelled(value)}")
        for name in (
            "redelivery_timeout",
            "reconnection_delay",
            "minimum_check_interval",
            "scheduling_resolution",
        ):
            check_setting(name, getattr(self, name), positive=True)
        for name in ("shutdown_timeout", "unknown_task_patience"):
            check_setting(name, getattr(self, name))
        if self.parent_task_spans is not None:
            check_switch("parent_task_spans", self.parent_task_spans)
