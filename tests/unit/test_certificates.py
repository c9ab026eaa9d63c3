"""Certificates are renewed while connections come and go (R-SEC-3)."""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.x509.oid import NameOID

from actors.certificates import BadCertificate, CertificateFiles, Certificates
from tests.support.certificates import Authority, replace


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, object]:
    """The loop that doors run on has its own TLS."""
    return {"uvloop": uvloop.new_event_loop}


class Listening:
    """A TLS server that says hello, with certificates that the test replaces."""

    def __init__(self, certificates: Certificates, authority: Authority, port: int) -> None:
        self.certificates = certificates
        self.authority = authority
        self.port = port

    def issue(self, name: str) -> None:
        self.authority.issue(name, "server")

    async def seen_name(self, *, client: tuple[Path, Path] | None = None, sni: str | None = None) -> str | bytes:
        """The name on the certificate that a new connection is shown; none when it is turned away, which a client
        of TLS 1.3 hears from a connection that ends."""
        context = ssl.create_default_context(cafile=self.authority.file)
        context.check_hostname = False
        if client is not None:
            context.load_cert_chain(*client)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=sni or "")
        said = await reader.read()
        shown = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        writer.close()
        return said and str(shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[Listening]:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("first", "server")
    certificates = Certificates(CertificateFiles(certificate=certificate, key=key))
    certificates.load()
    server = await asyncio.start_server(hello, "127.0.0.1", 0, ssl=certificates.server_context)
    yield Listening(certificates, authority, server.sockets[0].getsockname()[1])
    server.close()


async def test_new_connections_get_the_new_certificate(listening: Listening) -> None:
    """R-SEC-3: with a name in the handshake and without."""
    told = []
    listening.certificates.on_renewed = told.append
    assert await listening.seen_name() == "first"
    assert await listening.certificates.refresh() is False
    listening.issue("second")
    assert await listening.certificates.refresh() is True
    assert await listening.seen_name() == "second"
    assert await listening.seen_name(sni="localhost") == "second"
    assert [pem.certificate for pem in told] == [listening.certificates.files.certificate.read_bytes()]


async def test_a_pair_that_does_not_fit_keeps_the_one_in_use(
    listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    """R-SEC-3: certificate and key are replaced one after the other; what is broken is logged once, not every look."""
    files = listening.certificates.files
    key = files.key.read_bytes()
    listening.issue("second")
    new_key = files.key.read_bytes()
    for broken in (key, b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        replace(files.key, broken)
        caplog.clear()
        for _ in range(3):
            assert await listening.certificates.refresh() is False
        assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
        assert await listening.seen_name() == "first"
    files.key.unlink()
    assert await listening.certificates.refresh() is False
    replace(files.key, new_key)
    assert await listening.certificates.refresh() is True
    assert await listening.seen_name() == "second"


async def test_a_client_shows_a_certificate_of_the_newest_authority(tmp_path: Path) -> None:
    """R-SEC-3: mutual TLS, and the clients' authority is renewed too."""
    ours, theirs, next_one = (Authority(tmp_path, name) for name in ("ours", "theirs", "next"))
    certificate, key = ours.issue("server")
    ca = tmp_path / "clients.pem"
    replace(ca, theirs.file.read_bytes())
    certificates = Certificates(CertificateFiles(certificate=certificate, key=key, ca=ca))
    certificates.load()
    server = await asyncio.start_server(hello, "127.0.0.1", 0, ssl=certificates.server_context)
    listening = Listening(certificates, ours, server.sockets[0].getsockname()[1])
    old, new = theirs.issue("old-client"), next_one.issue("new-client")
    assert await listening.seen_name(client=old) == "server"
    assert not await listening.seen_name()
    assert not await listening.seen_name(client=new)
    replace(ca, next_one.file.read_bytes())
    assert await certificates.refresh() is True
    assert await listening.seen_name(client=new) == "server"
    assert not await listening.seen_name(client=old)
    server.close()


def test_what_cannot_be_used_at_the_start_is_said(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, _ = authority.issue("one")
    _, key = authority.issue("other")
    with pytest.raises(BadCertificate, match=r"one\.crt"):
        Certificates(CertificateFiles(certificate=certificate, key=key)).load()
    with pytest.raises(BadCertificate, match="No such file"):
        Certificates(CertificateFiles(certificate=certificate, key=tmp_path / "none")).load()


async def test_a_look_that_was_cut_short_or_could_not_read_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-SEC-3: only files that are wrong in themselves wait for other ones."""
    authority = Authority(tmp_path, "ours")
    certificate, key = authority.issue("door")
    certificates = Certificates(CertificateFiles(certificate=certificate, key=key))
    certificates.load()
    authority.issue("door")
    read = certificates._read

    def full(_stamp: object) -> object:
        raise BadCertificate("too many open files")

    monkeypatch.setattr(certificates, "_read", full)
    assert not await certificates.refresh()
    monkeypatch.setattr(certificates, "_read", lambda stamp: (time.sleep(0.2), read(stamp))[1])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await certificates.refresh()
    assert await certificates.refresh()
