"""Who calls: the names in a client's certificate, and the roles that the settings give to names (R-SEC-3, R-RPC-4).

The server has verified the certificate against the authority before; here it is only read. A certificate's DNS and
URI names count, its common name only when it has neither.
"""

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID
from msgspec import Struct

from serve_app.rpc.codes import Code, RpcError

KNOWN_CERTIFICATES = 4_096


class Role(Enum):
    """``READER`` asks about any user's library; ``GAME_SERVER`` reports what happens in any user's sessions."""

    READER = "reader"
    GAME_SERVER = "game_server"


class Peer(Struct, frozen=True):
    """``name`` is for logs."""

    name: str
    roles: frozenset[Role]


PLAINTEXT = Peer("plaintext", frozenset(Role))
"""Whoever reaches a door without TLS, which development alone may open."""


class Peers:
    """``names`` are those of certificates, by the role they have. ``plaintext``: the door has no TLS."""

    def __init__(self, names: Mapping[Role, frozenset[str]], *, plaintext: bool = False) -> None:
        self._names = dict(names)
        self._plaintext = plaintext
        self._known = lru_cache(maxsize=KNOWN_CERTIFICATES)(self._read)

    def of(self, certificate: str | None) -> Peer:
        """Whose leaf certificate that is (PEM, verified); ``RpcError`` without one."""
        if certificate is not None:
            return self._known(certificate)
        if self._plaintext:
            return PLAINTEXT
        raise RpcError(Code.UNAUTHENTICATED, "UNAUTHENTICATED", "a client certificate is required")

    def _read(self, pem: str) -> Peer:
        names = certificate_names(pem)
        roles = frozenset(role for role, allowed in self._names.items() if allowed & names)
        return Peer(min(names, default="nameless"), roles)


def certificate_names(pem: str) -> frozenset[str]:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
        alternative = extension.value
    except x509.ExtensionNotFound:
        alternative = None
    names: set[str] = set()
    if isinstance(alternative, x509.SubjectAlternativeName):
        names.update(alternative.get_values_for_type(x509.DNSName))
        names.update(alternative.get_values_for_type(x509.UniformResourceIdentifier))
    if not names:
        names.update(str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    return frozenset(names)
