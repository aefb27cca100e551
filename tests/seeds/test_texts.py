"""The examples are the code of the texts, whole and nothing else; and the command lines that they show are ours."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import attrs
import pytest

from docket.cli.app import docket_app
from tests.seeds.texts import code_of, examples, lines_of, looks_like_code, texts, tile

TEXTS = texts()


@pytest.fixture(params=TEXTS or [None], ids=[path.name.partition("_")[0] for path in TEXTS] or ["none"])
def text(request: pytest.FixtureRequest) -> str:
    path: Path | None = request.param
    if path is None:
        pytest.skip("the texts are not here: there is nothing to compare the examples with")
    return path.read_text(encoding="utf-8")


def without_commands(lines: list[str]) -> list[str]:
    """Without the commands for a shell and the comments on them."""
    told = re.sub(r"^(# .*\n)+docket .*\n(# .*\n)*", "", "\n".join([*lines, ""]), flags=re.MULTILINE)
    return told.splitlines()


def test_names_of_examples_are_unique() -> None:
    assert len({example.name for example in examples()}) == len(examples()) > 50


def test_the_fenced_code_of_a_text_is_examples_word_for_word(text: str) -> None:
    blocks = code_of(text)
    if blocks is None:
        pytest.skip("this text does not fence its code: test_no_code_of_a_text_is_missing looks at it")
    known = [lines_of(example.code, exact=False) for example in examples()]
    assert [block for block in blocks if block not in known] == []


def test_no_code_of_a_text_is_missing(text: str) -> None:
    found, left = tile(lines_of(text, exact=False), [lines_of(one.code, exact=False) for one in examples()])
    if code_of(text) is not None:
        pytest.skip("this text fences its code: the test above compares it")
    assert found
    assert [line for line in without_commands(left) if looks_like_code(line)] == []


def test_code_is_recognised_by_its_first_line_and_many_others() -> None:
    """Otherwise the comparison above would overlook what it should find."""
    for example in examples():
        block = lines_of(example.code, exact=False)
        seen = [line for line in block if looks_like_code(line)]
        assert looks_like_code(block[0]), block[0]
        assert len(seen) >= 0.3 * len(block), example.name


def test_every_example_is_in_a_text() -> None:
    if not TEXTS:
        pytest.skip("the texts are not here: there is nothing to compare the examples with")
    known = [lines_of(example.code, exact=False) for example in examples()]
    found = [
        block
        for path in TEXTS
        if not _is_diff(content := path.read_text(encoding="utf-8"))
        for block in tile(lines_of(content, exact=False), known)[0]
    ]
    assert [block for block in known if block not in found] == []


def test_examples_are_indented_as_the_text_is(text: str) -> None:
    """Of the texts that have kept their indentation; the others cannot tell."""
    if not any(re.match(r" {4}(await|async|print)", line) for line in text.splitlines()):
        pytest.skip("this text has lost its indentation")
    flat = [lines_of(example.code, exact=False) for example in examples()]
    there = tile(lines_of(text, exact=False), flat)[0]
    exact = [lines_of(example.code, exact=True) for example in examples()]
    kept = tile(lines_of(text, exact=True), exact)[0]
    assert [lines_of("\n".join(block), exact=False) for block in kept] == there


def _is_diff(text: str) -> bool:
    return text.count("\n|\n") > 100


COMMANDS = {
    "docket worker --tasks my_tasks:my_task_collection": {"tasks": ("my_tasks:my_task_collection",)},
    "docket watch --url redis://localhost:6379/0 --docket emails task-key-123": {
        "url": "redis://localhost:6379/0",
        "docket": "emails",
        "key": "task-key-123",
    },
}


@pytest.mark.parametrize(("line", "meant"), COMMANDS.items(), ids=["worker", "watch"])
def test_the_command_lines_are_understood(line: str, meant: dict[str, Any]) -> None:
    program, *tokens = shlex.split(line)
    assert program == "docket"
    _, bound, _ = docket_app().parse_args(tokens, exit_on_error=False, print_error=False)
    shared = (
        attrs.asdict(at, recurse=False) if (at := bound.arguments.get("at")) else {}
    )  # what all commands take
    understood = shared | {
        name: tuple(value) if isinstance(value, list) else value for name, value in bound.arguments.items()
    }
    assert understood.items() >= meant.items()


def test_the_command_lines_are_those_of_the_text(text: str) -> None:
    shown = {line.strip() for line in text.splitlines() if re.match(r" *docket (worker|watch) -", line)}
    assert shown <= set(COMMANDS)
