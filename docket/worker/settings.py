"""The settings of a worker, checked where they are given."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

import attrs

from ..errors import BadSetting

__all__ = ["MESSAGE_BATCH", "Settings", "default_name"]

MESSAGE_BATCH = 1000


def default_name() -> str:
    """``hostname#pid``."""
    return f"{socket.gethostname()}#{os.getpid()}"


@attrs.frozen(kw_only=True)
class Settings:
    """What a worker was told. Durations are timedeltas; see `Worker` for what each means."""

    concurrency: int = 10
    message_batch: int = MESSAGE_BATCH
    redelivery_timeout: timedelta = timedelta(minutes=5)
    reconnection_delay: timedelta = timedelta(seconds=5)
    minimum_check_interval: timedelta = timedelta(milliseconds=250)
    scheduling_resolution: timedelta = timedelta(milliseconds=250)
    shutdown_timeout: timedelta = timedelta(seconds=25)
    schedule_automatic_tasks: bool = True

    def __attrs_post_init__(self) -> None:
        for name in ("concurrency", "message_batch"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise BadSetting(f"{name} must be at least 1, a whole number, not {value!r}")
        for name in (
            "redelivery_timeout",
            "reconnection_delay",
            "minimum_check_interval",
            "scheduling_resolution",
        ):
            value = getattr(self, name)
            if not isinstance(value, timedelta) or value <= timedelta(0):
                raise BadSetting(f"{name} takes a positive duration (timedelta), not {value!r}")
        if not isinstance(self.shutdown_timeout, timedelta) or self.shutdown_timeout < timedelta(0):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise BadSetting(
                f"shutdown_timeout takes a duration (timedelta) from zero, not {self.shutdown_timeout!r}"
            )
