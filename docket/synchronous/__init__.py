"""A docket for programs without an event loop: Django, Flask, scripts. `docket.Docket.sync` makes one."""

from .docket import SyncDocket, SyncSnapshot
from .execution import SyncExecution, SyncProgress

__all__ = ["SyncDocket", "SyncExecution", "SyncProgress", "SyncSnapshot"]
