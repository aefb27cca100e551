"""What is known of functions, kept no longer than they live."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any, Generic, TypeVar

__all__ = ["PerFunction"]

V = TypeVar("V")


class PerFunction(Generic[V]):
    """What is known of functions, each for as long as the function lives.

    A bound method is made anew at each access, so what is known of one is known of every method of its function,
    whatever it is bound to, and that object is not kept. A callable without weak references is not remembered.
    May be used in any thread. What is kept must not refer to its function, which would then live as long as this.
    """

    # Twice as fast as a WeakKeyDictionary, which makes a reference to ask with: each run asks several times.
    __slots__ = ("__weakref__", "_functions", "_methods")

    def __init__(self) -> None:
        self._functions: dict[int, tuple[weakref.ref[Any], V]] = {}
        self._methods: dict[int, tuple[weakref.ref[Any], V]] = {}

    def __len__(self) -> int:
        return len(self._functions) + len(self._methods)

    def get(self, function: Callable[..., Any]) -> V | None:
        """What is known of ``function``; None where that is nothing."""
        if isinstance(function, MethodType):
            known = self._methods.get(id(function.__func__))
        else:
            known = self._functions.get(id(function))
        return None if known is None else known[1]

    def __setitem__(self, function: Callable[..., Any], value: V) -> None:
        whose, entries = function, self._functions
        if isinstance(function, MethodType):
            whose, entries = function.__func__, self._methods
        number, ours = id(whose), weakref.ref(self)

        def forget(_: object) -> None:  # is called before another object can get the number
            if (we := ours()) is not None:
                we._forget(number)

        try:
            entries[number] = (weakref.ref(whose, forget), value)
        except TypeError:  # an instance of a class with slots
            return

    def discard(self, function: Callable[..., Any]) -> None:
        """Know nothing of ``function`` any more."""
        if isinstance(function, MethodType):
            self._methods.pop(id(function.__func__), None)
        else:
            self._functions.pop(id(function), None)

    def _forget(self, number: int) -> None:
        self._functions.pop(number, None)
        self._methods.pop(number, None)
