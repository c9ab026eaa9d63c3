"""What a door is told, as plain values; the composition root fills it in."""

from dataclasses import dataclass, field
from pathlib import Path

from actors.certificates import CertificateFiles


@dataclass(frozen=True, kw_only=True)
class AuthSettings:
    """Who is believed (R-SEC-1). At least one of the ways must be given.
    ``jwks_url`` is asked every ``jwks_refresh_s``, a file looked at every ``jwks_check_s``.

    ``audience`` and ``issuer`` are checked when set. ``trust_gateway`` believes ``X-User-Id`` from whoever can reach
    the door. ``leeway_s`` forgives clocks that differ.
    """

    hs256_secret: bytes | None = field(default=None, repr=False)
    jwks_file: Path | None = None
    jwks_url: str | None = None
    trust_gateway: bool = False
    audience: str | None = None
    issuer: str | None = None
    leeway_s: float = 5.0
    remembered_tokens: int = 200_000
    jwks_check_s: float = 5.0
    jwks_refresh_s: float = 300.0

    def __post_init__(self) -> None:
        if not (self.hs256_secret or self.jwks_file or self.jwks_url or self.trust_gateway):
            raise ValueError("no way to authenticate: give an HS256 secret, a JWKS, or trust the gateway")
        if self.hs256_secret is not None and len(self.hs256_secret) < 32:
            raise ValueError("the HS256 secret must have at least 32 bytes")


@dataclass(frozen=True, kw_only=True)
class RateSettings:
    """What one user may ask of one door (R-SEC-4), in real time. ``burst`` is how much may come at once.

    A heartbeat ``beat_gap_s`` after the session's last one passes whatever else the user does, for up to
    ``sessions_per_user`` sessions. ``users`` bounds each map, ``hasty_users`` the one of those who beat too fast.
    """

    reads_per_s: float = 20
    reads_burst: int = 100
    writes_per_s: float = 10
    writes_burst: int = 50
    beats_per_s: float = 1
    beats_burst: int = 50
    beat_gap_s: float = 6
    sessions_per_user: int = 5
    users: int = 200_000
    hasty_users: int = 10_000


@dataclass(frozen=True, kw_only=True)
class WireLimits:
    """What one client may cost (R-SEC-4). Sizes in bytes, times in seconds of real time.

    ``header_timeout_s`` runs from a request's first byte (or the connection) to the end of its headers,
    ``body_timeout_s`` from there to the end of its body, ``response_timeout_s`` from there to the end of the answer,
    so it also ends clients that do not read; ``idle_timeout_s`` runs between requests. ``handshakes`` are those of TLS
    that are not done yet, each of which may take ``header_timeout_s`` too.
    """

    request_line_bytes: int = 8_192
    header_bytes: int = 16_384
    header_count: int = 100
    body_bytes: int = 262_144
    connections: int = 10_000
    handshakes: int = 1_000
    header_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    response_timeout_s: float = 60.0
    idle_timeout_s: float = 75.0
    linger_s: float = 2.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ValueError(f"{name} must be positive")


@dataclass(frozen=True, kw_only=True)
class DoorSettings:
    """One HTTP door. ``run_dir`` is the node's directory of metric sockets (see ``actors.telemetry``).

    With ``tls`` the door speaks HTTPS alone; without ``rates`` users are not limited.

    ``command_timeout_s`` bounds how long a request waits for its actor; ``drain_grace_s`` how long requests may go on
    after ``drain`` began, ``drain_idle_s`` of it how long quiet connections stay open to hear ``Connection: close``.
    """

    run_dir: Path
    tls: CertificateFiles | None = None
    rates: RateSettings | None = None
    host: str = "0.0.0.0"
    port: int = 8084
    process: str = "door"
    command_timeout_s: float = 5.0
    drain_grace_s: float = 10.0
    drain_idle_s: float = 2.0
    scrape_timeout_s: float = 2.0
    backlog: int = 2_048
    limits: WireLimits = field(default_factory=WireLimits)

    def __post_init__(self) -> None:
        if self.drain_idle_s > self.drain_grace_s:
            raise ValueError("drain_idle_s must not exceed drain_grace_s")
        if self.command_timeout_s >= self.limits.response_timeout_s:
            raise ValueError("command_timeout_s must be below limits.response_timeout_s")
