"""What a gRPC door is told, as plain values; the composition root fills it in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from actors.certificates import CertificateFiles
from serve_app.rpc.callers import Role

Server = Literal["h2corn", "grpcio"]


@dataclass(frozen=True, kw_only=True)
class RpcSettings:
    """One gRPC door. Without ``tls`` it speaks in the clear and believes everybody: development alone.

    ``roles`` are the names of client certificates that have each role. ``command_timeout_s`` bounds how long a call
    waits for its actor, ``drain_grace_s`` how long calls may go on after ``drain`` began, ``message_timeout_s`` how
    long a unary call may be there without a byte of its message (h2corn alone; grpcio waits as long as the caller).
    ``handshake_timeout_s`` bounds how long a connection may take to speak TLS and HTTP/2; it is one of ``connections``
    from its first moment (h2corn alone; grpcio does not count them).
    Connections that were open when a certificate changed keep the former one until they close.
    """

    tls: CertificateFiles | None = None
    roles: Mapping[Role, frozenset[str]] = field(default_factory=dict)
    server: Server = "h2corn"
    host: str = "0.0.0.0"
    port: int = 9094
    command_timeout_s: float = 5.0
    drain_grace_s: float = 10.0
    message_timeout_s: float = 10.0
    handshake_timeout_s: float = 10.0
    connections: int = 10_000
    streams_per_connection: int = 1_000
    backlog: int = 2_048

    def __post_init__(self) -> None:
        if self.tls is not None and self.tls.ca is None:
            raise ValueError("a gRPC door with TLS needs the authority of its clients' certificates")
