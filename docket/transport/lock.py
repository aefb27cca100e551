"""A lock on the server: redis-py's protocol (SET NX PX with a token), waiting by anyio."""

from __future__ import annotations

import logging
import uuid
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import anyio
from redis.exceptions import LockError, LockNotOwnedError

from ..clock import monotonic
from .scripts import Lua

if TYPE_CHECKING:
    from .client import Client

__all__ = ["Lock"]

logger = logging.getLogger(__name__)

_RELEASE = Lua("""\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
""")

_EXTEND = Lua("""\
local left = redis.call('PTTL', KEYS[1])
if redis.call('GET', KEYS[1]) ~= ARGV[1] or left < 0 then
  return 0
end
local added = tonumber(ARGV[2])
if ARGV[3] == '0' then
  added = added + left
end
return redis.call('PEXPIRE', KEYS[1], added)
""")

_REACQUIRE = Lua("""\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
""")


class Lock:
    """Held by one token at a time, among all clients of the server; an async context manager.

    The server frees it by itself after ``timeout`` seconds (None: never); a waiter asks again every ``sleep``
    seconds. Compatible on the server with redis-py's locks.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        *,
        timeout: float | None = None,
        sleep: float = 0.1,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        raise_on_release_error: bool = True,
    ) -> None:
        self._client = client
        self.name, self.timeout, self.sleep = name, timeout, sleep
        self.blocking, self.blocking_timeout = blocking, blocking_timeout
        self.raise_on_release_error = raise_on_release_error
        self._token: bytes | None = None

    async def acquire(
        self,
        blocking: bool | None = None,
        blocking_timeout: float | None = None,
        token: str | bytes | None = None,
    ) -> bool:
        """Take the lock; False if it was not free (in time).

        Cancel: safe to repeat; a lock taken in that very moment is freed by its ``timeout`` only.
        """
        mine = token.encode() if isinstance(token, str) else token or uuid.uuid4().hex.encode()
        blocking = self.blocking if blocking is None else blocking
        limit = self.blocking_timeout if blocking_timeout is None else blocking_timeout
        give_up = None if limit is None else monotonic() + limit
        expiry = ("PX", int(self.timeout * 1000)) if self.timeout else ()
        while True:
            if await self._client.call("SET", self.name, mine, "NX", *expiry) is not None:
                self._token = mine
                return True
            if not blocking or (give_up is not None and monotonic() + self.sleep > give_up):
                return False
            await anyio.sleep(self.sleep)

    async def locked(self) -> bool:
        """Whether anybody holds the lock."""
        return await self._client.call("GET", self.name) is not None

    async def owned(self) -> bool:
        """Whether this object holds the lock."""
        return self._token is not None and await self._client.call("GET", self.name) == self._token

    async def release(self) -> None:
        """Free the lock.

        Raises: LockError - it was not taken; LockNotOwnedError - it expired, and another one may hold it.
        """
        if self._token is None:
            raise LockError(
                "Cannot release a lock that is not owned or is already unlocked.", lock_name=self.name
            )
        freed = await self._client.run(_RELEASE, [self.name], [self._token])
        self._token = None
        if not freed:
            raise LockNotOwnedError("Cannot release a lock that is no longer owned", lock_name=self.name)

    async def extend(self, additional_time: float, replace_ttl: bool = False) -> Literal[True]:
        """Add seconds to the time that is left, or replace it.

        Raises: LockError - not taken, or without a timeout; LockNotOwnedError - expired.
        """
        token, _ = self._expiring()
        args = [token, int(additional_time * 1000), "1" if replace_ttl else "0"]
        return self._still(await self._client.run(_EXTEND, [self.name], args))

    async def reacquire(self) -> Literal[True]:
        """Begin the timeout anew; raises as ``extend`` does."""
        token, timeout = self._expiring()
        return self._still(await self._client.run(_REACQUIRE, [self.name], [token, int(timeout * 1000)]))

    def _expiring(self) -> tuple[bytes, float]:
        if self._token is None:
            raise LockError("Cannot extend an unlocked lock", lock_name=self.name)
        if self.timeout is None:
            raise LockError("Cannot extend a lock with no timeout", lock_name=self.name)
        return self._token, self.timeout

    def _still(self, changed: object) -> Literal[True]:
        if not changed:
            raise LockNotOwnedError("Cannot extend a lock that is no longer owned", lock_name=self.name)
        return True

    async def __aenter__(self) -> Self:
        if await self.acquire():
            return self
        raise LockError("Unable to acquire lock within the time specified", lock_name=self.name)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        # Also when the holder is cancelled: else the lock stays until it expires, or for ever.
        with anyio.CancelScope(shield=True):
            try:
                await self.release()
            except LockError:
                if self.raise_on_release_error:
                    raise
                logger.warning("Lock %r was no longer owned when its block was left", self.name)
