"""What ``docket worker`` and ``docket-worker`` understand, and what they say to the rest."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from docket import Priority
from docket.cli.app import docket_app, run, worker_app
from docket.cli.at import Trust
from docket.moments import DEFAULT_TTL


def understood(*tokens: str) -> dict[str, Any]:
    """The arguments that the worker command would be called with, those about keys and serializers each by itself."""
    _, bound, _ = worker_app().parse_args(tokens, exit_on_error=False, print_error=False)
    bound.apply_defaults()
    trust: Trust = bound.arguments.pop("trust")
    return {**bound.arguments, **attrs.asdict(trust)}


def complaint(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    """The one line that a command line is refused with."""
    assert run(worker_app(), tokens) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_without_options_everything_has_pydockets_default() -> None:
    assert understood() == {
        "tasks": ("docket.tasks:standard_tasks",),
        "docket": "docket",
        "url": "redis://localhost:6379/0",
        "name": None,
        "backend": "asyncio",
        "logging_level": "INFO",
        "logging_format": None,
        "concurrency": 10,
        "message_batch": 1000,
        "redelivery_timeout": timedelta(minutes=5),
        "reconnection_delay": timedelta(seconds=5),
        "minimum_check_interval": timedelta(milliseconds=100),
        "scheduling_resolution": timedelta(milliseconds=250),
        "shutdown_timeout": timedelta(seconds=25),
        "max_deliveries": 5,
        "max_waiting": 1000,
        "lanes": None,
        "unknown_task_patience": timedelta(hours=1),
        "execution_ttl": timedelta(minutes=15),
        "failure_ttl": timedelta(days=7),
        "failures_kept": 10_000,
        "history_ttl": timedelta(days=7),
        "history_kept": 1000,
        "result_storage": None,
        "heartbeat_interval": timedelta(seconds=2),
        "missed_heartbeats": 5,
        "schedule_automatic_tasks": True,
        "enable_internal_instrumentation": False,
        "parent_task_spans": None,
        "until_finished": False,
        "healthcheck_port": None,
        "metrics_port": None,
        "fallback_task": None,
        "dependencies": None,
        "on_run_ended": (),
        "signing_key_file": None,
        "sealing_key_file": None,
        "signatures": None,
        "signature_max_age": None,
        "serializer": None,
        "accept": (),
        "healthcheck_host": "0.0.0.0",
        "metrics_host": "0.0.0.0",
        "processes": 1,
        "reload": False,
    }


#: Option, variable, text, value.
SETTINGS = [
    ("--tasks", "DOCKET_TASKS", "my.tasks:all", ("my.tasks:all",)),
    ("--docket", "DOCKET_NAME", "orders", "orders"),
    ("--url", "DOCKET_URL", "memory://here", "memory://here"),
    ("--name", "DOCKET_WORKER_NAME", "w1", "w1"),
    ("--backend", "DOCKET_WORKER_BACKEND", "trio", "trio"),
    ("--logging-level", "DOCKET_LOGGING_LEVEL", "debug", "DEBUG"),
    ("--logging-format", "DOCKET_LOGGING_FORMAT", "JSON", "json"),
    ("--concurrency", "DOCKET_WORKER_CONCURRENCY", "50", 50),
    ("--message-batch", "DOCKET_WORKER_MESSAGE_BATCH", "7", 7),
    ("--redelivery-timeout", "DOCKET_WORKER_REDELIVERY_TIMEOUT", "2m", timedelta(minutes=2)),
    ("--reconnection-delay", "DOCKET_WORKER_RECONNECTION_DELAY", "00:10", timedelta(seconds=10)),
    ("--minimum-check-interval", "DOCKET_WORKER_MINIMUM_CHECK_INTERVAL", "0.05", timedelta(milliseconds=50)),
    ("--scheduling-resolution", "DOCKET_WORKER_SCHEDULING_RESOLUTION", "10ms", timedelta(milliseconds=10)),
    ("--shutdown-timeout", "DOCKET_WORKER_SHUTDOWN_TIMEOUT", "0", timedelta(0)),
    ("--max-deliveries", "DOCKET_WORKER_MAX_DELIVERIES", "3", 3),
    ("--max-waiting", "DOCKET_WORKER_MAX_WAITING", "30", 30),
    ("--lanes", "DOCKET_WORKER_LANES", "normal, HIGH", (Priority.HIGH, Priority.NORMAL)),
    ("--unknown-task-patience", "DOCKET_WORKER_UNKNOWN_TASK_PATIENCE", "0", timedelta(0)),
    ("--execution-ttl", "DOCKET_EXECUTION_TTL", "24h", timedelta(days=1)),
    ("--heartbeat-interval", "DOCKET_HEARTBEAT_INTERVAL", "10s", timedelta(seconds=10)),
    ("--missed-heartbeats", "DOCKET_MISSED_HEARTBEATS", "3", 3),
    ("--result-storage", "DOCKET_RESULT_STORAGE", "my.stores:shelf", "my.stores:shelf"),
    ("--serializer", "DOCKET_SERIALIZER", "json", "json"),
    ("--accept", "DOCKET_ACCEPT", "json pickle", ("json", "pickle")),
    ("--accept", "DOCKET_ACCEPT", "json, my.codecs:own", ("json", "my.codecs:own")),
    ("--signatures", "DOCKET_SIGNATURES", "accept", "accept"),
    ("--signature-max-age", "DOCKET_SIGNATURE_MAX_AGE", "2h", timedelta(hours=2)),
    ("--signing-key-file", "DOCKET_SIGNING_KEYS_FILE", "keys", Path("keys")),
    ("--sealing-key-file", "DOCKET_SEALING_KEYS_FILE", "keys", Path("keys")),
    ("--healthcheck-port", "DOCKET_WORKER_HEALTHCHECK_PORT", "8080", 8080),
    ("--metrics-port", "DOCKET_WORKER_METRICS_PORT", "9090", 9090),
    ("--fallback-task", "DOCKET_FALLBACK_TASK", "my.tasks:other", "my.tasks:other"),
    ("--healthcheck-host", "DOCKET_WORKER_HEALTHCHECK_HOST", "127.0.0.1", "127.0.0.1"),
    ("--metrics-host", "DOCKET_WORKER_METRICS_HOST", "::1", "::1"),
    ("--on-run-ended", "DOCKET_WORKER_ON_RUN_ENDED", "my.errors:report", ("my.errors:report",)),
    ("--dependencies", "DOCKET_WORKER_DEPENDENCIES", "my.tasks:wanted", "my.tasks:wanted"),
]
EVERY_SETTING = pytest.mark.parametrize(
    ("option", "variable", "text", "value"), SETTINGS, ids=[setting[0] for setting in SETTINGS]
)


def argument(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


@EVERY_SETTING
def test_a_setting_comes_from_its_option(option: str, variable: str, text: str, value: object) -> None:
    assert understood(option, text)[argument(option)] == value


@EVERY_SETTING
def test_a_setting_comes_from_its_variable(
    option: str, variable: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    assert understood()[argument(option)] == value


@EVERY_SETTING
def test_an_option_wins_over_its_variable_be_that_right_or_wrong(
    option: str, variable: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "nonsense of no kind")
    assert understood(option, text)[argument(option)] == value


@pytest.mark.parametrize("text", ["", " "])
def test_a_variable_that_is_empty_is_as_if_it_were_not_set(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without = understood()
    variables = {
        variable
        for argument in worker_app().assemble_argument_collection()
        for variable in argument.parameter.env_var or ()
    }
    assert len(variables) > 20
    for variable in [*variables, "DOCKET_REDIS_URL"]:
        monkeypatch.setenv(variable, text)
    assert run(docket_app(), ["version"]) == 0
    assert understood() == without


@pytest.mark.parametrize("name", ["schedule-automatic-tasks", "enable-internal-instrumentation"])
def test_a_switch_is_turned_on_and_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = f"DOCKET_WORKER_{argument(name).upper()}"
    assert understood(f"--{name}")[argument(name)] is True
    assert understood(f"--no-{name}")[argument(name)] is False
    for text, value in {"true": True, "1": True, "false": False, "0": False}.items():
        monkeypatch.setenv(variable, text)
        assert understood()[argument(name)] is value
    assert understood(f"--{name}")[argument(name)] is True


def test_records_can_be_kept_for_ever_or_not_at_all() -> None:
    assert understood("--execution-ttl", "never")["execution_ttl"] is None
    assert understood("--execution-ttl", "0")["execution_ttl"] == timedelta(0)
    assert understood()["execution_ttl"] is DEFAULT_TTL  # so that it does not travel with what is added here


def test_until_finished_is_a_switch() -> None:
    assert understood("--until-finished")["until_finished"] is True


def test_tasks_may_be_given_several_times(monkeypatch: pytest.MonkeyPatch) -> None:
    assert understood("--tasks", "a:b", "--tasks", "c.d:e")["tasks"] == ("a:b", "c.d:e")
    monkeypatch.setenv("DOCKET_TASKS", "a:b c.d:e")
    assert understood()["tasks"] == ("a:b", "c.d:e")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("123", timedelta(seconds=123)),
        ("123s", timedelta(seconds=123)),
        ("123m", timedelta(minutes=123)),
        ("123h", timedelta(hours=123)),
        ("250ms", timedelta(milliseconds=250)),
        ("1.5", timedelta(seconds=1.5)),
        ("12:34", timedelta(minutes=12, seconds=34)),
        ("1:02:03", timedelta(hours=1, minutes=2, seconds=3)),
    ],
)
def test_durations(text: str, value: timedelta) -> None:
    assert understood("--redelivery-timeout", text)["redelivery_timeout"] == value


#: Option, variable, text that is refused, what the complaint says that is taken.
MISTAKES = [
    ("--tasks", "DOCKET_TASKS", "tasks.py", "'package.module:name'"),
    ("--url", "DOCKET_URL", "http://localhost", "redis://"),
    ("--backend", "DOCKET_WORKER_BACKEND", "curio", "asyncio, uvloop or trio"),
    ("--logging-level", "DOCKET_LOGGING_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    ("--logging-format", "DOCKET_LOGGING_FORMAT", "xml", "rich, plain or json"),
    ("--concurrency", "DOCKET_WORKER_CONCURRENCY", "many", "a whole number from 1"),
    ("--concurrency", "DOCKET_WORKER_CONCURRENCY", "0", "a whole number from 1"),
    ("--message-batch", "DOCKET_WORKER_MESSAGE_BATCH", "-1", "a whole number from 1"),
    ("--redelivery-timeout", "DOCKET_WORKER_REDELIVERY_TIMEOUT", "soon", "a duration above zero"),
    ("--redelivery-timeout", "DOCKET_WORKER_REDELIVERY_TIMEOUT", "0", "a duration above zero"),
    ("--redelivery-timeout", "DOCKET_WORKER_REDELIVERY_TIMEOUT", "1:2:3:4", "a duration above zero"),
    ("--redelivery-timeout", "DOCKET_WORKER_REDELIVERY_TIMEOUT", "9" * 30, "a duration above zero"),
    ("--reconnection-delay", "DOCKET_WORKER_RECONNECTION_DELAY", "9" * 400, "up to 36525 days"),
    ("--scheduling-resolution", "DOCKET_WORKER_SCHEDULING_RESOLUTION", "876601h", "up to 36525 days"),
    ("--minimum-check-interval", "DOCKET_WORKER_MINIMUM_CHECK_INTERVAL", "nan", "up to 36525 days"),
    ("--shutdown-timeout", "DOCKET_WORKER_SHUTDOWN_TIMEOUT", "inf", "up to 36525 days"),
    ("--unknown-task-patience", "DOCKET_WORKER_UNKNOWN_TASK_PATIENCE", "99999999:00:00", "up to 36525 days"),
    ("--shutdown-timeout", "DOCKET_WORKER_SHUTDOWN_TIMEOUT", "-5", "a duration from zero"),
    ("--max-deliveries", "DOCKET_WORKER_MAX_DELIVERIES", "0", "a whole number from 1"),
    ("--max-waiting", "DOCKET_WORKER_MAX_WAITING", "0", "a whole number from 1"),
    ("--lanes", "DOCKET_WORKER_LANES", "high,urgent", "each once: high, normal, low"),
    ("--lanes", "DOCKET_WORKER_LANES", "high,high", "each once: high, normal, low"),
    ("--lanes", "DOCKET_WORKER_LANES", ",", "each once: high, normal, low"),
    ("--unknown-task-patience", "DOCKET_WORKER_UNKNOWN_TASK_PATIENCE", "-5", "a duration from zero"),
    ("--execution-ttl", "DOCKET_EXECUTION_TTL", "-1", "or never"),
    ("--heartbeat-interval", "DOCKET_HEARTBEAT_INTERVAL", "0", "a duration above zero"),
    ("--missed-heartbeats", "DOCKET_MISSED_HEARTBEATS", "0", "a whole number from 1"),
    ("--result-storage", "DOCKET_RESULT_STORAGE", "shelf", "'package.module:name'"),
    ("--healthcheck-port", "DOCKET_WORKER_HEALTHCHECK_PORT", "70000", "a whole number from 0 to 65535"),
    ("--schedule-automatic-tasks", "DOCKET_WORKER_SCHEDULE_AUTOMATIC_TASKS", "maybe", "true or false"),
    ("--dependencies", "DOCKET_WORKER_DEPENDENCIES", "module.member", "'package.module:name'"),
]
EVERY_MISTAKE = pytest.mark.parametrize(("option", "variable", "text", "takes"), MISTAKES)


@EVERY_MISTAKE
def test_a_wrong_option_is_named_with_what_it_takes(
    option: str, variable: str, text: str, takes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = complaint(capsys, f"{option}={text}")
    assert said.startswith(f"docket-worker: {option} takes ")
    assert takes in said


@EVERY_MISTAKE
def test_a_wrong_variable_is_named_with_what_it_takes(
    option: str,
    variable: str,
    text: str,
    takes: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, text)
    said = complaint(capsys)
    assert said.startswith(f"docket-worker: {variable} takes ")
    assert takes in said


def test_a_password_in_a_bad_url_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert "hunter2" not in complaint(capsys, "--url", "redis://user:hunter2@host:port/0")


def test_an_unknown_option_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--concurrence" in complaint(capsys, "--concurrence", "3")


def test_a_missing_value_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--concurrency" in complaint(capsys, "--concurrency")


def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(docket_app(), ["wroker"]) == 2
    assert "wroker" in capsys.readouterr().err


class TestWhatIsImported:
    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.path", list(sys.path))
        return tmp_path

    def test_a_module_that_is_not_there_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = complaint(capsys, "--tasks", "no_such_module:tasks")
        assert "--tasks no_such_module:tasks: there is no module 'no_such_module'" in said

    def test_a_name_that_is_not_there_is_named(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (here / "module_without_tasks.py").write_text("")
        said = complaint(capsys, "--tasks", "module_without_tasks:tasks")
        assert "--tasks module_without_tasks:tasks: module 'module_without_tasks' has no 'tasks'" in said

    def test_what_a_module_of_the_user_lacks_is_not_blamed_on_the_option(self, here: Path) -> None:
        (here / "module_that_lacks.py").write_text("import something_that_is_not_installed")
        with pytest.raises(ModuleNotFoundError, match="something_that_is_not_installed"):
            run(worker_app(), ["--tasks", "module_that_lacks:tasks"])


def test_docket_worker_is_the_same_command() -> None:
    command, bound, _ = docket_app().parse_args(["worker", "--concurrency", "3"], exit_on_error=False)
    same, _, _ = worker_app().parse_args([], exit_on_error=False)
    assert command is same
    assert bound.arguments == {"concurrency": 3}
