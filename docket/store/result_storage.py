"""Where results may be kept instead of on the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["ResultStorage"]


class ResultStorage(Protocol):
    """py-key-value-aio's ``AsyncKeyValue``, as far as results need it."""

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None: ...

    async def put(
        self,
        key: str,
        value: Mapping[str, Any],
        *,
        collection: str | None = None,
        ttl: float | None = None,
    ) -> None: ...
