"""The seam under a connection: a byte stream whose every step is either synchronous or takes no bytes.

``try_send`` and ``try_receive`` move bytes and never wait; ``wait_readable`` and ``wait_writable`` wait and
never move bytes. So cancelling any caller at any moment loses nothing.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Stream"]


class Stream(Protocol):
    """TCP, TLS over TCP, unix sockets and ``memory://`` implement this."""

    def try_send(self, buffer: bytes | bytearray | memoryview) -> int:
        """Send as much as goes now; return how many bytes were taken, 0 if none would go.

        Raises: OSError - the stream is broken.
        """
        ...

    def try_receive(self) -> bytes | None:
        """Return what has arrived (at most 256 KiB), None if nothing has, ``b""`` at the end of the stream.

        Raises: OSError - the stream is broken.
        """
        ...

    async def wait_readable(self) -> None:
        """Wait until ``try_receive`` has a result; may return too early, never too late."""
        ...

    async def wait_writable(self) -> None:
        """Wait until ``try_send`` would take bytes again; may return too early, never too late."""
        ...

    def wake(self) -> None:
        """Let ``wait_readable`` return, whatever there is to read. Never suspends."""
        ...

    def close(self) -> None:
        """Release everything and wake those who wait; idempotent. Never suspends."""
        ...

    def abandon(self) -> None:
        """``close()`` after the end of the event loop of those who wait: they cannot be woken any more."""
        ...
