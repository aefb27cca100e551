"""What random commands are made of: a few keys, groups, members and ids, so that they meet each other."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

__all__ = ["FAR", "OLD_AGE", "Arguments", "Choices"]

OLD_AGE, FAR = 5_000_000, 1_000_000

Arguments = tuple[Any, ...]


class Choices:
    """Random picks; ``clock`` is the milliseconds of the latest stream id."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = 100

    def one(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def some(self, make: Callable[[], Any], least: int, most: int) -> list[Any]:
        return [make() for _ in range(self.random.randint(least, most))]

    def maybe(self, chance: float, *values: Any) -> tuple[Any, ...]:
        return values if self.random.random() < chance else ()

    def number(self) -> Any:
        return self.one(0, 1, 2, 3, 5, -1, -3, 10, 1.5, -2.25, 100, 0.1, 1795204147.425547)

    def integer(self) -> Any:
        return self.random.randint(-5, 9)

    def key(self) -> str:
        return self.one("st", "st2", "h", "h2", "z", "z2", "se", "se2", "k", "n", "l", "l2")

    def of(self, *usual: str) -> str:
        """A key of the right type, rarely any key."""
        return self.key() if self.random.random() < 0.02 else self.one(*usual)

    def stream(self) -> str:
        return self.of("st", "st", "st", "st2")

    def group(self) -> str:
        return self.one("g", "g", "g", "g", "g2", "none") if self.random.random() < 0.5 else "g"

    def consumer(self) -> str:
        return self.one("c1", "c2", "c3")

    def field(self) -> str:
        return self.one("a", "b", "c", "d", "count", "")

    def member(self) -> str:
        return self.one("a", "b", "c", "d", "e", "f", "aa", "")

    def value(self) -> Any:
        return self.one(
            "v", "w", "", "7", "3.5", "-1", b"\x80\x05\x00\r\n", "x" * 70, str(self.random.randint(0, 99))
        )

    def id(self) -> str:
        """An id that was given, most likely."""
        low = max(95, self.clock - self.one(5, 30, 100))
        return f"{self.random.randint(low, self.clock)}-{self.one(0, 0, 0, 1)}"

    def fresh(self) -> str:
        self.clock += self.one(0, 1, 1, 2)
        return f"{self.clock}-{self.one(0, 0, 1, '*', '*')}"

    def low(self) -> str:
        return self.one("-", "-", self.id(), f"({self.id()}", str(self.clock - 5), "0")

    def high(self) -> str:
        return self.one("+", "+", self.id(), f"({self.id()}", str(self.clock))

    def bound(self) -> Any:
        return self.one("-inf", "+inf", self.number(), f"({self.number()}", "0", "(2", 3)

    def idle(self) -> int:
        return self.one(0, 0, FAR)
