"""A docket for programs without an event loop: Django, Flask, scripts. `docket.Docket.sync` makes one."""

from .docket import SyncDocket, SyncPage, SyncSnapshot
from .execution import SyncExecution, SyncProgress

__all__ = ["SyncDocket", "SyncExecution", "SyncPage", "SyncProgress", "SyncSnapshot"]
