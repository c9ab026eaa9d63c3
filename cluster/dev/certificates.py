"""The development stack's own authority: a certificate for the gRPC door and one for whoever tries it out (R-SEC-3).

Made once, all at the same time, and again before they run out. Nobody else believes them.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import tempfile
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=30)
CALLER = "developer"
"""The name in the client's certificate; it has every role."""


class DevelopmentCertificates:
    """``folder`` is made when first needed."""

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "authority.pem"
        self.certificate, self.key = folder / "server.pem", folder / "server.key"
        self.client_certificate, self.client_key = folder / f"{CALLER}.pem", folder / f"{CALLER}.key"
        self._folder = folder

    @classmethod
    def of(cls, stack: Path) -> Self:
        """Those of a stack's directory."""
        return cls(stack / "certificates")

    def environment(self) -> dict[str, str]:
        """The service's variables; makes what is missing."""
        self.ensure()
        return {
            "LIBRARY_GRPC_CERTIFICATE_FILE": str(self.certificate),
            "LIBRARY_GRPC_KEY_FILE": str(self.key),
            "LIBRARY_GRPC_CLIENT_CA_FILE": str(self.authority),
            "LIBRARY_GRPC_READERS": CALLER,
            "LIBRARY_GRPC_GAME_SERVERS": CALLER,
        }

    def ensure(self) -> None:
        """Whoever comes first makes them; the others see all of them or none."""
        if self._good():
            return
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{self._folder.name}-", dir=self._folder.parent))
        try:
            _make(fresh)
            if self._folder.exists():
                self._folder.rename(fresh / "former")
            fresh.rename(self._folder)
        except OSError:
            if not self._good():
                raise
            shutil.rmtree(fresh, ignore_errors=True)

    def _good(self) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        except (OSError, ValueError):
            return False
        return certificate.not_valid_after_utc - RENEW_BEFORE > datetime.datetime.now(datetime.UTC)


def _make(folder: Path) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("library development authority")
    _write(folder / "authority.pem", _signed(issuer, issuer, authority_key, authority_key, authority=True))
    for name in ("server", CALLER):
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder / f"{name}.pem", _signed(_name(name), issuer, key, authority_key))
        _write(
            folder / f"{name}.key",
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool = False,
) -> bytes:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    common_name = str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    if common_name == "server":
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    elif not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _write(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
