"""TLS certificates from files, renewed without a restart (R-SEC-3, R-SEC-5). For every door and every link.

    certificates = Certificates(CertificateFiles(certificate=..., key=..., ca=...))
    certificates.load()                            at the start; ``BadCertificate`` ends it
    await certificates.refresh()                   every few seconds; True when they are other ones

``server_context`` is made once and given to an asyncio server: each new connection gets the newest certificate,
connections that are open keep theirs. ``client_context`` is asked for at each connect. ``pem`` and ``on_renewed`` are
for servers that want bytes or must be told (gRPC).

Whoever replaces the files does it file by file: a pair that does not fit, or files that change while they are read,
keep the certificate in use until the next look.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

log = logging.getLogger(__name__)

CHECK_S = 5.0
"""How often files are to be looked at."""
MAX_FILE_BYTES = 1 << 20

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class CertificateFiles:
    """PEM files: our chain, its key without a password, and who signs those that we believe.

    A server with ``ca`` asks every client for a certificate. A client without it believes the system's authorities.
    """

    certificate: Path
    key: Path
    ca: Path | None = None


class Pem(Struct, frozen=True, kw_only=True):
    certificate: bytes
    key: bytes
    ca: bytes | None


class BadCertificate(Exception):
    """The files cannot be used: the operator's to mend. Nothing secret in the text.

    ``stays``: not before they change.
    """

    def __init__(self, reason: str, *, stays: bool = False) -> None:
        super().__init__(reason)
        self.stays = stays


class Certificates:
    """``alpn`` are the protocols that connections offer, the preferred one first."""

    def __init__(self, files: CertificateFiles, *, alpn: tuple[str, ...] = ()) -> None:
        self.files = files
        self.on_renewed: Callable[[Pem], None] | None = None
        self._alpn = list(alpn)
        self._stamp: Stamp | None = None
        self._refused: Stamp | None = None
        self._pem: Pem | None = None
        self._server: ssl.SSLContext | None = None
        self._front: ssl.SSLContext | None = None
        self._client: ssl.SSLContext | None = None

    def load(self) -> None:
        """Reads the files; blocks. ``BadCertificate``."""
        stamp = self._look()
        self._take(stamp, *self._read(stamp))

    async def refresh(self) -> bool:
        """Whether other certificates are used from now on. What cannot be used is logged and changes nothing; files
        that are wrong in themselves are looked at again when they have changed, all others at the next look."""
        stamp: Stamp | None = None
        try:
            stamp = await asyncio.to_thread(self._look)
            if stamp in (self._stamp, self._refused):
                return False
            read = await asyncio.to_thread(self._read, stamp)
        except BadCertificate as bad:
            if bad.stays:
                self._refused = stamp
            log.error("new certificate not usable, keeping the one in use: %s", bad)
            return False
        self._take(stamp, *read)
        log.info("certificate renewed", extra={"file": str(self.files.certificate)})
        if self.on_renewed is not None:
            self.on_renewed(self.pem)
        return True

    @property
    def pem(self) -> Pem:
        assert self._pem is not None, "load() was not called"
        return self._pem

    @property
    def server_context(self) -> ssl.SSLContext:
        """Always the same one; hands each new connection to the newest."""
        assert self._server is not None, "load() was not called"
        if self._front is None:
            self._front = self._server_context()
            self._front.sni_callback = self._hand_over
        return self._front

    @property
    def client_context(self) -> ssl.SSLContext:
        """The newest, for the next connect. Does not check the server's name: what is called by address has none."""
        assert self._client is not None, "load() was not called"
        return self._client

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _front: ssl.SSLContext) -> None:
        """Called for every handshake, with a name or without."""
        assert self._server is not None
        connection.context = self._server

    def _take(self, stamp: Stamp, pem: Pem, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        self._stamp, self._refused = stamp, None
        self._pem, self._server, self._client = pem, server, client

    def _look(self) -> Stamp:
        try:
            statuses = [path.stat() for path in self._paths()]
        except OSError as error:
            raise BadCertificate(f"{error.filename}: {error.strerror}") from None
        return tuple((status.st_mtime_ns, status.st_size, status.st_ino) for status in statuses)

    def _read(self, stamp: Stamp) -> tuple[Pem, ssl.SSLContext, ssl.SSLContext]:
        if any(size > MAX_FILE_BYTES for _, size, _ in stamp):
            raise BadCertificate("a file is too large", stays=True)
        try:
            files = self.files
            ca = None if files.ca is None else files.ca.read_bytes()
            pem = Pem(certificate=files.certificate.read_bytes(), key=files.key.read_bytes(), ca=ca)
            made = pem, self._server_context(), self._client_context()
        except (OSError, ssl.SSLError, ValueError) as error:
            whole = self._look() == stamp
            stays = whole and (isinstance(error, ssl.SSLError) or not isinstance(error, OSError))
            raise BadCertificate(f"{self.files.certificate}, {self.files.key}: {error}", stays=stays) from None
        if self._look() != stamp:
            raise BadCertificate("the files are being replaced")
        return made

    def _server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.files.ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return self._filled(context)

    def _client_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        if self.files.ca is None:
            context.load_default_certs()
        return self._filled(context)

    def _filled(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.load_cert_chain(self.files.certificate, self.files.key, password=_no_password)
        if self.files.ca is not None:
            context.load_verify_locations(self.files.ca)
        if self._alpn:
            context.set_alpn_protocols(self._alpn)
        return context

    def _paths(self) -> list[Path]:
        files = self.files
        return [path for path in (files.certificate, files.key, files.ca) if path is not None]


def _no_password() -> str:
    """Without this OpenSSL would ask at the terminal for it."""
    raise ValueError("the key has a password")
