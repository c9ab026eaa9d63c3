"""Who may speak over a link: both ends prove that they know the cluster's secret (R-SEC-3).

A challenge each way, answered by an HMAC over everything that was said: cluster, host, epoch, role and both nonces. A
door that reached the wrong host, or a host of another epoch than its map says, is rejected by name of the difference.
"""

import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from actors.certificates import Certificates
from actors.domain.ids import Epoch, HostId
from actors.link.frames import BadFrame

Role = Literal["door", "ingress"]


class Hello(Struct, frozen=True, array_like=True):
    """The host speaks first."""

    nonce: bytes


class Proof(Struct, frozen=True, array_like=True):
    """The client names what it wants to reach, and proves itself."""

    cluster: str
    host_id: HostId
    epoch: Epoch
    role: Role
    nonce: bytes
    mac: bytes


class Welcome(Struct, frozen=True, array_like=True):
    """The host proves itself."""

    mac: bytes


class Rejected(Exception):
    """The other end said no, or could not prove itself; the text says what differs."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What both ends must share. ``secret`` never travels. With ``certificates`` the link is TLS, and both ends show
    one of the same authority (R-SEC-5)."""

    cluster: str
    secret: bytes = field(repr=False)
    certificates: Certificates | None = None


def new_hello() -> Hello:
    return Hello(secrets.token_bytes(32))


def prove(credentials: Credentials, hello: Hello, host_id: HostId, epoch: Epoch, role: Role) -> Proof:
    """The client's answer to a challenge."""
    nonce = secrets.token_bytes(32)
    proof = Proof(credentials.cluster, host_id, epoch, role, nonce, b"")
    return msgspec.structs.replace(proof, mac=_mac(credentials, b"client", hello, proof))


def verify(credentials: Credentials, hello: Hello, proof: Proof, host_id: HostId, epoch: Epoch) -> Welcome:
    """The host's check of a client; ``Rejected``."""
    if not hmac.compare_digest(proof.mac, _mac(credentials, b"client", hello, proof)):
        raise Rejected("the cluster's secret")
    if proof.cluster != credentials.cluster:
        raise Rejected(f"the cluster: this is {credentials.cluster}")
    if (proof.host_id, proof.epoch) != (host_id, epoch):
        raise Rejected(f"the host: this is {host_id} at epoch {epoch}")
    return Welcome(_mac(credentials, b"host", hello, proof))


def check_welcome(credentials: Credentials, hello: Hello, proof: Proof, welcome: Welcome) -> None:
    """The client's check of the host; ``Rejected``."""
    if not hmac.compare_digest(welcome.mac, _mac(credentials, b"host", hello, proof)):
        raise Rejected("the host could not prove itself")


def _mac(credentials: Credentials, side: bytes, hello: Hello, proof: Proof) -> bytes:
    said = msgspec.msgpack.encode(
        [side, hello.nonce, proof.nonce, proof.cluster, proof.host_id, proof.epoch, proof.role]
    )
    return hmac.digest(credentials.secret, said, sha256)


def decode_hello(body: memoryview) -> Hello:
    return _decode(body, Hello)


def decode_proof(body: memoryview) -> Proof:
    return _decode(body, Proof)


def decode_welcome(body: memoryview) -> Welcome:
    return _decode(body, Welcome)


T = TypeVar("T", bound=Struct)


def _decode(body: memoryview, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.DecodeError as damaged:
        raise BadFrame(str(damaged)) from damaged
