"""One run of each type checker over everything that is to be checked: they start slowly, and then are fast."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import attrs
import pytest

from tests.house.test_docs import DOCUMENTS
from tests.house.tree import ROOT, label
from tests.types.documents import programs

#: They are where the type checkers are: `nox -s types`.
collect_ignore = [] if find_spec("django") else ["test_frameworks.py"]

CASES = Path(__file__).with_name("cases")

#: What each checker prints of an error: file, line, message.
LINE = re.compile(r"(?P<file>[\w./-]+\.py):(?P<line>\d+)(?::\d+)?(?::| -) error: (?P<message>.*)")


@attrs.frozen
class Complaint:
    """An error of a type checker, at the place where people read or wrote the line."""

    source: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.message}"


Complaints = Callable[[str], list[Complaint]]


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder of modules, and the file that each of them is made of, line by line."""
    folder, sources = tmp_path_factory.mktemp("checked"), dict[str, str]()
    for name, (source, code) in _modules():
        (folder / name).write_text(code, encoding="utf-8")
        sources[name] = source
    return folder, sources


def _modules() -> Iterator[tuple[str, tuple[str, str]]]:
    for path in [*sorted((ROOT / "examples").rglob("*.py")), *sorted(CASES.glob("*.py"))]:
        yield path.name, (label(path), path.read_text(encoding="utf-8"))  # examples import each other
    for path in DOCUMENTS:
        for number, code in enumerate(programs(path.read_text(encoding="utf-8"))):
            yield f"{path.parent.name}_{path.stem}_{number}.py".replace("-", "_"), (label(path), code)


@pytest.fixture(scope="session", params=["mypy", "pyright"])
def complaints(request: pytest.FixtureRequest, everything: tuple[Path, dict[str, str]]) -> Complaints:
    """What a checker, as strict as it can be, says of one file."""
    folder, sources = everything
    if request.param == "mypy":
        command = ["mypy", "--strict", "--no-pretty", "--python-version=3.11", *sorted(sources)]
    else:
        settings = {"strict": ["."], "pythonVersion": "3.11"}
        (folder / "pyrightconfig.json").write_text(json.dumps(settings))
        command = ["pyright", "--pythonpath", sys.executable, "-p", "."]
    environment = {**os.environ, "MYPYPATH": "", "NO_COLOR": "1", "COLUMNS": "1000"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [
        Complaint(sources[Path(match["file"]).name], int(match["line"]), match["message"])
        for match in map(LINE.search, done.stdout.splitlines())
        if match is not None
    ]
    assert done.returncode == (1 if found else 0), done.stdout + done.stderr
    return lambda source: [each for each in found if each.source == source]
