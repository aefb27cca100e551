"""The ``cjson`` of scripts: encode and decode."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

__all__ = ["Json"]


class Json:
    """JSON between Lua values; ``table`` makes a Lua table, ``kind`` tells what a value is to Lua."""

    def __init__(self, table: Callable[[Any], Any], kind: Callable[[Any], str | None]) -> None:
        self._table, self._kind = table, kind
        self.null = object()

    def encode(self, value: Any) -> bytes:
        text = json.dumps(self._from_lua(value), separators=(",", ":"), ensure_ascii=False)
        return text.replace("/", "\\/").replace("\x7f", "\\u007f").encode("utf-8", "surrogateescape")

    def decode(self, text: bytes) -> Any:
        return self._to_lua(json.loads(text.decode("utf-8", "surrogateescape")))

    def _from_lua(self, value: Any) -> Any:
        if value is None or value is self.null:
            return None
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        if isinstance(value, float):
            return float(format(value, ".14g"))
        if self._kind(value) != "table":
            return value
        keys: list[Any] = list(value.keys())
        if keys and all(isinstance(key, int) and key > 0 for key in keys):
            return [self._from_lua(value[index]) for index in range(1, max(keys) + 1)]
        return {
            (key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else str(key)): self._from_lua(
                value[key]
            )
            for key in keys
        }

    def _to_lua(self, value: Any) -> Any:
        if value is None:
            return self.null
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if isinstance(value, list):
            return self._table([self._to_lua(part) for part in cast("list[Any]", value)])
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return self._table(
                {name.encode("utf-8", "surrogateescape"): self._to_lua(part) for name, part in fields.items()}
            )
        return value
