"""Every command, argument, option and environment variable that users of pydocket 0.27 know."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cyclopts import App

from docket.cli.app import docket_app

REQUIRED = object()

DOCKET = ("--docket", "DOCKET_NAME", "docket")
URL = ("--url", "DOCKET_URL", "redis://localhost:6379/0")
TASKS = ("--tasks", "DOCKET_TASKS", ("docket.tasks:standard_tasks",))
DELAY = ("--delay", None, timedelta(0))
CONDITION = [
    ("FUNCTION", None, "*"),
    ("PARAMETER", None, "*"),
    ("OPERATOR", None, "=="),
    ("VALUE", None, None),
]
INSTRUMENTATION = "enable-internal-instrumentation"

WANTED: list[tuple[str, str | None, object]] = [
    (f"--{each}", None, None) for each in ("task", "error", "since", "until")
]
BULK = [*WANTED, ("--all", None, False), ("--yes", None, False), ("-y", None, False)]

#: Command -> argument or option, environment variable, default.
COMMANDS: dict[str, list[tuple[str, str | None, object]]] = {
    "version": [],
    "worker": [
        TASKS,
        DOCKET,
        URL,
        ("--name", "DOCKET_WORKER_NAME", None),
        ("--logging-level", "DOCKET_LOGGING_LEVEL", "INFO"),
        ("--logging-format", "DOCKET_LOGGING_FORMAT", None),  # rich at a terminal, else plain
        ("--concurrency", "DOCKET_WORKER_CONCURRENCY", 10),
        ("--message-batch", "DOCKET_WORKER_MESSAGE_BATCH", 1000),
        ("--redelivery-timeout", "DOCKET_WORKER_REDELIVERY_TIMEOUT", timedelta(minutes=5)),
        ("--reconnection-delay", "DOCKET_WORKER_RECONNECTION_DELAY", timedelta(seconds=5)),
        ("--minimum-check-interval", "DOCKET_WORKER_MINIMUM_CHECK_INTERVAL", timedelta(milliseconds=100)),
        ("--scheduling-resolution", "DOCKET_WORKER_SCHEDULING_RESOLUTION", timedelta(milliseconds=250)),
        ("--schedule-automatic-tasks", "DOCKET_WORKER_SCHEDULE_AUTOMATIC_TASKS", True),
        ("--no-schedule-automatic-tasks", "DOCKET_WORKER_SCHEDULE_AUTOMATIC_TASKS", True),
        (f"--{INSTRUMENTATION}", "DOCKET_WORKER_ENABLE_INTERNAL_INSTRUMENTATION", False),
        (f"--no-{INSTRUMENTATION}", "DOCKET_WORKER_ENABLE_INTERNAL_INSTRUMENTATION", False),
        ("--until-finished", None, False),
        ("--healthcheck-port", "DOCKET_WORKER_HEALTHCHECK_PORT", None),
        ("--metrics-port", "DOCKET_WORKER_METRICS_PORT", None),
        ("--fallback-task", "DOCKET_FALLBACK_TASK", None),
        ("--dependencies", "DOCKET_WORKER_DEPENDENCIES", None),
    ],
    "strike": [*CONDITION, DOCKET, URL],
    "clear": [DOCKET, URL],
    "restore": [*CONDITION, DOCKET, URL],
    "tasks trace": [DOCKET, URL, ("MESSAGE", None, "Howdy!"), DELAY],
    "tasks fail": [DOCKET, URL, ("MESSAGE", None, "Howdy!"), DELAY],
    "tasks sleep": [DOCKET, URL, ("SECONDS", None, 1.0), DELAY],
    "snapshot": [TASKS, DOCKET, URL, ("--stats", None, False)],
    "watch": [
        ("KEY", None, REQUIRED),
        ("--url", "DOCKET_REDIS_URL", "redis://localhost:6379/0"),
        ("-u", "DOCKET_URL", "redis://localhost:6379/0"),
        ("--docket", "DOCKET_NAME", "docket"),
        ("-d", "DOCKET_NAME", "docket"),
    ],
    "cancel": [("KEY", None, REQUIRED), ("MORE", None, inspect.Parameter.empty), DOCKET, URL],
    "workers ls": [DOCKET, URL],
    "workers for-task": [("TASK", None, REQUIRED), DOCKET, URL],
}

JSON = ("--json", None, False)
KEY, LIMIT, AFTER = ("KEY", None, REQUIRED), ("--limit", None, 100), ("--after", None, None)
FORCE = ("--force", None, False)
NOTHING = inspect.Parameter.empty

#: Commands that are ours alone.
OWN: dict[str, list[tuple[str, str | None, object]]] = {
    "completion": [("SHELL", None, REQUIRED)],
    "add": [("TASK", None, REQUIRED), ("ARGUMENT", None, NOTHING), ("--key", None, None), DELAY, FORCE, DOCKET, URL],
    "status": [DOCKET, URL],
    "show": [KEY, DOCKET, URL],
    "limits": [DOCKET, URL],
    "strikes": [DOCKET, URL],
    "dead-letters": [LIMIT, ("--before", None, None), DOCKET, URL],
    "schedules": [("--task", None, None), ("--contains", None, None), LIMIT, AFTER, DOCKET, URL],
    "tasks ls": [("--contains", None, None), LIMIT, AFTER, DOCKET, URL],
    "history": [
        *(("--" + each, None, None) for each in ("task", "key", "state", "since", "until")), LIMIT, DOCKET, URL,
    ],
    "throughput": [
        ("--task", None, None), ("--since", None, timedelta(hours=1)), ("--per", None, "minute"), DOCKET, URL,
    ],
    "pause": [("TASK", None, "*"), ("--reason", None, ""), ("--by", None, None), FORCE, DOCKET, URL],
    "resume": [("TASK", None, "*"), DOCKET, URL],
    "pauses": [DOCKET, URL],
    "failures": [
        ("KEY", None, None), *WANTED, LIMIT, AFTER, ("--groups", None, False), ("--retrying", None, False), DOCKET, URL,
    ],
    "retry": [("KEY", None, NOTHING), *BULK, DOCKET, URL],
    "discard": [("KEY", None, NOTHING), *BULK, DOCKET, URL],
    "run-now": [KEY, ("MORE", None, NOTHING), DOCKET, URL],
    "web": [
        TASKS,
        ("--docket", "DOCKET_NAME", ("docket",)),
        URL,
        ("--host", "DOCKET_WEB_HOST", "127.0.0.1"),
        ("--port", "DOCKET_WEB_PORT", 8085),
        ("--user", "DOCKET_WEB_USER", "docket"),
        ("--password-file", "DOCKET_WEB_PASSWORD_FILE", None),
        ("--no-password", None, False),
        ("--read-only", None, False),
        ("--origin", "DOCKET_WEB_ORIGINS", ()),
        ("--allow-host", "DOCKET_WEB_ALLOW_HOSTS", ()),
    ],
}  # fmt: skip

#: Commands that say nothing that a program could want as JSON, or go on for ever.
WITHOUT_JSON = {"version", "completion", "worker", "web"}

EVERY = {
    path: [*every, *([] if path in WITHOUT_JSON else [JSON])] for path, every in {**COMMANDS, **OWN}.items()
}

#: Options of every command that opens a docket, whatever it does there.
TRUST = {
    "--signing-key-file": "DOCKET_SIGNING_KEYS_FILE",
    "--sealing-key-file": "DOCKET_SEALING_KEYS_FILE",
    "--signatures": "DOCKET_SIGNATURES",
    "--serializer": "DOCKET_SERIALIZER",
    "--accept": "DOCKET_ACCEPT",
}
WITHOUT_DOCKET = {"version", "completion"}

#: Options that are ours alone.
BEYOND = {
    **TRUST,
    "--backend": "DOCKET_WORKER_BACKEND",
    "--shutdown-timeout": "DOCKET_WORKER_SHUTDOWN_TIMEOUT",
    "--max-deliveries": "DOCKET_WORKER_MAX_DELIVERIES",
    "--max-waiting": "DOCKET_WORKER_MAX_WAITING",
    "--lanes": "DOCKET_WORKER_LANES",
    "--unknown-task-patience": "DOCKET_WORKER_UNKNOWN_TASK_PATIENCE",
    "--execution-ttl": "DOCKET_EXECUTION_TTL",
    "--failure-ttl": "DOCKET_FAILURE_TTL",
    "--failures-kept": "DOCKET_FAILURES_KEPT",
    "--history-ttl": "DOCKET_HISTORY_TTL",
    "--history-kept": "DOCKET_HISTORY_KEPT",
    "--result-storage": "DOCKET_RESULT_STORAGE",
    "--signature-max-age": "DOCKET_SIGNATURE_MAX_AGE",
    "--heartbeat-interval": "DOCKET_HEARTBEAT_INTERVAL",
    "--missed-heartbeats": "DOCKET_MISSED_HEARTBEATS",
    "--parent-task-spans": "DOCKET_PARENT_TASK_SPANS",
    "--no-parent-task-spans": "DOCKET_PARENT_TASK_SPANS",
    "--on-run-ended": "DOCKET_WORKER_ON_RUN_ENDED",
    "--healthcheck-host": "DOCKET_WORKER_HEALTHCHECK_HOST",
    "--metrics-host": "DOCKET_WORKER_METRICS_HOST",
    "--processes": "DOCKET_WORKER_PROCESSES",
    "--reload": "DOCKET_WORKER_RELOAD",
}
BEYOND_OF = {
    "watch": {"--tasks", "--exit-status"},
    "strike": {"--force"},
    "clear": {"--yes", "-y"},
    "snapshot": {"--limit"},
    "add": {"--expires", "--if-running", "--priority"},
    "run-now": {"--priority"},
    "show": {"--depth", "--limit", "--keys", "--group", "--after"},
}


def command(path: str) -> App:
    app = docket_app()
    for name in path.split():
        app = app[name]
    return app


def arguments(path: str) -> dict[str, Any]:
    """What a command takes, by each of its names."""
    every = command(path).assemble_argument_collection()
    return {
        name: one for one in every for name in one.names if name != "*"
    }  # "*" has options of several commands


@pytest.mark.parametrize(
    ("path", "name", "variable", "default"),
    [(path, *one) for path, every in EVERY.items() for one in every],
)
def test_every_argument_has_its_variable_and_its_default(
    path: str, name: str, variable: str | None, default: object
) -> None:
    argument = arguments(path)[name]
    variables = set(argument.parameter.env_var) - {BEYOND.get(name)}
    assert variable in variables if variable else not variables
    assert argument.required is (default is REQUIRED)
    if default is not REQUIRED:
        assert argument.field_info.default == default


@pytest.mark.parametrize("path", EVERY)
def test_nothing_else_is_taken(path: str) -> None:
    known = {name for name, _, _ in EVERY[path]} | (BEYOND.keys() if path != "version" else set())
    assert set(arguments(path)) <= known | BEYOND_OF.get(path, set())


@pytest.mark.parametrize("path", sorted(EVERY.keys() - WITHOUT_DOCKET))
def test_every_command_that_opens_a_docket_takes_keys_and_serializers(path: str) -> None:
    found = arguments(path)
    assert {name: found[name].parameter.env_var for name in TRUST} == {
        name: (each,) for name, each in TRUST.items()
    }


@pytest.mark.parametrize("path", EVERY)
def test_arguments_come_in_their_order(path: str) -> None:
    wanted = [name for name, _, _ in EVERY[path] if name.isupper()]
    found = [one for one in command(path).assemble_argument_collection() if one.index is not None]
    assert [one.name for one in sorted(found, key=lambda one: one.index or 0)] == wanted


def paths(app: App, before: str = "") -> Iterator[str]:
    """Every command of an app, with those of its commands."""
    for name in app:
        if not name.startswith("-"):
            below = list(paths(app[name], f"{before}{name} "))
            yield from below or [before + name]


def test_every_command_is_in_these_tables() -> None:
    assert sorted(paths(docket_app())) == sorted(EVERY)


@pytest.mark.parametrize("path", ["", *EVERY])
def test_help_names_all_of_it(
    path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # a narrow one breaks long names apart
    app = docket_app()
    app([*path.split(), "--help"], result_action="return_value")
    said = capsys.readouterr().out
    if not path:
        assert {name.split()[0] for name in EVERY} <= set(said.split())
    for name, variable, _ in EVERY.get(path, []):
        assert name in said
        assert (variable or "") in said


def test_watch_looks_at_the_variable_of_pydocket_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def url(*options: str) -> object:
        _, bound, _ = docket_app().parse_args(["watch", "k", *options], exit_on_error=False)
        bound.apply_defaults()
        return bound.arguments["at"].url

    assert url() == "redis://localhost:6379/0"
    monkeypatch.setenv("DOCKET_URL", "redis://second/0")
    assert url() == "redis://second/0"
    monkeypatch.setenv("DOCKET_REDIS_URL", "redis://first/0")
    assert url() == "redis://first/0"
    assert url("-u", "redis://given/0") == "redis://given/0"
