"""Certificates of the development stack (R-SEC-3)."""

import ssl
from pathlib import Path

from actors.certificates import CertificateFiles, Certificates
from cluster.dev.certificates import CALLER, DevelopmentCertificates
from serve_app.rpc.callers import Peers, Role


def test_they_are_made_once_for_whoever_asks_and_fit_each_other(tmp_path: Path) -> None:
    made = DevelopmentCertificates.of(tmp_path)
    environment = made.environment()
    first = made.certificate.read_bytes()

    assert DevelopmentCertificates.of(tmp_path).environment() == environment
    assert made.certificate.read_bytes() == first
    for certificate, key in ((made.certificate, made.key), (made.client_certificate, made.client_key)):
        Certificates(CertificateFiles(certificate=certificate, key=key, ca=made.authority)).load()
        assert key.stat().st_mode & 0o077 == 0, "a key is its owner's alone"


def test_the_developer_has_the_roles_that_the_environment_gives(tmp_path: Path) -> None:
    made = DevelopmentCertificates.of(tmp_path)
    environment = made.environment()
    assert environment["LIBRARY_GRPC_READERS"] == environment["LIBRARY_GRPC_GAME_SERVERS"] == CALLER

    peer = Peers({role: frozenset({CALLER}) for role in Role}).of(made.client_certificate.read_text())

    assert peer.name == CALLER
    assert peer.roles == frozenset(Role)


def test_what_cannot_be_read_is_made_again(tmp_path: Path) -> None:
    made = DevelopmentCertificates.of(tmp_path)
    made.ensure()
    made.certificate.write_bytes(b"no certificate")

    made.ensure()

    context = ssl.create_default_context(cafile=made.authority)
    context.load_cert_chain(made.certificate, made.key)
