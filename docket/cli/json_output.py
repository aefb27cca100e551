"""``--json``: what a command says, as one JSON document."""

from __future__ import annotations

from json import dumps
from typing import Annotated

from cyclopts import Parameter

from ..documents import document

__all__ = ["Json", "print_json"]

Json = Annotated[bool, Parameter(name="--json", negative=())]


def print_json(docket: str, **parts: object) -> None:
    """Print one document about a docket; see `document`."""
    print(dumps(document(docket, **parts)))
