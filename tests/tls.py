"""Servers that speak TLS, and certificates for them and their clients."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import trustme

from tests.servers import Server, binary, free_port

__all__ = ["Certificates", "issue", "tls_front", "tls_server"]


@attrs.frozen
class Certificates:
    """Where they are: the authority's, the server's, that of a server by another name, a client's."""

    ca: Path
    ca_text: str
    server: Path
    stranger: Path
    client: Path


def issue(folder: Path) -> Certificates:
    """Files of an authority and of those whom it knows, each with its key."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "server.pem")
    )
    authority.issue_cert("elsewhere.example.org").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "stranger.pem")
    )
    authority.issue_cert("someone@example.org").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "client.pem")
    )
    return Certificates(
        folder / "ca.pem",
        authority.cert_pem.bytes().decode(),
        folder / "server.pem",
        folder / "stranger.pem",
        folder / "client.pem",
    )


@functools.cache
def server_speaks_tls() -> bool:
    """Whether the server under test was built with TLS."""
    words = ["--port", "0", "--tls-port", str(free_port()), "--tls-cert-file", "/there/is/none"]
    said = subprocess.run([binary(), *words], capture_output=True, text=True, timeout=20)
    return not any(it in said.stdout + said.stderr for it in ("Bad directive", "Failed finding TLS support"))


@contextlib.contextmanager
def tls_server(certificates: Certificates, certificate: Path, *, ask_clients: bool = False) -> Iterator[int]:
    """A server and its port for TLS; with ``ask_clients`` it turns away who shows no certificate."""
    if server_speaks_tls():
        port = free_port()
        arguments = {
            "--tls-port": str(port),
            "--tls-cert-file": str(certificate),
            "--tls-key-file": str(certificate),
            "--tls-ca-cert-file": str(certificates.ca),
            "--tls-auth-clients": "yes" if ask_clients else "no",
        }
        with Server(*(word for pair in arguments.items() for word in pair)):
            yield port
    else:
        with Server() as server, tls_front(certificates, certificate, server.port, ask_clients) as port:
            yield port


@contextlib.contextmanager
def tls_front(
    certificates: Certificates, certificate: Path, port: int, ask_clients: bool = False
) -> Iterator[int]:
    """A port that takes TLS and passes it on to ``port`` in plain."""
    words = [str(port), str(certificates.ca), str(certificate), "ask" if ask_clients else "trust"]
    command = [sys.executable, "-m", "tests.transport.tls_proxy", *words]
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert proxy.stdout is not None
    try:
        yield int(proxy.stdout.readline())
    finally:
        proxy.kill()
        proxy.communicate()
