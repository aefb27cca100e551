"""Who is measured: a checkout or another task queue, each with the Python that runs its turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import attrs

from tests.bench.plan import PEERS, Run

__all__ = ["Contender", "Figures", "checkout", "peers"]

SCENARIOS = Path(__file__).parent / "scenarios"
LIMIT = 180  #: seconds of one turn

#: What a turn is not told: each keeps what it has compiled, as programs do, or what is imported is compiled each time.
UNTOLD = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}

Figures = dict[str, float]


@attrs.frozen(kw_only=True)
class Contender:
    name: str
    python: Path
    source: Path | None = None  #: a checkout; else what the Python has installed

    def tasks(self, run: Run) -> int:
        """How many it gets in this run; none if it has no part in it."""
        if self.source is not None:
            return run.n
        return {"pydocket": run.pydocket, "pydocket tuned": run.tuned}.get(self.name, run.others)

    def turn(self, run: Run, loop: str, url: str, n: int, words: str) -> Figures:
        """One turn of a run in a process of its own."""
        if self.source is None and not self.name.startswith("pydocket"):
            given = ["peers.py", self.name, "--concurrency", "50"]
        else:
            given = [f"{run.script}.py", *words.split(), "--loop", loop]
            given += ["--tuned"] if self.name == "pydocket tuned" else []
        given += ["--url", "memory://bench" if run.memory else url, "--n", str(n)]
        return self._ask(given)

    def _ask(self, given: list[str]) -> Figures:
        environment = {name: value for name, value in os.environ.items() if name not in UNTOLD}
        environment["PYTHONPYCACHEPREFIX"] = (
            tempfile.gettempdir() + "/docket-bench-compiled"
        )  # for both alike
        if self.source is not None:
            environment["PYTHONPATH"] = str(self.source)
        words = [str(self.python), str(SCENARIOS / given[0]), *given[1:]]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=LIMIT)
        for line in reversed(done.stdout.splitlines()):
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self.name}: {' '.join(given)}: {done.stderr[-600:]}")


def checkout(name: str, what: str, scratch: Path) -> Contender:
    """A directory, or a revision of this repository, whose package is put into ``scratch``."""
    source = Path(what)
    if not (source / "docket").is_dir():
        source = scratch / name
        source.mkdir()
        packed = subprocess.run(["git", "archive", what, "docket"], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", str(source)], input=packed, check=True)
    return Contender(name=name, python=Path(sys.executable), source=source.resolve())


def peers(names: list[str], cache: Path) -> list[Contender]:
    """The named task queues, in environments that are kept in ``cache``."""
    contenders: list[Contender] = []
    for name in names:
        python = cache / name / "bin" / "python"
        if not python.exists():
            venv.create(cache / name, with_pip=True)
            words = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PEERS[name]]
            subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
        contenders.append(Contender(name=name, python=python))
        if name == "pydocket":
            contenders.append(Contender(name="pydocket tuned", python=python))
    return contenders
