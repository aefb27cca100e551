"""Virtual environments for the session: made by uv or by pip, with one of the two dockets in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import attrs

__all__ = ["NO_PYDOCKET", "Environment", "run", "wheels"]

REPOSITORY = Path(__file__).parents[2]

#: Says whose docket is imported, and under which version programs find pydocket; a warning is an error.
WHOSE = """
import importlib.metadata, docket
from docket import Docket, Worker
ours = hasattr(docket, "mixture")
print("anydocket" if ours else "pydocket", importlib.metadata.version("pydocket"))
"""

#: The requirement that keeps pydocket out of an environment although programs ask for it.
NO_PYDOCKET = "pydocket ; sys_platform == 'never'"


def run(*command: str | Path, cwd: Path | None = None, ok: bool = True, **environment: str) -> str:
    """What a command prints, both streams.

    Raises: RuntimeError - it failed although it was to succeed (``ok``), or the other way round.
    """
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if (ran.returncode == 0) is not ok:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {ran.returncode}:\n{ran.stdout}")
    return ran.stdout


def wheels(folder: Path, version: str = "0.27.0") -> tuple[Path, Path]:
    """A wheel of this repository, and one of the stand-in which claims ``version``."""
    for source in (REPOSITORY, REPOSITORY / "compat"):
        uv = ["uv", "build", "--quiet", "--wheel", "--out-dir"]
        run(*uv, folder, source, PYDOCKET_VERSION=version)
    [ours] = folder.glob("anydocket-*.whl")
    return ours, folder / f"pydocket-{version}-py3-none-any.whl"


@attrs.frozen
class Environment:
    """A virtual environment; ``by`` is ``"pip"`` or ``"uv"``."""

    home: Path
    by: str = "uv"

    @classmethod
    def fresh(cls, home: Path, by: str = "uv") -> Environment:
        shutil.rmtree(home, ignore_errors=True)
        seed = ["--seed"] if by == "pip" else []
        run("uv", "venv", "--quiet", "--python", sys.executable, *seed, home)
        return cls(home, by)

    @property
    def python(self) -> Path:
        return self.home / "bin" / "python"

    def program(self, command: str, *arguments: str | Path, ok: bool = True) -> str:
        """``pip`` or ``uv pip``, and what it is to do."""
        if self.by == "pip":
            return run(self.python, "-m", "pip", "--quiet", command, *arguments, ok=ok)
        return run("uv", "pip", command, "--quiet", "--python", self.python, *arguments, ok=ok)

    def install(self, *requirements: str | Path) -> None:
        self.program("install", *requirements)

    def uninstall(self, *names: str) -> None:
        self.program("uninstall", *(["-y"] if self.by == "pip" else []), *names)

    def check(self) -> None:
        """Raise RuntimeError unless every requirement of every package is met."""
        self.program("check")

    def whose(self) -> str:
        """Whose docket is imported and the version that pydocket seems to have; nothing is warned of."""
        return run(self.python, "-P", "-W", "error", "-c", WHOSE).strip()

    def warning(self, ok: bool = True) -> str:
        """What an import of docket warns of; ``ok`` is whether the import succeeds."""
        text = run(self.python, "-P", "-W", "always", "-c", "from docket import Docket, Worker", ok=ok)
        return next((line for line in text.splitlines() if "PydocketWarning" in line), "")

    def versions(self) -> list[str]:
        """``name==version`` of everything that is installed."""
        return run("uv", "pip", "freeze", "--quiet", "--python", self.python).split("\n")
