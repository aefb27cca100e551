"""What anybody with write access may leave on a docket: no command runs it, and none lets it draw on the terminal."""

from __future__ import annotations

import json
import logging
import os
import pickle
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import pytest
import redis

from docket import Logged
from docket.cli import logs
from docket.cli.app import docket_app, run
from tests.cli.office import BIN
from tests.planted import Planted, opened
from tests.where import slow

pytestmark = slow

#: What a terminal would obey: a colour, a cleared screen, another line, a bell, text that runs backwards.
NASTY = "\x1b[31mred\x1b[2J\r\nforged  line\x07\u202e\x9b31m"
ESCAPED = r"\x1b[31mred\x1b[2J\r\nforged  line\x07\u202e\x9b31m"
#: All that there may be of a control character in what a command writes.
RAW = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")

PLANTED = {"args": pickle.dumps((Planted("args"),)), "kwargs": pickle.dumps({NASTY: Planted("kwargs")})}
WHEN = "2026-01-01T00:00:00+00:00"


async def known(a: Annotated[object, Logged], b: object = None) -> None: ...


tasks = [known]


def message(key: str, **fields: str | bytes) -> dict[str, str | bytes]:
    return {
        "key": key,
        "when": WHEN,
        "function": f"task{NASTY}",
        **PLANTED,
        "attempt": "1",
        "generation": "1",
        **fields,
    }


def plant(url: str) -> None:
    """Something of everything, wherever a command may look."""
    with redis.Redis.from_url(url) as client:
        client.xgroup_create("docket:stream", "docket-workers", "0-0", mkstream=True)
        client.xadd("docket:stream", message(f"runs{NASTY}"))
        client.xreadgroup("docket-workers", f"worker{NASTY}", {"docket:stream": ">"})
        client.hset(f"docket:runs:runs{NASTY}", "started_at", WHEN)
        client.xadd("docket:stream", message(f"waits{NASTY}"))
        client.zadd("docket:queue", {f"later{NASTY}": 4e9})
        client.hset(f"docket:later{NASTY}", mapping=message(f"later{NASTY}"))
        client.sadd("docket:waiting", "docket:concurrency:x")
        client.xadd("docket:concurrency:x:waiters", message(f"parked{NASTY}"))
        client.zadd("docket:workers", {f"worker{NASTY}": 4e9})
        client.zadd("docket:task-workers:trace", {f"worker{NASTY}": 4e9})
        client.sadd(f"docket:worker-tasks:worker{NASTY}", f"task{NASTY}", "x" * 1000)
        strike: dict[str, str | bytes] = {
            "direction": "strike", "operator": "==", "value": pickle.dumps(Planted("x")),
        }  # fmt: skip
        for parameter in "message", "seconds":
            client.xadd("docket:strikes", {**strike, "parameter": parameter})
        client.xadd("docket:strikes", {**strike, "direction": NASTY, "operator": NASTY})
        nasty = {"function": NASTY, "parameter": NASTY, "value": pickle.dumps(NASTY)}
        client.xadd("docket:strikes", {**strike, **nasty})
        ended: dict[str, str | bytes] = {
            **PLANTED, "function": f"task{NASTY}", "when": "1", "generation": "1", "worker": f"worker{NASTY}",
            "state": "failed", "error": f"Error: {NASTY}", "completed_at": WHEN, "result_key": "k:1",
        }  # fmt: skip
        client.hset("docket:runs:k1", mapping=ended)
        client.hset(
            "docket:progress:k1", mapping={"current": 3, "total": 5, "message": NASTY, "updated_at": WHEN}
        )
        recurs = json.dumps({"cron": NASTY, "tz": NASTY, "automatic": True})
        described = json.dumps({"signature": NASTY, "doc": NASTY, "limits": [NASTY]})
        client.zadd("docket:ops:seen", {f"task{NASTY}": 4e12})
        client.hset("docket:ops:tasks", f"task{NASTY}", described)
        client.hset("docket:ops:recurrences", f"task{NASTY}", recurs)
        client.zadd(f"docket:ops:chains:task{NASTY}", {"k1": 4e12, f"gone{NASTY}": 4e12})
        client.set("docket:results:k:1", json.dumps({"data": "gAVLKi4="}))
        client.hset(
            "docket:runs:known", mapping={**ended, "function": "known", "kwargs": pickle.dumps({"b": 1})}
        )


@pytest.fixture
def hostile(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    plant(redis_url)
    monkeypatch.setenv("DOCKET_URL", redis_url)
    opened.clear()
    yield redis_url
    assert opened == []


#: Every command that looks at a docket, and what it ends with.
EVERY = [
    (["strike", "trace"], 0),
    (["restore", "trace"], 1),
    (["strike", NASTY], 1),
    (["strike", NASTY, "--force"], 0),
    (["strike", "trace", "message", "==", NASTY], 0),
    (["strike", "trace", NASTY, "~", NASTY], 2),
    (["clear"], 0),
    (["tasks", "trace", NASTY], 0),
    (["tasks", "fail", NASTY], 0),
    (["tasks", "sleep"], 0),
    (["tasks", "sleep", NASTY], 2),
    (["snapshot", "--stats"], 0),
    (["snapshot", "--stats", "--tasks", "tests.cli.test_hostile:tasks"], 0),
    (["snapshot", "--docket", NASTY], 1),
    (["watch", "k1"], 0),
    (["watch", "known", "--tasks", "tests.cli.test_hostile:tasks"], 0),
    (["watch", NASTY], 1),
    (["watch", "k1", "--json"], 0),
    (["snapshot", "--json", "--stats"], 0),
    (["show", "k1"], 0),
    (["schedules"], 0),
    (["schedules", "--json"], 0),
    (["schedules", "--limit", "1"], 0),
    (["tasks", "ls"], 0),
    (["tasks", "ls", "--json"], 0),
    (["workers", "ls"], 0),
    (["workers", "for-task", "trace"], 0),
    (["workers", "for-task", NASTY], 1),
    ([NASTY], 2),
]
EVERY_COMMAND = pytest.mark.parametrize(
    ("tokens", "status"), EVERY, ids=[" ".join(t.replace(NASTY, "NASTY") for t in tokens) for tokens, _ in EVERY]
)  # fmt: skip


@EVERY_COMMAND
def test_a_command_runs_nothing_and_writes_plain_lines(
    hostile: str, tokens: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(docket_app(), tokens) == status
    out, err = capsys.readouterr()
    assert not RAW.search(out + err)
    assert "forged  line\n" not in out
    assert err.count("\n") == (1 if status else 0)


@EVERY_COMMAND
def test_nor_does_it_at_a_terminal(
    hostile: str,
    tokens: list[str],
    status: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where rich draws tables and pictures, only its own sequences arrive."""
    terminal, other_end = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # how a terminal says that its last writer has gone
            while part := os.read(terminal, 4096):
                seen.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    with open(other_end, "w", encoding="utf-8") as drawn, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", drawn)
        patched.setattr("rich._console", None)  # it keeps what it has found out about a terminal
        assert run(docket_app(), tokens) == status
    reader.join()
    os.close(terminal)
    for hostile_bytes in b"\x1b[31mred", b"\x1b[2J", b"\x07", "\u202e".encode(), "\x9b".encode():
        assert hostile_bytes not in b"".join(seen)
    assert not RAW.search(capsys.readouterr().err)


def test_rows_stay_rows(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(docket_app(), ["snapshot"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "1 worker, 1/4 running"
    assert [line.count(ESCAPED) for line in lines[4:]] == [3, 2, 2, 2]
    assert run(docket_app(), ["workers", "ls"]) == 0
    _, headers, row = capsys.readouterr().out.splitlines()
    assert len(headers) < 200
    assert row.startswith(f"worker{ESCAPED}  ")


def test_what_is_logged_of_a_known_task_is_shown_if_it_is_plain(
    hostile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with redis.Redis.from_url(hostile) as client:
        client.hset("docket:runs:known", "args", pickle.dumps((NASTY, Planted("b"))))
    shown: list[str] = []
    for options in [], ["--tasks", "tests.cli.test_hostile:tasks"]:
        assert run(docket_app(), ["watch", "known", *options]) == 0
        shown.append(capsys.readouterr().out.splitlines()[0])
    assert shown == [
        "known(...){known} on docket 'docket'",
        f"known('{ESCAPED}', ..., b=...){{known}} on docket 'docket'",
    ]


def test_a_collection_that_is_named_by_nobody_is_not_looked_for_where_the_shell_stands(
    hostile: str, tmp_path: Path
) -> None:
    """A working directory may be anybody's, /tmp for one."""
    for name in "rich", "redis", "lupa", "trio", "json":
        (tmp_path / f"{name}.py").write_text("import os; os._exit(9)")
    for command in ["snapshot"], ["watch", "k1"], ["tasks", "trace"], ["workers", "ls"]:
        done = subprocess.run([BIN / "docket", *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0
        assert not RAW.search(done.stderr)  # what of the strikes cannot be read


def test_a_terminal_that_knows_few_letters_ends_nothing(hostile: str) -> None:
    with redis.Redis.from_url(hostile) as client:
        client.xadd("docket:stream", message("schlüssel"))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run([BIN / "docket", "snapshot"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"schl\xfcssel" in done.stdout


class Silent:
    def __repr__(self) -> str:
        raise SystemExit(3)


def say() -> None:
    """What a worker may log of what others chose."""
    logging.getLogger("docket.worker").info("↪ task(...){%s}", f"k{NASTY}")
    logging.getLogger("docket.worker").info("two\nlines of %s", "our\town")
    logging.getLogger(f"docket.task.{NASTY}").info("of nobody")
    logging.getLogger("docket.task.trace").info("%s\nsecond line", NASTY)
    try:
        raise ValueError(NASTY + "\udcff")
    except ValueError:
        logging.getLogger("docket.worker").exception("↩ %s", NASTY)
    logging.getLogger("mine").info("\x1b[32mgreen\x1b[0m \udcff")


@pytest.mark.parametrize("style", ["plain", "rich"])
def test_the_log_of_a_worker_leaves_the_terminal_alone(
    style: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    logs.configure("INFO", style)
    say()
    out, err = capsys.readouterr()
    assert err == ""
    ours, colours, theirs = out.partition("\x1b[32mgreen\x1b[0m")
    assert colours  # of a program's own loggers
    assert r"\udcff" in theirs
    assert not RAW.search(ours.replace("\x1b[0m", ""))
    assert f"{{k{ESCAPED}}}" in ours
    for second in "second line", "lines of our    own":
        assert any(line.strip().startswith(second) for line in ours.splitlines())
    assert "Traceback" in ours


def test_json_stays_json_whatever_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", "json")
    say()
    loop: list[Any] = []
    loop.append(loop)
    deep: Any = 1
    for _ in range(10_000):
        deep = [deep]
    extra = {
        "nan": float("nan"),
        "names": {(1, 2): 3},
        "loop": loop,
        "silent": Silent(),
        "deep": deep,
        "key": NASTY,
    }
    logging.getLogger("docket").info("fine", extra=extra)
    logging.getLogger("docket").info("quiet", extra={"silent": Silent()})
    out, err = capsys.readouterr()
    assert err == ""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    *_, fine, quiet = (json.loads(line, parse_constant=refuse) for line in out.splitlines())
    assert (fine["message"], fine["key"], fine["nan"], fine["loop"]) == ("fine", NASTY, "nan", "[[...]]")
    assert quiet["silent"] == "(repr() of it raised SystemExit)"


def test_lines_of_warnings_are_one_each(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers[:] = []
    logs.warn_on_stderr()
    try:
        raise ValueError(NASTY)
    except ValueError:
        logging.getLogger("docket.strikelist").warning("no %s", NASTY, exc_info=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"docket: no {ESCAPED}\nValueError: {ESCAPED}\n"


#: What is no number, no time and no text, in every field that a command shows.
MALFORMED = [
    b"nan",
    b"inf",
    b"-1e308",
    b"9" * 400,
    b"-1",
    b"0",
    b"\xff\xfe",
    b"",
    b"9999-12-31T23:59:59.999999-14:00",
]


@pytest.mark.parametrize("junk", MALFORMED, ids=repr)
def test_what_is_malformed_ends_no_command(
    redis_url: str, junk: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKET_URL", redis_url)
    fields = "when", "attempt", "generation", "function", "args", "kwargs", "key"
    record = "when", "generation", "worker", "started_at", "completed_at", "error", "result_key"
    with redis.Redis.from_url(redis_url) as client:
        client.xgroup_create("docket:stream", "docket-workers", "0-0", mkstream=True)
        for field in fields:
            client.xadd("docket:stream", {**message(f"runs-{field}"), field: junk})
        client.xreadgroup("docket-workers", b"w\xff", {"docket:stream": ">"})
        client.hset("docket:runs:runs-args", "started_at", junk)
        for field in fields:
            client.xadd("docket:stream", {**message(f"waits-{field}"), field: junk})
        client.zadd("docket:queue", {b"later\xff": "inf", b"early": "-inf", b"junk": 5})
        for key in b"later\xff", b"early":
            client.hset(b"docket:" + key, mapping={**message("k"), "key": key, "when": junk})
        client.zadd("docket:workers", {b"w\xff": "inf", junk: 1e300})
        client.sadd(b"docket:worker-tasks:w\xff", junk)
        client.xadd("docket:strikes", {junk: junk})
        client.xadd("docket:strikes", {"direction": junk, "function": junk, "operator": junk, "value": junk})
        ended: dict[str, str | bytes] = {
            "state": "completed",
            "function": "f",
            **PLANTED,
            "completed_at": WHEN,
        }
        for field in record:
            client.hset(f"docket:runs:{field}", mapping={**ended, field: junk})
        client.hset("docket:runs:all", mapping={**ended, **dict.fromkeys(record, junk)})
        client.hset(
            "docket:progress:all", mapping=dict.fromkeys(["current", "total", "message", "updated_at"], junk)
        )
        client.hset("docket:runs:state", mapping={**ended, "state": junk})
    for tokens in (
        ["snapshot", "--stats"], ["workers", "ls"], ["strike", "trace"],
        ["tasks", "sleep"],
        *(["watch", key] for key in (*record, "all")), ["clear"],
    ):  # fmt: skip
        assert run(docket_app(), tokens) == 0, tokens
        assert not RAW.search("".join(capsys.readouterr()))
    assert run(docket_app(), ["workers", "for-task", "trace"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert run(docket_app(), ["watch", "state"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_wrong_is_said_in_one_line(redis_url: str) -> None:
    for command in ["strike", "trace", "--force"], ["tasks", "trace"]:
        done = subprocess.run(
            [BIN / "docket", *command, "--url", redis_url], capture_output=True, text=True, timeout=30
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "docket: nothing was added: trace is struck on docket 'docket'\n"
