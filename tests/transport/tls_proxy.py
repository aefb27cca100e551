"""Takes TLS from clients and passes it on in plain, for servers that do not speak TLS themselves.

``python -m tests.transport.tls_proxy <target port> <authority> <certificate> <ask|trust>`` prints its port.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading


def serve(accepted: socket.socket, context: ssl.SSLContext, target: int) -> None:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", target)) as behind:
        with context.wrap_socket(accepted, server_side=True) as front:
            threading.Thread(target=copy, args=(behind, front), daemon=True).start()
            copy(front, behind)


def copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)


def main() -> None:
    target, authority, certificate, clients = sys.argv[1:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.load_cert_chain(certificate)
    context.verify_mode = ssl.CERT_REQUIRED if clients == "ask" else ssl.CERT_NONE
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            accepted, _ = listener.accept()
            threading.Thread(target=serve, args=(accepted, context, int(target)), daemon=True).start()


if __name__ == "__main__":
    main()
