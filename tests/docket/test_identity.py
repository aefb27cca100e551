"""A task is known by its name alone: a name stands for one function, and no other takes its place silently."""

from __future__ import annotations

import functools
import importlib
import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from docket import Agenda, Docket, Worker
from docket.errors import UsageError
from tests.docket.conftest import work
from tests.where import one_loop

pytestmark = [pytest.mark.anyio, one_loop]

PROCESS = "async def process(): pass\nasync def other(): pass\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], ModuleType]:
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, source: str) -> ModuleType:
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return make


@pytest.fixture
def known() -> Docket:
    return Docket("d", "memory://")


Make = Callable[[str, str], ModuleType]


def closure(value: object) -> Any:
    async def process() -> object:
        return value

    return process


class Service:
    async def process(self) -> None: ...


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("how", ["register", "names", "add", "call", "collection", "names of a collection"])
def test_another_function_under_a_taken_name_is_refused(known: Docket, module: Make, how: str) -> None:
    billing, mail = module("billing", PROCESS), module("mail", PROCESS + "tasks = [other, process]")
    known.register(billing.process)
    attempts: dict[str, Callable[[], Any]] = {
        "register": lambda: known.register(mail.process),
        "names": lambda: known.register(mail.other, names=["fine", "process"]),
        "add": lambda: known.add(mail.process),
        "call": lambda: known.call(mail.process),
        "collection": lambda: known.register_collection("mail:tasks"),
        "names of a collection": lambda: known.register_collection("mail:tasks", {"other": ["process"]}),
    }
    with pytest.raises(
        UsageError, match=r"'process' of mail\.(process|other) is taken by billing\.process"
    ) as caught:
        attempts[how]()
    assert "names=['mail." in str(caught.value)
    assert known.tasks["process"] is billing.process
    assert "fine" not in known.tasks


async def test_an_agenda_does_not_replace_a_task(docket: Docket, module: Make) -> None:
    billing, mail = module("billing", PROCESS), module("mail", PROCESS)
    agenda = Agenda()
    agenda.add(billing.process)()
    agenda.add(mail.process)()
    with pytest.raises(UsageError, match=r"mail\.process is taken by billing\.process"):
        await agenda.scatter(docket, timedelta(minutes=1))


async def test_a_worker_does_not_replace_a_task(module: Make) -> None:
    module("billing", PROCESS + "tasks = [process]")
    module("mail", PROCESS + "tasks = [process]")
    with pytest.raises(UsageError, match=r"mail\.process is taken by billing\.process"):
        await Worker.run(url="memory://", tasks=["billing:tasks", "mail:tasks"], until_finished=True)


def test_a_command_with_two_collections_does_not_replace_a_task(module: Make, tmp_path: Path) -> None:
    module("billing", PROCESS + "tasks = [process]")
    module("mail", PROCESS + "tasks = [process]")
    command = [sys.executable, "-m", "docket", "worker", "--url", "memory://", "--until-finished"]
    ended = subprocess.run(
        [*command, "--tasks", "billing:tasks", "--tasks", "mail:tasks"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "mail.process is taken by billing.process" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.loops("asyncio", "trio")
async def test_functions_of_one_name_run_by_other_names(docket: Docket, module: Make) -> None:
    ran: list[str] = []
    for name in "billing", "mail":
        one = module(name, "ran = []\nasync def process(): ran.append(__name__)\n")
        one.ran = ran
        docket.register(one.process, names=[f"{name}.process"])
        execution = await docket.add(one.process)()
        assert execution.function_name == f"{name}.process"
    await work(docket)
    assert sorted(ran) == ["billing", "mail"]


def test_a_function_goes_by_its_own_name_where_it_has_several(known: Docket, module: Make) -> None:
    one = module("billing", PROCESS)
    known.register(one.process, names=["old", "process"])
    assert known.call(one.process)().function_name == "process"
    known.register(one.other, names=["older", "oldest"])
    assert known.call(one.other)().function_name == "older"
    assert "other" not in known.tasks


def test_a_module_that_is_loaded_again_replaces_its_tasks_quietly(
    known: Docket, module: Make, caplog: pytest.LogCaptureFixture
) -> None:
    source = (
        "import functools\nasync def process(): pass\nasync def pair(a, b): pass\n"
        "def decorated(f):\n    @functools.wraps(f)\n"
        "    async def wrapper(*a): return await f(*a)\n    return wrapper\n"
        "@decorated\nasync def dressed(): pass\n"
        "partial = functools.update_wrapper(functools.partial(pair, 1), pair)\n"
        "class Owner:\n    @staticmethod\n    async def static(): pass\n"
    )

    def load() -> list[Any]:
        one = module("billing", source)
        return [one.process, one.dressed, one.partial, one.Owner.static]

    for _ in range(2):
        for function in load():
            known.register(function)
    for function in (newest := load()):
        known.add(function)
    assert all(function in known.tasks.values() for function in newest)
    assert not said(caplog)


def test_a_closure_over_other_values_is_warned_of_once(
    known: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    for value in "abc":
        known.register(closure(value))
    (warning,) = said(caplog)
    assert "task 'process' stands for another tests.docket.test_identity.closure.<locals>.process" in warning
    assert "names=[...]" in warning


async def process(a: int = 0, b: int = 0) -> None: ...


def partial(number: int) -> Any:
    return functools.update_wrapper(functools.partial(process, number), process)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Service().process, Service().process),
        (partial(1), partial(2)),
        (process, partial(1)),
        (lambda: 1, lambda: 2),
    ],
    ids=["methods", "partials", "a function and its partial", "lambdas"],
)
def test_what_is_made_of_other_values_is_warned_of(
    one: Any, other: Any, known: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    known.register(one)
    known.register(one)
    assert not said(caplog)
    known.register(other)
    assert len(said(caplog)) == 1


def test_closures_over_the_same_values_are_one_task(known: Docket, caplog: pytest.LogCaptureFixture) -> None:
    def local(shared: object = caplog) -> Any:
        async def process(depth: int = 0) -> None:
            print(shared, process)  # itself, too

        return process

    for _ in range(3):
        known.register(closure("same"))
    other = Docket("other", "memory://")
    for _ in range(3):
        other.register(local())
    assert not said(caplog)


def test_closures_that_are_given_names_replace_each_other_quietly(
    known: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    """FastMCP makes a closure of one qualified name for each of its tools, and may register them again."""
    for _ in range(2):
        for tool in "ab":
            known.register(closure(tool), names=[f"tool:{tool}"])
    assert not said(caplog)


def test_a_task_of_the_user_s_may_have_the_name_of_a_standard_one(known: Docket) -> None:
    async def fail() -> None: ...

    known.register(fail)
    assert known.tasks["fail"] is fail


def test_what_is_replaced_on_purpose_is_set(known: Docket, module: Make) -> None:
    one = module("billing", PROCESS)
    known.register(one.process)
    known.tasks["process"] = process
    known.register(process)
    assert known.tasks["process"] is process


def test_a_script_and_the_module_that_a_worker_imports_of_it_are_one(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from docket import Docket\n"
        "async def process(): pass\n"
        "tasks = [process]\n"
        "if __name__ == '__main__':\n"
        "    docket = Docket('d', 'memory://')\n"
        "    docket.register_collection('app:tasks')\n"
        "    docket.register(process)\n"
        "    print(docket.tasks['process'].__module__, docket.call(process)().function_name)\n"
    )
    for script in (["app.py"], ["-m", "app"]):
        ended = subprocess.run(
            [sys.executable, *script],
            cwd=tmp_path,
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stdout == "__main__ process\n", ended.stderr
        assert not ended.stderr


def test_a_collection_may_name_its_functions(known: Docket, module: Make) -> None:
    one = module(
        "billing", PROCESS + "tasks = {'new': process, 'old': process, 'other': other}\nmore = [other]\n"
    )
    known.register_collection("billing:tasks")
    assert known.tasks["new"] is known.tasks["old"] is one.process
    assert "process" not in known.tasks
    known.register_collection("billing:more", names={"other": ["first", "second"]})
    assert known.tasks["first"] is known.tasks["second"] is one.other
    with pytest.raises(UsageError, match="names= is about 'nope'"):
        known.register_collection("billing:more", names={"nope": ["x"]})
