"""The dashboard inside of an application, on the servers that people run."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.house.tree import ROOT

APP = "tests.mounts.served:app"

UVICORN = ("uvicorn", APP, "--port", "0", "--timeout-graceful-shutdown", "1")
HYPERCORN = ("hypercorn", APP, "--bind", "127.0.0.1:0", "--graceful-timeout", "1")

SERVERS = {
    "uvicorn": UVICORN,
    "uvicorn-uvloop": (*UVICORN, "--loop", "uvloop"),
    "hypercorn": HYPERCORN,
    "hypercorn-uvloop": (*HYPERCORN, "--worker-class", "uvloop"),
    "hypercorn-trio": (*HYPERCORN, "--worker-class", "trio"),
}


@contextmanager
def running(url: str, command: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server in a process of its own, and its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", *SERVERS[command]],
        cwd=ROOT,
        env={"DOCKET_URL": url, "PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while not (port := re.search(r"[Rr]unning on http://127.0.0.1:(\d+)", said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process, int(port[1])
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("command", SERVERS)
def test_pages_streams_and_forms_work_and_the_server_ends_while_somebody_looks(
    redis_url: str, command: str
) -> None:
    with running(redis_url, command) as (process, port):
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True) as client:
            assert client.get("/ops").url.path == "/ops/"
            assert client.get("/ops/work/").url.path == "/ops/work"
            form = {"name": "paint", "reason": "out of paint", "back": "pauses"}
            paused = client.post("/ops/pause", data=form, headers={"sec-fetch-site": "same-origin"})
            assert "Paused 1 task." in paused.text
        with socket.create_connection(("127.0.0.1", port), timeout=20) as viewer:
            viewer.sendall(b"GET /ops/live?of=pauses HTTP/1.1\r\nHost: localhost\r\n\r\n")
            seen = b""
            while b"out of paint" not in seen:
                seen += viewer.recv(65536)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)
            assert "left the docket" in out
            assert time.monotonic() - begun < 10
