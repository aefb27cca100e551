"""TLS over any stream, by memory BIOs: encrypting is synchronous, hence as safe to cancel as the stream."""

from __future__ import annotations

import ssl

from ..errors import BadUrl
from .sockets import SocketStream
from .url import TlsOptions

__all__ = ["TlsStream", "make_context", "secure"]

#: Plaintext encrypted at a time: one TLS record. The server cannot decrypt a part of a record, so it has not seen bytes
#: that were not reported as taken.
_RECORD = 16384
_CHUNK = 65536


def make_context(options: TlsOptions) -> ssl.SSLContext:
    """Make the context that the ``ssl_*`` options of a URL ask for.

    Raises: BadUrl - a certificate or key cannot be loaded, or a cipher is unknown.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = options.check_hostname and options.cert_reqs is not ssl.CERT_NONE
    context.verify_mode = options.cert_reqs
    what = "ssl_min_version"
    try:
        if options.min_version is not None:
            context.minimum_version = options.min_version
        what = "ssl_ciphers"
        if options.ciphers is not None:
            context.set_ciphers(options.ciphers)
        what = "ssl_certfile, ssl_keyfile or ssl_password"
        if options.certfile is not None:
            context.load_cert_chain(options.certfile, options.keyfile, options.password)
        what = "ssl_ca_certs, ssl_ca_path or ssl_ca_data"
        if options.ca_certs or options.ca_path or options.ca_data:
            context.load_verify_locations(options.ca_certs, options.ca_path, options.ca_data)
        elif options.cert_reqs is not ssl.CERT_NONE:
            context.load_default_certs()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise BadUrl(f"Bad TLS option: {what} cannot be used: {error}") from error
    return context


class TlsStream:
    """TLS on top of a socket (see ``docket.transport.stream.Stream``).

    ``try_send`` reports bytes as taken only when their ciphertext has been sent; until then the caller presents the
    same bytes again, as OpenSSL's ``SSL_write`` requires. So no bytes that were taken wait here for a flusher.
    """

    __slots__ = ("_below", "_ciphertext", "_encrypted", "_incoming", "_outgoing", "_tls")

    def __init__(self, below: SocketStream, context: ssl.SSLContext, hostname: str) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._ciphertext = bytearray()
        #: How many bytes at the front of the caller's buffer are in ``_ciphertext`` already.
        self._encrypted = 0

    def try_send(self, buffer: bytes | bytearray | memoryview) -> int:
        if not self._encrypted and buffer:
            with memoryview(buffer) as whole, whole[:_RECORD] as chunk:
                self._encrypted = self._tls.write(chunk)
        if not self._push():
            return 0
        taken, self._encrypted = self._encrypted, 0
        return taken

    def try_receive(self) -> bytes | None:
        data = self._below.try_receive()
        if data is None:
            return None
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        chunks: list[bytes] = []
        try:
            while chunk := self._tls.read(_CHUNK):
                chunks.append(chunk)
        except ssl.SSLWantReadError:
            self._push()  # the reply to a key update, if there was one
            return b"".join(chunks) or None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
        return b"".join(chunks)  # what came before the end, or the end

    async def wait_readable(self) -> None:
        await self._below.wait_readable()

    async def wait_writable(self) -> None:
        await self._below.wait_writable()

    def fileno(self) -> int:
        return self._below.fileno()

    def wake(self) -> None:
        self._below.wake()

    def close(self) -> None:
        self._below.close()

    def abandon(self) -> None:
        self._below.abandon()

    async def handshake(self) -> None:
        """Do the TLS handshake.

        Raises: OSError - the connection broke, or ssl.SSLError: a certificate or version was refused.
        """
        while True:
            try:
                self._tls.do_handshake()
                finished = True
            except ssl.SSLWantReadError:
                finished = False
            while not self._push():
                await self._below.wait_writable()
            if finished:
                return
            data = self._below.try_receive()
            if data is None:
                await self._below.wait_readable()
            elif data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def _push(self) -> bool:
        """Send ciphertext; True if all of it was sent."""
        self._ciphertext += self._outgoing.read()
        while self._ciphertext:
            sent = self._below.try_send(self._ciphertext)
            if not sent:
                return False
            del self._ciphertext[:sent]
        return True


async def secure(below: SocketStream, context: ssl.SSLContext, hostname: str) -> TlsStream:
    """Put TLS on a connected stream; see ``TlsStream.handshake`` for errors."""
    stream = TlsStream(below, context, hostname)
    await stream.handshake()
    return stream
