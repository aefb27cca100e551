"""The transport's own errors, which derive from redis-py's: loaded when one is raised (see `docket.standins`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..standins import ErrorsOf

__all__ = ["faults"]

if TYPE_CHECKING:
    from . import fault_classes as faults
else:
    faults = ErrorsOf(f"{__package__}.fault_classes")
