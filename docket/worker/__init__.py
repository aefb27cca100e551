"""Workers: what takes tasks off a docket and runs them."""

from .fallback import default_fallback_task
from .settings import MESSAGE_BATCH
from .worker import Worker

__all__ = ["MESSAGE_BATCH", "Worker", "default_fallback_task"]
