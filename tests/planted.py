"""What anybody with write access could leave on a docket: pickles that tell where they were opened."""

from __future__ import annotations

from typing import Any

__all__ = ["Planted", "opened"]

#: What was unpickled in this process.
opened: list[str] = []


def note(name: str) -> str:
    opened.append(name)
    return name


class Planted:
    """Its pickle calls a function of the test when it is opened."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Planted) and other.name == self.name

    def __reduce__(self) -> Any:
        return note, (self.name,)
