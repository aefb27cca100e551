"""Code that was written for pydocket 0.27 finds every name that it imports, with the parameters that it gives."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VARIABLE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
LINE = re.compile(r"(?P<asynchronous>async )?(?P<name>[\w.]+)(?:\((?P<parameters>.*)\))?")


def surface() -> Iterator[tuple[str, str]]:
    """Module and line, for every line of surface.txt."""
    module = ""
    for line in Path(__file__).with_name("surface.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            module = line.strip("[]")
        elif line and not line.startswith("#"):
            yield module, line


def is_attribute(owner: type, name: str) -> bool:
    """Whether instances have it although the class does not."""
    annotated = {each for base in owner.__mro__ for each in vars(base).get("__annotations__", {})}
    return name in annotated or f"self.{name}" in inspect.getsource(owner)


def test_every_name_of_pydocket_s_is_there() -> None:
    lines = [*surface()]
    assert len(lines) > 300
    wrong: list[str] = []
    for module, line in lines:
        try:
            has(module, line)
        except (AssertionError, AttributeError, ImportError) as error:
            wrong.append(f"{module}: {line}: {error}")
    assert not wrong, "\n".join(wrong)


def has(module: str, line: str) -> None:
    match = LINE.fullmatch(line)
    assert match is not None
    *path, name = match["name"].split(".")
    owner: Any = importlib.import_module(module)
    for part in path:
        owner = getattr(owner, part)
    if not hasattr(owner, name):
        assert is_attribute(owner, name), f"{owner} has no {name}"
        return
    if match["parameters"] is not None:
        takes(getattr(owner, name), match["parameters"])
    if match["asynchronous"]:
        awaits(getattr(owner, name))


def takes(function: Any, wanted: str) -> None:
    """Check the parameters: the same names in the same order, optional where they were; there may be more."""
    have = inspect.signature(function).parameters
    if {each.kind for each in have.values()} >= VARIABLE:
        return
    named = [each.strip() for each in wanted.split(",") if each.strip() not in {"", "*", "/", "cls"}]
    names = [each.rstrip("=").lstrip("*") for each in named]
    assert [each for each in have if each in names] == names, f"{function}: {list(have)}"
    for each in named:
        if each.endswith("="):
            assert have[each[:-1]].default is not inspect.Parameter.empty, (
                f"{each[:-1]} is no longer optional"
            )
    added = [each for name, each in have.items() if name not in names and name != "self"]
    required = [each.name for each in added if each.default is each.empty and each.kind not in VARIABLE]
    assert not required, f"{function} requires {required}"


def awaits(function: Any) -> None:
    """Check that it is a coroutine function, or says that it returns something else that is asynchronous."""
    returned = str(inspect.signature(function).return_annotation)
    asynchronous = ("AsyncGenerator", "AsyncIterator", "AbstractAsyncContextManager")
    assert inspect.iscoroutinefunction(function) or returned.startswith(asynchronous), (
        f"{function} is not to be awaited"
    )
