"""The tests of FastMCP and Prefect, run once on pydocket and once on this, and compared test by test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import attrs

from tests.clients.environments import Environment, run

__all__ = ["FASTMCP", "PREFECT", "Comparison", "Program", "compare", "environments"]


@attrs.frozen
class Program:
    """A program, what its tests need beside it, where they come from and which of them are about tasks."""

    name: str
    version: str
    requirements: tuple[str, ...]
    tools: tuple[str, ...]
    tests: tuple[str, ...]
    sources: str
    """``sdist``, or the repository with the tests where the source distribution has none."""


FASTMCP = Program(
    name="fastmcp",
    version="4.1.4",  # the newest with a fastmcp-tasks of the same version that pydocket 0.27 is enough for
    requirements=("fastmcp[tasks]==4.1.4",),
    tools=(
        "dirty-equals", "fastapi", "inline-snapshot[dirty-equals]", "jsonschema", "opentelemetry-sdk", "psutil",
        "pytest", "pytest-asyncio", "pytest-env", "pytest-flakefinder", "pytest-retry", "pytest-timeout",
        "pytest-xdist",
    ),
    tests=("tests/tasks", "tests/cli/test_tasks.py", "tests/integration_tests/test_task_credentials.py"),
    sources="sdist",
)  # fmt: skip

PREFECT = Program(
    name="prefect",
    version="3.9.1",
    requirements=("prefect==3.9.1", "sqlalchemy[asyncio]<2.1", "aiosqlite<0.22"),  # as where its tests were written
    tools=(
        "ipython", "jinja2", "moto", "numpy", "opentelemetry-distro", "opentelemetry-exporter-otlp",
        "opentelemetry-instrumentation-logging", "opentelemetry-test-utils", "pytest>=9,<10",
        "pytest-asyncio>=1.1,<1.5", "pytest-env", "pytest-flakefinder", "pytest-timeout", "pytest-xdist", "pyyaml",
        "respx", "setuptools", "uv", "virtualenv", "watchfiles",
    ),
    tests=(
        "tests/server/services", "tests/server/api/test_docket_task_keys.py", "tests/server/api/test_server.py",
        "tests/events/server/actions/test_deleting_flow_run.py",
    ),
    sources="https://github.com/PrefectHQ/prefect",
)  # fmt: skip


@attrs.frozen
class Comparison:
    """How many tests passed on each, and those whose outcomes differ: name, on pydocket, on this."""

    pydocket: Counter[str]
    ours: Counter[str]
    differences: list[tuple[str, str, str]]


def environments(program: Program, work: Path, ours: Path, stand_in: Path) -> dict[str, Environment]:
    """Two environments with the same versions of everything, but for docket."""
    theirs = Environment.fresh(work / f"{program.name}-pydocket")
    theirs.install(*program.requirements, *program.tools, "pydocket==0.27.0")
    swapped = Environment.fresh(work / f"{program.name}-anydocket")
    pinned = work / f"{program.name}.txt"
    rest = [line for line in theirs.versions() if line and not line.startswith("pydocket==")]
    pinned.write_text("\n".join(rest))
    swapped.install("--no-deps", "-r", pinned)
    swapped.install(ours, stand_in, "-c", pinned)
    for env in (theirs, swapped):
        env.check()
    return {"pydocket": theirs, "anydocket": swapped}


def compare(program: Program, work: Path, on: dict[str, Environment], checkout: Path | None) -> Comparison:
    """Run its tests on both. ``checkout`` is a clone of its repository, for what its source distribution lacks."""
    folder = _tests_of(program, work, checkout)
    found = {
        name: _outcomes(program, folder, env, work / f"{program.name}-{name}.xml") for name, env in on.items()
    }
    theirs, ours = found["pydocket"], found["anydocket"]
    differences = [
        (test, theirs.get(test, "missing"), ours.get(test, "missing"))
        for test in sorted(theirs.keys() | ours.keys())
        if theirs.get(test) != ours.get(test)
    ]
    return Comparison(Counter(theirs.values()), Counter(ours.values()), differences)


def _tests_of(program: Program, work: Path, checkout: Path | None) -> Path:
    """A folder with its tests and settings of pytest, and no package of its own that could be imported instead."""
    folder = work / f"{program.name}-tests"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if program.sources == "sdist":
        pip = [sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--no-binary", ":all:"]
        run(*pip, "--dest", work, f"{program.name}=={program.version}")
        [packed] = work.glob(f"{program.name}-{program.version}.tar.gz")
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
        [whole] = folder.iterdir()
        for name in ("tests", "pyproject.toml", "examples", "docs"):
            shutil.move(whole / name, folder / name)
        shutil.rmtree(whole)
        return folder
    if checkout is None:
        checkout = work / f"{program.name}-repository"
        if not checkout.exists():
            clone = ["git", "clone", "--quiet", "--depth", "1", "--branch", program.version, program.sources]
            try:
                run(*clone, checkout)
            except RuntimeError as error:
                raise RuntimeError(f"{error}\nname a clone that you have: --{program.name} FOLDER") from None
    # Not the commit: a partial clone may lack what no test needs.
    archive = subprocess.run(
        ["git", "-C", checkout, "archive", "HEAD:tests"], stdout=subprocess.PIPE, check=True
    )
    (folder / "tests").mkdir()
    subprocess.run(["tar", "x", "-C", folder / "tests"], input=archive.stdout, check=True)
    (folder / "pyproject.toml").write_text(run("git", "-C", checkout, "show", "HEAD:pyproject.toml"))
    return folder


def _outcomes(program: Program, folder: Path, env: Environment, report: Path) -> dict[str, str]:
    """Each test with ``passed``, ``failed``, ``error`` or ``skipped``; those that fail at first have a second run."""
    found = _run(folder, env, program.tests, report)
    again = [test for test, outcome in found.items() if outcome in ("failed", "error")]
    if again and len(again) < len(found) // 4:  # races with time-outs of theirs, on a busy machine
        found |= _run(folder, env, program.tests, report, "-k", " or ".join({_last(test) for test in again}))
    return found


def _last(test: str) -> str:
    return test.rpartition("::")[2].partition("[")[0]


def _run(folder: Path, env: Environment, tests: Sequence[str], report: Path, *options: str) -> dict[str, str]:
    report.unlink(missing_ok=True)
    with open(report.with_suffix(".log"), "w") as log:
        subprocess.run(
            [
                env.python, "-m", "pytest", *tests, "-q", "-n", "2", "-p", "no:cacheprovider", "--timeout", "300",
                f"--junitxml={report}", *options,
            ],
            cwd=folder,
            env={**os.environ, "PATH": f"{env.home / 'bin'}{os.pathsep}{os.environ['PATH']}"},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
    if not report.exists():
        raise RuntimeError(f"pytest did not get so far: see {log.name}")
    cases = ElementTree.parse(report).iter("testcase")
    return {f"{case.get('classname')}::{case.get('name')}": _outcome(case) for case in cases}


def _outcome(case: ElementTree.Element) -> str:
    kinds = {child.tag for child in case}
    for kind, outcome in (("error", "error"), ("failure", "failed"), ("skipped", "skipped")):
        if kind in kinds:
            return outcome
    return "passed"
