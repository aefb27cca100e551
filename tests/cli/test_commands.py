"""What the commands that ask and change a docket do, print, and refuse."""

from __future__ import annotations

import datetime
import decimal
import json
import re
import uuid
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio
import pytest

from docket import Docket, clock, remote_task
from docket.cli.app import docket_app, run
from docket.cli.values import value_of
from docket.errors import UsageError
from tests.cli.office import Office
from tests.servers import Server, free_port

SPAN = r"\d:\d\d:\d\d\.\d{3}"
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])


def words_of(value: object) -> str | None:
    """The id of a parameter that is a command line."""
    return " ".join(value) if isinstance(value, list) else ""


def said(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    """What a command prints that ends well."""
    assert run(docket_app(), tokens) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def complaint(capsys: pytest.CaptureFixture[str], status: int, *tokens: str) -> str:
    """The one line of a command that does not."""
    assert run(docket_app(), tokens) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("docket: ")
    assert err.count("\n") == 1
    return err.removeprefix("docket: ").rstrip("\n")


class TestTasks:
    @BACKENDS
    @pytest.mark.parametrize(
        ("tokens", "arguments"),
        [
            (["trace"], ("Howdy!",)),
            (["trace", "hey you"], ("hey you",)),
            (["fail"], ("Howdy!",)),
            (["sleep"], (1.0,)),
            (["sleep", "0.25"], (0.25,)),
        ],
        ids=words_of,
    )
    def test_a_task_is_put_on_the_docket(
        self, here: Office, backend: str, tokens: list[str], arguments: Any, capsys: Any
    ) -> None:
        line = said(capsys, "tasks", *tokens, "--backend", backend)
        match = re.fullmatch(rf"Added {tokens[0]} task '([^']+)' to docket 'docket'\n", line)
        assert match is not None
        execution = here.ask(lambda docket: docket.get_execution(match[1]))
        assert execution is not None
        assert (execution.function_name, execution.args) == (tokens[0], arguments)
        assert execution.state == "queued"

    def test_a_delay_makes_it_due_later(self, here: Office, capsys: Any) -> None:
        said(capsys, "tasks", "trace", "--delay", "01:30:00")
        (task,) = here.ask(lambda docket: docket.snapshot()).future
        assert datetime.timedelta(hours=1) < task.when - datetime.datetime.now(datetime.UTC)

    def test_the_docket_may_be_another_one(self, here: Office, capsys: Any) -> None:
        assert "to docket 'orders'" in said(capsys, "tasks", "trace", "--docket", "orders")
        assert said(capsys, "clear", "--docket", "orders") == "Cleared 1 task from docket 'orders'\n"

    def test_a_task_that_is_struck_is_not_said_to_be_added(self, here: Office, capsys: Any) -> None:
        here.ask(lambda docket: docket.strike("trace"))
        assert "trace is struck" in complaint(capsys, 1, "tasks", "trace")

    @pytest.mark.parametrize(
        ("tokens", "takes"),
        [
            (["trace", "--delay", "-5"], "--delay takes a duration from zero"),
            (["trace", "--delay", "99999999h"], "--delay takes a duration from zero, up to 36525 days"),
            (["sleep", "long"], "SECONDS takes a number of seconds from 0, not 'long'"),
            (["sleep", "nan"], "SECONDS takes a number of seconds from 0, not 'nan'"),
            (["sleep", "inf"], "SECONDS takes a number of seconds from 0, not 'inf'"),
            (["sleep", "--", "-1"], "SECONDS takes a number of seconds from 0, not '-1'"),
        ],
        ids=words_of,
    )
    def test_a_mistake_is_named(self, tokens: list[str], takes: str, capsys: Any) -> None:
        assert takes in complaint(capsys, 2, "tasks", *tokens)


@BACKENDS
def test_clear_says_how_many_tasks_there_were(here: Office, backend: str, capsys: Any) -> None:
    here.ask(lambda docket: docket.add_many(docket.call("paint")(n) for n in range(3)))
    assert said(capsys, "clear", "--backend", backend) == "Cleared 3 tasks from docket 'docket'\n"
    assert said(capsys, "clear", "--backend", backend) == "Cleared 0 tasks from docket 'docket'\n"


@BACKENDS
def test_cancel_says_what_it_did(here: Office, backend: str, capsys: Any) -> None:
    here.ask(lambda docket: docket.add("paint", key="k1")(1))
    assert said(capsys, "cancel", "k1", "--backend", backend) == "Cancelled task 'k1' on docket 'docket'\n"
    over = "task 'k1' on docket 'docket' was over before"
    assert complaint(capsys, 1, "cancel", "k1", "--backend", backend) == over
    assert (
        complaint(capsys, 1, "cancel", "k2", "--backend", backend)
        == "there is no task 'k2' on docket 'docket'"
    )


def test_cancel_takes_several_keys_and_says_of_each_what_became_of_it(here: Office, capsys: Any) -> None:
    here.ask(lambda docket: docket.add("paint", key="over")(1))
    said(capsys, "cancel", "over")
    for words in [], ["--json"]:
        here.ask(lambda docket: docket.add_many(docket.call("paint", key=key)(1) for key in ("a", "b")))
        assert run(docket_app(), ["cancel", "a", "over", "none", "b", "a", *words]) == 1
        out, err = capsys.readouterr()
        assert err.splitlines() == [
            "docket: task 'over' on docket 'docket' was over before",
            "docket: there is no task 'none' on docket 'docket'",
        ]
        if words:
            answers = {each["key"]: (each["done"], each["cancellation"]) for each in json.loads(out)["keys"]}
            assert answers == {
                "a": (True, "cancelled"), "over": (False, "ended"), "none": (False, "not_found"),
                "b": (True, "cancelled"),
            }  # fmt: skip
        else:
            assert out.splitlines() == [f"Cancelled task {key!r} on docket 'docket'" for key in ("a", "b")]


@pytest.mark.parametrize("command", ["cancel", "run-now", "retry", "discard"])
def test_where_one_of_several_keys_is_none_nothing_is_done(here: Office, command: str, capsys: Any) -> None:
    here.ask(lambda docket: docket.add("paint", key="a", when=clock.now() + datetime.timedelta(1))(1))
    assert "may not be empty" in complaint(capsys, 2, command, "a", "")
    assert "state: scheduled" in said(capsys, "show", "a")


def test_cancel_asks_a_running_task_to_stop(here: Office, capsys: Any) -> None:
    here.ask(lambda docket: docket.add("paint", key="k1")(2))
    with here.working():
        here.ask(partial(_until_running, "k1"))
        assert "Asked task 'k1' on docket 'docket', which runs, to stop" in said(capsys, "cancel", "k1")
        for gate in here.gates.values():
            gate.set()


async def _until_running(key: str, docket: Docket) -> None:
    execution = await docket.get_execution(key)
    assert execution is not None
    async with aclosing(execution.subscribe()) as events:
        async for event in events:
            if event["type"] == "state" and event["state"] == "running":
                return


class TestSnapshot:
    def test_an_empty_docket_has_headings(self, here: Office, capsys: Any) -> None:
        title, summary, *table = said(capsys, "snapshot").splitlines()
        assert re.fullmatch(r"Docket 'docket' at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000", title)
        assert [summary, *table] == [
            "0 workers, 0/0 running",
            "",
            "When  State  Function  Key  Worker  Started",
        ]

    @BACKENDS
    def test_what_runs_and_what_waits(self, here: Office, backend: str, capsys: Any) -> None:
        later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=2)
        here.ask(lambda docket: docket.add("trace", when=later, key="t1")("x"))
        here.ask(lambda docket: docket.add("sleep", when=later, key="two\nlines")(1))
        here.ask(lambda docket: docket.add("paint", key="p1")(4))
        with here.working():
            here.ask(self.until_it_runs)
            out = said(capsys, "snapshot", "--stats", "--backend", backend)
        heading, tasks, counts = (part.splitlines() for part in out.split("\n\n"))
        assert heading[1] == "1 worker, 1/3 running"
        assert re.fullmatch(rf"{SPAN} ago +running +paint +p1 +w1 +{SPAN} ago", tasks[1])
        assert [re.sub(SPAN, "SPAN", line).split() for line in tasks[2:]] == [
            ["in", "SPAN", "scheduled", "trace", "t1"],
            ["in", "SPAN", "scheduled", "sleep", r"two\nlines"],
        ]
        assert counts[0] == "Task Count Statistics by Function"
        assert counts[1].split("  ")[0] == "Function"
        assert [re.sub(SPAN, "SPAN", line).split() for line in counts[2:]] == [
            ["paint", "1", "1", "0"],
            ["sleep", "1", "0", "1", "in", "SPAN", "in", "SPAN"],
            ["trace", "1", "0", "1", "in", "SPAN", "in", "SPAN"],
        ]

    def test_a_running_task_that_was_asked_to_stop_or_has_lost_its_worker_is_marked(
        self, here: Office, capsys: Any
    ) -> None:
        here.ask(lambda docket: docket.add("paint", key="p1")(4))
        with here.working():
            here.ask(self.until_it_runs)
            said(capsys, "cancel", "p1")
            assert re.search(r" running, cancel requested +paint +p1 +w1 ", said(capsys, "snapshot"))
            here.ask(self.lose_the_worker)
            assert re.search(
                r" running, worker gone, cancel requested +paint +p1 +", said(capsys, "snapshot")
            )
            for gate in here.gates.values():
                gate.set()

    def test_a_task_that_was_put_back_is_marked(self, here: Office, capsys: Any) -> None:
        here.ask(lambda docket: docket.add(remote_task("renamed"), key="r1")())
        with here.working():
            here.ask(self.until_it_is_put_back)
            assert re.search(r" scheduled, unknown to a worker +renamed +r1", said(capsys, "snapshot"))

    @staticmethod
    async def until_it_is_put_back(docket: Docket) -> None:
        while not any(task.is_put_back for task in (await docket.snapshot()).future):
            await anyio.sleep(0.01)

    @staticmethod
    async def lose_the_worker(docket: Docket) -> None:
        """As if another one had begun it, and was killed: no heartbeat is left of it."""
        async with docket.redis() as redis:
            stream, group = docket.stream_key, docket.worker_group_name
            [entry] = await redis.xpending_range(stream, group, "-", "+", 1)
            await redis.xclaim(stream, group, "killed", 0, [entry["message_id"]], justid=True)

    def test_the_functions_with_the_most_tasks_come_first(self, here: Office, capsys: Any) -> None:
        now = datetime.datetime.now(datetime.UTC)
        hour = datetime.timedelta(hours=1)
        here.ask(lambda docket: docket.add("paint")(1))
        for hours in (2, -1):
            here.ask(lambda docket, when=now + hours * hour: docket.add("trace", when=when)("x"))
        rows = said(capsys, "snapshot", "--stats").split("\n\n")[2].splitlines()[2:]
        assert [row.split()[:4] for row in rows] == [["trace", "2", "0", "2"], ["paint", "1", "0", "1"]]
        assert re.search(r"1:00:\d\d\.\d{3} ago +in 1:59:\d\d\.\d{3}$", rows[0])

    @staticmethod
    async def until_it_runs(docket: Docket) -> None:
        execution = await docket.get_execution("p1")
        assert execution is not None
        async for event in execution.subscribe():
            if event["type"] == "state" and event["state"] == "running":
                return

    def test_at_a_terminal_a_table_shows_keys_as_they_are(
        self, here: Office, capsys: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", "100")
        here.ask(lambda docket: docket.add("paint", key="[red]p1\x1b[2J")(4))
        out = said(capsys, "snapshot")
        assert "┏━" in out
        assert r"│ [red]p1\x1b[2J │" in out

    def test_what_only_its_owner_knows_is_shown_too(self, here: Office, capsys: Any) -> None:
        here.ask(lambda docket: docket.add("paint", key="p1")(4))
        assert re.search(rf"^{SPAN} ago +queued +paint +p1$", said(capsys, "snapshot"), re.MULTILINE)

    def test_a_collection_that_is_not_there_is_named(self, capsys: Any) -> None:
        assert "no module 'no_such_module'" in complaint(
            capsys, 2, "snapshot", "--tasks", "no_such_module:all"
        )


class TestWorkers:
    @BACKENDS
    def test_all_of_them_with_what_they_know(self, here: Office, backend: str, capsys: Any) -> None:
        with here.working("w2"), here.working("w1"):
            title, headers, *rows = said(capsys, "workers", "ls", "--backend", backend).splitlines()
        assert title == "Workers of docket 'docket'"
        assert headers.split("  ")[0] == "Name"
        for name, row in zip(("w1", "w2"), rows, strict=True):
            assert re.fullmatch(rf"{name} +{SPAN} ago +fail, paint, sleep, trace", row)

    @BACKENDS
    def test_those_that_know_a_task(self, here: Office, backend: str, capsys: Any) -> None:
        with here.working():
            known = said(capsys, "workers", "for-task", "paint", "--backend", backend).splitlines()
            unknown = complaint(capsys, 1, "workers", "for-task", "pant", "--backend", backend)
        assert known[0] == "Workers of docket 'docket' that know 'paint'"
        assert known[2].startswith("w1 ")
        assert unknown == "no live worker of docket 'docket' knows a task 'pant' (did you mean 'paint'?)"

    def test_which_task_must_be_said(self, capsys: Any) -> None:
        assert "TASK" in complaint(capsys, 2, "workers", "for-task")


#: The words, how they are repeated, what is struck.
STRIKES = [
    (["trace"], "trace", ("trace", None, "==", None)),
    (["trace", "message", "==", "v"], "trace message == 'v'", ("trace", "message", "==", "v")),
    (["*", "p", "==", "v"], "(all tasks) p == 'v'", (None, "p", "==", "v")),
    (["", "p", ">=", "int:3"], "(all tasks) p >= 3", (None, "p", ">=", 3)),
    (["trace", "message", "==", "none:"], "trace message == None", ("trace", "message", "==", None)),
    (["trace", "*"], "trace", ("trace", None, "==", None)),
    (["trace", "p", "between", "int:1,5"], "trace p between (1, 5)", ("trace", "p", "between", (1, 5))),
    (["trace", "p", "!=", "-3"], "trace p != '-3'", ("trace", "p", "!=", "-3")),
]


class TestStrikes:
    @pytest.mark.parametrize(("words", "told", "meant"), STRIKES, ids=words_of)
    def test_a_strike_is_made_and_taken_back(
        self, here: Office, words: list[str], told: str, meant: Any, capsys: Any
    ) -> None:
        def in_effect() -> list[Any]:
            strikes = here.ask(lambda docket: docket.strikes())
            return [(strike.function, strike.parameter, strike.operator, strike.value) for strike in strikes]

        assert said(capsys, "strike", *words) == f"Striking {told}\n"
        assert in_effect() == [meant]
        assert said(capsys, "restore", *words) == f"Restoring {told}\n"
        assert in_effect() == []

    @BACKENDS
    def test_a_strike_is_in_force(self, here: Office, backend: str, capsys: Any) -> None:
        here.ask(lambda docket: docket.add("paint")(1))
        said(capsys, "strike", "paint", "walls", ">", "int:2", "--backend", backend)
        small, large = (here.ask(lambda docket, n=n: docket.add("paint")(n)) for n in (2, 3))
        assert [small.disposition.value, large.disposition.value] == ["scheduled", "struck"]
        said(capsys, "restore", "paint", "walls", ">", "int:2", "--backend", backend)
        assert here.ask(lambda docket: docket.add("paint")(3)).disposition.value == "scheduled"

    @pytest.mark.parametrize("command", ["strike", "restore"])
    @pytest.mark.parametrize(
        ("words", "takes"),
        [
            ([], "names a function, a parameter, or both"),
            (["*", "*"], "names a function, a parameter, or both"),
            (["trace", "p", "~", "3"], "OPERATOR takes ==, !=, >, >=, <, <= or between, not '~'"),
            (["trace", "*", "==", "4"], "no parameter to be compared with"),
            (["trace", "p", "==", "list:ab"], "hashable"),
            (["trace", "p"], "VALUE is missing: with what 'p' is compared (none: is None)"),
            (["trace", "p", ">"], "VALUE is missing"),
            (["trace", "p", ">", "none:"], "can be compared"),
            (["trace", "p", "between", "int:5"], "takes two values"),
            (["trace", "p", "between", "int:5,1"], "wrong way round"),
        ],
        ids=words_of,
    )
    def test_a_mistake_is_named(self, command: str, words: list[str], takes: str, capsys: Any) -> None:
        assert takes in complaint(capsys, 2, command, *words)


class TestValues:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("v", "v"),
            ("", ""),
            ("*", "*"),
            (":http://x", "http://x"),
            ("str:a:b", "a:b"),
            ("int:3", 3),
            ("float:2.5", 2.5),
            ("bool:true", True),
            ("none:", None),
            ("None:", None),
            ("bool:False", False),
            ("bytes:ab", b"ab"),
            ("decimal.Decimal:1.10", decimal.Decimal("1.10")),
            ("datetime.timedelta:5", datetime.timedelta(seconds=5)),
            ("datetime.date:2030-01-02", datetime.date(2030, 1, 2)),
            (
                "datetime.datetime:2030-01-02T03:04:05+00:00",
                datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
            ),
            ("uuid.UUID:" + "12" * 16, uuid.UUID("12" * 16)),
        ],
    )
    def test_a_value_has_the_type_that_is_named(self, text: str, value: object) -> None:
        found = value_of(text)
        assert (found, type(found)) == (value, type(value))

    def test_a_pair_has_one_type(self) -> None:
        assert value_of("datetime.timedelta:1,2.5", pair=True) == (
            datetime.timedelta(seconds=1),
            datetime.timedelta(seconds=2.5),
        )
        assert value_of("a,m", pair=True) == ("a", "m")

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("frob:5", "there is no type 'frob'"),
            ("http://x", "write :text"),
            ("no_such_module.Thing:5", "there is no type 'no_such_module.Thing'"),
            ("uuid.Thing:5", "there is no type 'uuid.Thing'"),
            (".int:5", "there is no type '.int'"),
            ("uuid.UUID:xx", "'xx' is no uuid.UUID: ValueError"),
            ("int:three", "'three' is no int"),
            ("bool:yes", "true or false"),
            ("none:5", "'5' is no none"),
        ],
    )
    def test_a_mistake_is_named(self, text: str, complaint: str) -> None:
        with pytest.raises(UsageError, match=re.escape(complaint)):
            value_of(text)

    @pytest.mark.parametrize("text", ["os.getenv:HOME", "eval:1+1", "os.path:x"])
    def test_nothing_but_types_is_called(self, text: str) -> None:
        with pytest.raises(UsageError, match="is not a type"):
            value_of(text)


#: Every command that needs a server, with the least that it takes.
EVERY = [
    ["strike", "trace"],
    ["restore", "trace"],
    ["clear"],
    ["cancel", "k1"],
    ["pause", "trace"],
    ["resume", "trace"],
    ["pauses"],
    ["failures"],
    ["retry", "k1"],
    ["discard", "--all", "--yes"],
    ["run-now", "k1"],
    ["tasks", "trace"],
    ["tasks", "fail"],
    ["tasks", "sleep"],
    ["snapshot"],
    ["watch", "k1"],
    ["workers", "ls"],
    ["workers", "for-task", "trace"],
]
EVERY_COMMAND = pytest.mark.parametrize("tokens", EVERY, ids=" ".join)


@EVERY_COMMAND
class TestServers:
    def test_memory_is_refused(self, tokens: list[str], capsys: Any) -> None:
        line = complaint(capsys, 2, *tokens, "--url", "memory://here")
        assert line.startswith("--url takes the URL of a server: memory:// is a server within one process")

    def test_a_wrong_url_is_named(self, tokens: list[str], capsys: Any) -> None:
        line = complaint(capsys, 2, *tokens, "--url", "http://user:hunter2@localhost")
        assert line.startswith("--url takes the URL of a server")
        assert "hunter2" not in line

    def test_a_backend_that_does_not_exist_is_named(self, tokens: list[str], capsys: Any) -> None:
        assert "--backend takes asyncio, uvloop or trio" in complaint(
            capsys, 2, *tokens, "--backend", "curio"
        )


@pytest.mark.parametrize("tokens", [["clear"], ["watch", "k1"], ["strike", "trace"]], ids=" ".join)
def test_a_server_that_is_not_there_is_named(tokens: list[str], capsys: Any) -> None:
    port = free_port()
    assert f"127.0.0.1:{port}" in complaint(capsys, 1, *tokens, "--url", f"redis://127.0.0.1:{port}/0")


@BACKENDS
def test_a_wrong_password_is_told_without_the_password(backend: str, capsys: Any) -> None:
    with Server("--requirepass", "secret") as server:
        url = server.url.replace("redis://", "redis://:wrong@")
        line = complaint(capsys, 2, "clear", "--url", url, "--backend", backend)
    assert line.startswith("--url: the server refuses the user or the password")
    assert "wrong@" not in line


def test_what_the_server_refuses_is_told(here: Office, capsys: Any) -> None:
    async def occupy(docket: Docket) -> None:
        async with docket.redis() as redis:
            await redis.set("docket:workers", "no sorted set")

    here.ask(occupy)
    line = complaint(capsys, 1, "workers", "ls")
    assert line == (
        "the server refuses: the key 'docket:workers' holds something else, where docket keeps a sorted set"
    )
