"""Warns, once in a process, where pydocket is installed beside this: both own the package ``docket``.

Imported by the front door; and by worker/, since that is where a front door of pydocket's which was laid over ours
gets to. Nothing is imported for it, and little is read: this is paid for by every program that imports docket.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PydocketWarning"]

_CURE = (
    "Install one of them: `pip uninstall -y pydocket anydocket`, then `pip install anydocket`, and for programs that "
    "require pydocket the stand-in (`pip wheel --no-deps ./compat`); see docs/from-pydocket.md."
)


class PydocketWarning(UserWarning):
    """pydocket is installed beside this; the text names the cure."""


def _mixture(package: str) -> str | None:
    """What is wrong with the installation, if anything is; ``package`` is our folder."""
    if os.path.exists(os.path.join(package, "worker.py")):  # of pydocket; ours is a folder
        return f"Files of pydocket lie among those of anydocket in {package}."
    for folder in _folders(package):
        for name in _names(folder):
            if name.startswith("pydocket-") and name.endswith(".dist-info"):
                if _is_stand_in(os.path.join(folder, name)):
                    return None
                version = name.removeprefix("pydocket-").removesuffix(".dist-info")
                return f"pydocket {version} is installed beside anydocket, in {folder}."
    return None


def _folders(package: str) -> Iterator[str]:
    """Where distributions are installed, in the order in which Python looks for them, and where ours is.

    No others of the path: the folder of a script may have any number of files.
    """
    ours = os.path.dirname(package)
    for folder in sys.path:
        if folder == ours or folder.endswith(("site-packages", "dist-packages")):
            yield folder


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_stand_in(metadata: str) -> bool:
    try:
        with open(os.path.join(metadata, "METADATA"), encoding="utf-8", errors="replace") as text:
            return any(line.startswith("Requires-Dist: anydocket") for line in text)
    except OSError:  # it is just being removed
        return True


if (_found := _mixture(os.path.dirname(__file__))) is not None:
    import warnings

    warnings.warn(f"{_found} {_CURE}", PydocketWarning, stacklevel=3)
