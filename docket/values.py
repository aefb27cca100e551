"""`hot_value`: the class decorator of values of which every task makes some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

__all__ = ["hot_value"]

if TYPE_CHECKING:
    from attrs import frozen as hot_value
else:

    def hot_value(cls: type | None = None, **options: Any) -> Any:
        """``attrs.frozen`` to the type checker, which refuses to change one; at run time only as equal and hashable.

        That a class refuses by itself costs up to a microsecond per instance: its ``__init__`` is refused, too, and
        goes round about.
        """
        return attrs.define(cls, unsafe_hash=True, **options)
