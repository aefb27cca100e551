"""Checks that what a command line names by ``module:name`` exists."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

from ..errors import UsageError

__all__ = ["check_paths"]


def check_paths(paths: Mapping[str, Sequence[str | None]]) -> None:
    """Check that all ``module:name`` paths exist, by the option that names them: later errors do not know the option.

    Modules are looked for in the working directory first.
    Raises: UsageError - a module or a name in it is missing. What a module of the user raises comes out as it
            is, also an ImportError of one of its own imports.
    """
    for option, given in paths.items():
        for path in given:
            if path is not None:
                _import(option, path)


def _import(option: str, path: str) -> None:
    module, _, member = path.partition(":")
    if module.partition(".")[0] != "docket" and os.getcwd() != sys.path[0]:
        sys.path.insert(
            0, os.getcwd()
        )  # only for modules of the user: the directory may hold files of others
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UsageError(f"{option} {path}: there is no module {error.name!r}") from None
    if not hasattr(found, member):
        raise UsageError(f"{option} {path}: module {module!r} has no {member!r}")
