"""The fence: which claim of which delivery writes."""

from __future__ import annotations

from ..values import hot_value

__all__ = ["NO_FENCE", "Fence"]


@hot_value
class Fence:
    """What a write about a claim carries, and lib/fence.lua compares with the record of the run (I2).

    ``claim`` numbers the claims of one delivery, from 1. The generation 0 is that of messages without one: it matches
    any.
    """

    message_id: bytes
    generation: int
    claim: int
    holder: str


#: The fence of a writer that has claimed nothing.
NO_FENCE = Fence(b"", 0, 0, "")
