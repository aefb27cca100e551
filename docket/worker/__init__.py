"""Workers: what takes tasks off a docket and runs them."""

from .fallback import default_fallback_task
from .seeding import AUTOMATIC_PERPETUAL_LOCK_TIMEOUT_SECONDS, AUTOMATIC_PERPETUAL_RESEED_INTERVAL_SECONDS
from .settings import MESSAGE_BATCH
from .worker import Worker

__all__ = [
    "AUTOMATIC_PERPETUAL_LOCK_TIMEOUT_SECONDS",
    "AUTOMATIC_PERPETUAL_RESEED_INTERVAL_SECONDS",
    "MESSAGE_BATCH",
    "Worker",
    "default_fallback_task",
]
