"""Workers take tasks off a docket and run them."""

from typing import TypeAlias, TypedDict

from .. import mixture as mixture  # warns where the front door is pydocket's
from ..dependencies import ADMISSION_BLOCKED_RETRY_DELAY, MINIMUM_TTL_SECONDS
from .fallback import default_fallback_task
from .intake.seeder import (
    AUTOMATIC_PERPETUAL_LOCK_TIMEOUT_SECONDS,
    AUTOMATIC_PERPETUAL_RESEED_INTERVAL_SECONDS,
)
from .runs.hooks import EndedRun, RunHook
from .settings import MESSAGE_BATCH
from .worker import Worker

__all__ = [
    "ADMISSION_BLOCKED_RETRY_DELAY",
    "AUTOMATIC_PERPETUAL_LOCK_TIMEOUT_SECONDS",
    "AUTOMATIC_PERPETUAL_RESEED_INTERVAL_SECONDS",
    "MESSAGE_BATCH",
    "MINIMUM_TTL_SECONDS",
    "EndedRun",
    "PubSubMessage",
    "RunHook",
    "TaskKey",
    "Worker",
    "default_fallback_task",
]

TaskKey: TypeAlias = str


class PubSubMessage(TypedDict):
    """A message of a pub/sub subscription, as ``docket.redis()`` and redis-py return it."""

    type: str
    pattern: bytes
    channel: bytes
    data: bytes | str
