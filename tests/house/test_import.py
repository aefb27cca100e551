"""``import docket`` is light: the heavy parts load when somebody uses them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.house.tree import label, parsed, sources
from tests.where import slow

#: Top-level packages that no import of docket loads.
HEAVY = {
    "cyclopts",
    "rich",
    "lupa",
    "trio",
    "uvloop",
    "opentelemetry",
    "prometheus_client",
    "pytest",
    "unittest.mock",
}

#: What is imported with the names of docket, not with docket: of the standard library what costs most.
WITH_A_NAME = HEAVY | {
    "anyio",
    "asyncio",
    "attr",
    "cloudpickle",
    "collections",
    "hiredis",
    "importlib",
    "inspect",
    "logging",
    "re",
    "redis",
    "typing",
    "warnings",
}

BASE = "import anyio, redis"


#: What a first result has no need of: it is loaded when it is used.
NOT_FOR_A_RESULT = {"redis", "opentelemetry", "cyclopts", "rich"}


def evaluated(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def cost(statement: str) -> float:
    """Seconds of processor time that a fresh interpreter spends on a statement; the best of several."""
    code = f"import time; a = time.process_time(); {statement}; print(time.process_time() - a)"
    return min(float(evaluated(code)) for _ in range(5))


def loaded(statement: str) -> set[str]:
    return set(evaluated(f"{statement}; import sys; print(*sorted(sys.modules))").split())


def test_importing_docket_costs_less_than_a_tenth_of_a_second() -> None:
    """Beyond anyio and redis, which every user of docket loads anyway."""
    assert cost(f"{BASE}; import docket") - cost(BASE) < 0.1


def test_importing_docket_alone_loads_no_more_than_its_front_door() -> None:
    new = loaded("import docket") - loaded("pass")
    assert not new & WITH_A_NAME
    assert {name for name in new if name.startswith("docket")} == {"docket", "docket.mixture"}


def test_a_name_of_docket_may_be_used_first_by_several_threads_at_once() -> None:
    """Each gets the same object, and none a half-made module."""
    code = """
import sys, threading
import docket
sys.setswitchinterval(1e-6)
names, together = [name for name in docket.__all__ if name != "testing"], threading.Barrier(8)
found, errors = [], []
def look(names):
    together.wait()
    try:
        found.append({name: getattr(docket, name) for name in names})
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=look, args=(names[at * 4 :] + names[: at * 4],)) for at in range(8)]
for each in threads: each.start()
for each in threads: each.join()
print(errors, len(found), all(one == found[0] for one in found))
"""
    assert evaluated(code) == "[] 8 True"


@pytest.mark.parametrize("module", ["docket", "docket.testing", "docket.cli"])
def test_importing_a_room_loads_nothing_heavy(module: str) -> None:
    assert not (loaded(f"{BASE}; import {module}") - loaded(BASE)) & HEAVY


def test_what_docket_exports_is_there() -> None:
    missing = evaluated(
        "import docket; print(*[n for n in getattr(docket, '__all__', ()) if not hasattr(docket, n)])"
    )
    assert not missing


WORKS_ON = """
import sys
import anyio
from docket import Docket, Worker
from docket.worker import session

session.LOADS_AFTER = 0.0

async def main():
    async with Docket(url="memory://") as docket, Worker(docket) as worker, anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        while not {{"redis.exceptions", "docket.transport.fault_classes"}} <= sys.modules.keys():
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    print("loaded")

anyio.run(main, backend="{backend}")
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_worker_that_goes_on_loads_what_the_first_error_needs(backend: str) -> None:
    """In an outage there may be no file descriptor left to import it with."""
    assert evaluated(WORKS_ON.format(backend=backend)) == "loaded"


CLIENTS = """
import anyio
from docket import Docket

async def main():
    async with Docket(url="memory://") as docket, docket.redis() as client:
        from redis.commands import AsyncCoreCommands
        print(isinstance(client, AsyncCoreCommands), hasattr(type(client), "hget"), "hget" in dir(client))

anyio.run(main)
"""


def test_a_client_has_the_methods_of_redis_py_before_one_is_called() -> None:
    assert evaluated(CLIENTS) == "True True True"


@slow
def test_a_first_result_loads_no_more_than_it_needs(redis_url: str) -> None:
    first = f"{ADDS_AND_WORKS.format(url=redis_url)}\nimport sys; print(*sys.modules)"
    loaded = [NOT_FOR_A_RESULT & set(evaluated(first).split()) for _ in range(4)]
    assert set() in loaded, (
        loaded
    )  # not at once: the server does not know the scripts, and a worker that ends may cut one short


FAILS = """
import sys
import anyio
from docket import Docket

async def task():
    pass

async def main():
    async with Docket(url="redis://127.0.0.1:1?socket_connect_timeout=0.1") as docket:
        try:
            await docket.add(task)()
        except Exception as error:
            assert "redis" in sys.modules
            import redis
            print(isinstance(error, redis.exceptions.ConnectionError), isinstance(error, redis.ConnectionError))

assert "redis" not in sys.modules
anyio.run(main)
"""


def test_an_error_of_the_server_is_one_of_redis_py_also_where_nobody_had_loaded_it() -> None:
    assert evaluated(FAILS) == "True True"


def test_errors_that_may_not_be_loaded_are_looked_up_where_they_are_used() -> None:
    """What a module keeps as it is imported would be a stand-in for ever, which matches no error."""
    doors = {"redis_errors", "faults", "unreadable"}
    kept = [
        f"{label(path)}:{node.lineno}"
        for path in sources()
        for node in outside_of_functions(parsed(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in doors
    ]
    assert not kept


#: What only a program that uses redis-py anyway loads, or one that has met an error.
WITH_REDIS_PY = (
    "cli/",
    "web/",
    "transport/cluster/",
    "transport/sentinel",
    "transport/pipeline",
    "transport/lock",
    "transport/fault_classes",
    "store/unreadable_key",
)


def test_redis_py_is_imported_only_by_what_is_loaded_for_it() -> None:
    """Elsewhere its errors are names of `docket.standins.redis_errors`."""
    wrong = [
        f"{label(path)}:{node.lineno}"
        for path in sources()
        if not label(path).removeprefix("docket/").startswith(WITH_REDIS_PY)
        for node in parsed(path).body
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "redis"
    ]
    assert not wrong


def outside_of_functions(node: ast.AST) -> Iterator[ast.AST]:
    """What is evaluated as a module is imported."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            if isinstance(child, ast.AnnAssign):  # annotations are never evaluated
                yield from outside_of_functions(child.value or ast.Module([], []))
            else:
                yield from outside_of_functions(child)


#: As where these packages are not installed.
MINIMAL = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
missing = {"cyclopts", "rich", "lupa"}
PathFinder.find_spec = lambda name, *more: None if name.partition(".")[0] in missing else found(name, *more)
"""

ADDS_AND_WORKS = """
import anyio
from docket import Docket, Worker

async def double(number):
    return 2 * number

async def main():
    async with Docket(url={url!r}) as docket:
        execution = await docket.add(double)(21)
        await Worker(docket).run_until_finished()
        print(await execution.get_result())

anyio.run(main)
"""


def run_minimal(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MINIMAL + code, *arguments], capture_output=True, text=True, check=False
    )


@slow
def test_a_minimal_install_adds_and_works(redis_url: str) -> None:
    done = run_minimal(ADDS_AND_WORKS.format(url=redis_url))
    assert (done.stdout, done.stderr) == ("42\n", "")


@slow
def test_a_minimal_install_says_what_memory_needs() -> None:
    done = run_minimal(ADDS_AND_WORKS.format(url="memory://"))
    assert "ModuleNotFoundError: memory:// needs lupa; pip install 'anydocket[memory]'" in done.stderr


@slow
@pytest.mark.parametrize(("main", "name"), [("main", "docket"), ("worker_main", "docket-worker")])
def test_a_minimal_install_says_what_the_command_line_needs(main: str, name: str) -> None:
    done = run_minimal(f"import docket.cli; docket.cli.{main}()", "--help")
    assert done.returncode == 1
    assert done.stderr == f"{name}: the command line needs cyclopts; pip install 'anydocket[cli]'\n"
