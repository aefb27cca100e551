"""What a command line names by ``module:name``: whether it is there."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

from ..errors import UsageError

__all__ = ["check_places"]


def check_places(places: Mapping[str, Sequence[str | None]]) -> None:
    """See that everything the command line names is there, while that can be told by the option's name.

    Modules are looked for in the working directory first.
    Raises: UsageError - a module or a name in it is missing. What a module of the user raises comes out as it
            is, an ImportError of something that it needs included.
    """
    for named, members in places.items():
        for place in members:
            if place is not None:
                _import(named, place)


def _import(named: str, place: str) -> None:
    module, _, member = place.partition(":")
    if module.partition(".")[0] != "docket" and os.getcwd() != sys.path[0]:
        sys.path.insert(0, os.getcwd())  # not where nothing of the user's is named: whose files lie there?
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UsageError(f"{named} {place}: there is no module {error.name!r}") from None
    if not hasattr(found, member):
        raise UsageError(f"{named} {place}: module {module!r} has no {member!r}")
