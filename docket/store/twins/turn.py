"""What the parts of one call of a script share, and the twin of lib/forget.lua."""

from __future__ import annotations

from ...memory import Inside

__all__ = ["Turn"]


class Turn:
    """Claims and ends of one worker at one moment, ``at``; ``over`` names the progress that is over with them."""

    __slots__ = ("at", "group", "inside", "over", "prefix", "stream", "worker")

    def __init__(
        self, inside: Inside, prefix: bytes, stream: bytes, group: bytes, worker: bytes, at: bytes
    ) -> None:
        self.inside, self.prefix, self.stream, self.group = inside, prefix, stream, group
        self.worker, self.at = worker, at
        self.over: list[bytes] = []

    def forget_all(self) -> None:
        """Delete the progress that is over."""
        for name in self.over:
            self.inside.delete(name)
