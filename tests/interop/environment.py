"""The virtual environment in which the other implementation runs. It and ours have the same import name."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["peer_python"]

REQUIREMENTS = ("pydocket==0.27.0", "hiredis")


def peer_python() -> str:
    """The Python of an environment with pydocket, made once and used by every later run.

    Raises: subprocess.CalledProcessError - it could not be made; then the tests fail, they are never skipped.
    """
    seed = "\n".join((*REQUIREMENTS, sys.version, sys.prefix))
    name = f"docket-interop-{os.getuid()}-{hashlib.sha256(seed.encode()).hexdigest()[:12]}"
    home = Path(tempfile.gettempdir()) / name
    python = home / "bin" / "python"
    done = home / "complete"
    with open(f"{home}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes that start together make it once
        if not (done.exists() and python.exists()):
            shutil.rmtree(home, ignore_errors=True)
            pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
            venv = [sys.executable, "-m", "venv"]
            if uv := os.environ.get("UV"):  # takes seconds of a processor less
                pip = [uv, "pip", "install", "--python", str(python)]
                venv = [uv, "venv", "--quiet", "--python", sys.executable]
            subprocess.run([*venv, str(home)], check=True)
            subprocess.run([*pip, "--quiet", *REQUIREMENTS], check=True)
            done.touch()
    return str(python)
