"""``docket web``: a process that serves the dashboard, on each event loop."""

from __future__ import annotations

import base64
import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from docket.cli.app import docket_app, run
from tests.cli.office import Command
from tests.where import slow

LOOPS = ("asyncio", "uvloop", "trio")


@contextmanager
def serving(url: str, *options: str) -> Iterator[tuple[Command, int]]:
    """The command, and the port that it listens on."""
    with Command("web", "--url", url, "--port", "0", *options) as command:
        line = command.line()
        assert line.startswith("Serving http://127.0.0.1:"), (line, command.ended())
        yield command, int(line.rstrip("/").rpartition(":")[2])


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command line that does not come to serve."""
    status = run(docket_app(), ["web", *options])
    said = capsys.readouterr()
    return status, said.out, said.err


def get(port: int, path: str = "/", **headers: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(
            "GET", path, headers={name.replace("_", "-"): each for name, each in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@slow
@pytest.mark.parametrize("loop", LOOPS)
def test_it_serves_and_ends_at_once_with_a_stream_open(redis_url: str, loop: str) -> None:
    with serving(redis_url, "--backend", loop) as (command, port):
        status, page = get(port)
        assert status == 200
        assert "Overview" in page
        with socket.create_connection(("127.0.0.1", port), timeout=20) as viewer:
            viewer.sendall(b"GET /live?of=work HTTP/1.1\r\nHost: localhost\r\n\r\n")
            seen = b""
            while b"event: parts" not in seen:
                seen += viewer.recv(65536)
            begun = time.monotonic()
            command.process.terminate()
            out = command.ended()
            assert command.process.returncode == 0, out
            assert time.monotonic() - begun < 5  # a fraction of a second, on a machine that has time
        assert "Traceback" not in out[1] + out[2]


def test_several_dockets_have_a_list(redis_url: str) -> None:
    with serving(redis_url, "--docket", "orders", "--docket", "a/b") as (_, port):
        status, page = get(port)
        assert status == 200
        assert 'href="orders/"' in page
        assert 'href="a%2Fb/"' in page
        assert "orders" in get(port, "/orders/")[1]
        assert get(port, "/a%2Fb/work")[0] == 200
        assert get(port, "/board.css")[0] == 200
        assert get(port, "/nowhere")[0] == 404


def test_without_a_password_it_answers_to_its_own_names_alone(redis_url: str) -> None:
    """Else a page of somebody else could have a browser read it, under a name that points here."""
    with serving(redis_url, "--allow-host", "ops.internal") as (_, port):
        for host in (
            f"localhost:{port}",
            f"127.0.0.1:{port}",
            f"[::1]:{port}",
            "ops.internal",
            "OPS.internal:80",
        ):
            assert get(port, host=host)[0] == 200, host
        for host in ("evil.test", f"evil.test:{port}", "localhost.evil.test", "127.0.0.1.evil.test", ""):
            status, page = get(port, host=host)
            assert status == 421, host
            assert "--allow-host" in page


def test_with_a_password_it_asks_for_it(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n", encoding="utf-8")
    with serving(redis_url, "--password-file", str(file), "--user", "ops") as (_, port):
        good = "Basic " + base64.b64encode(b"ops:s3cret").decode()
        assert get(port)[0] == 401
        assert get(port, authorization="Basic " + base64.b64encode(b"ops:wrong").decode())[0] == 401
        assert get(port, authorization=good, host="any.name")[0] == 200
        assert get(port, "/health")[0] == 200
    monkeypatch.setenv("DOCKET_WEB_PASSWORD", "other")
    with serving(redis_url) as (_, port):
        assert get(port, authorization="Basic " + base64.b64encode(b"docket:other").decode())[0] == 200


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, err = refused(capsys, "--port", str(port))
    assert status == 2
    assert err.startswith(f"docket: the dashboard cannot be served on port {port} of 127.0.0.1: ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0 can be reached from elsewhere"),
        (["--host", "::"], "can be reached from elsewhere"),
        (["--password-file", "/nowhere/at/all"], "--password-file cannot be read"),
        (["--password-file", "/dev/null"], "has no password in its first line"),
        (["--origin", "ops.example.org"], "origins takes addresses like"),
        (["--port", "65536"], "--port takes a whole number from 0 to 65535"),
        (["--url", "memory://"], "memory:// is a server within one process"),
        (["--tasks", "nowhere:x"], "there is no module 'nowhere'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = refused(capsys, *options)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_password_and_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKET_WEB_PASSWORD", "x")
    status, _, err = refused(capsys, "--no-password")
    assert status == 2
    assert "give one of them" in err
