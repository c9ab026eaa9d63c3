"""Who is believed, what travels in the clear, and how fast one user may ask (R-SEC-1, R-SEC-3, R-SEC-4, R-SEC-5)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator

from cluster.settings.fields import Secret, Section, setting
from cluster.settings.sections import DAY_S, URL, Url, comma_separated

PEM = "a PEM file"
Connection = Literal["http", "jwks", "kafka", "link", "postgres", "ray", "redis", "s3", "services"]


class Auth(Section):
    remembered_tokens: int = setting(
        200_000,
        meaning="Verified tokens that one door remembers, about 250 bytes each; verifying costs more than a heartbeat.",
        ge=100,
        le=10_000_000,
    )
    jwt_hs256_secret: Secret | None = setting(
        None,
        env="AUTH_JWT_HS256_SECRET",
        meaning="Key of HS256 tokens; development only.",
        allowed="at least 32 characters",
        shown_default="none; a well-known one in development if nothing else is set",
        min_length=32,
    )
    jwks_file: Path | None = setting(
        None, env="AUTH_JWKS_FILE", meaning="Public keys of tokens, read again when they change.",
        allowed="a JSON file (RFC 7517)",
    )  # fmt: skip
    jwks_url: Url | None = setting(
        None, env="AUTH_JWKS_URL", meaning="The same from an address, read in the background; instead of a file.",
        allowed=URL,
    )  # fmt: skip
    jwks_refresh_seconds: int = setting(
        300, meaning="How often that address is asked; an unknown key asks at once.", ge=5, le=DAY_S
    )
    jwt_audience: str | None = setting(
        None, env="AUTH_JWT_AUDIENCE", meaning="Required `aud` of tokens.", allowed="a text", min_length=1
    )
    jwt_issuer: str | None = setting(
        None, env="AUTH_JWT_ISSUER", meaning="Required `iss` of tokens.", allowed="a text", min_length=1
    )
    trust_gateway: bool = setting(
        False, env="AUTH_TRUST_GATEWAY", meaning="Believe X-User-Id from whoever can reach the door."
    )


class Tls(Section):
    """Files are read again when they change; new connections get the new certificate."""

    certificate_file: Path | None = setting(
        None, env="LIBRARY_TLS_CERTIFICATE_FILE", allowed=PEM,
        meaning="The doors' certificate with its chain; with it they speak TLS alone.",
    )  # fmt: skip
    key_file: Path | None = setting(
        None, env="LIBRARY_TLS_KEY_FILE", meaning="Its key, without a password.", allowed=PEM
    )
    link_certificate_file: Path | None = setting(
        None, env="LIBRARY_LINK_CERTIFICATE_FILE", allowed=PEM,
        meaning="What every process of the cluster shows on the link between doors and hosts.",
    )  # fmt: skip
    link_key_file: Path | None = setting(None, env="LIBRARY_LINK_KEY_FILE", meaning="Its key.", allowed=PEM)
    link_ca_file: Path | None = setting(
        None, env="LIBRARY_LINK_CA_FILE", meaning="Who signed the certificates of the link.", allowed=PEM
    )
    ray: bool = setting(
        False, env="RAY_USE_TLS",
        meaning="Ray's own processes speak TLS (its RAY_TLS_* variables say how); asked for by production.",
    )  # fmt: skip
    plaintext: Annotated[tuple[Connection, ...], BeforeValidator(comma_separated)] = setting(
        (), env="LIBRARY_PLAINTEXT",
        meaning="What production may do without TLS, because something else protects it: a service mesh, one machine.",
        allowed=f"some of {', '.join(get_args(Connection))}, separated by commas",
    )  # fmt: skip

    @property
    def link_files(self) -> tuple[Path | None, Path | None, Path | None]:
        return self.link_certificate_file, self.link_key_file, self.link_ca_file


class RateLimits(Section):
    """What one user may ask of one door; more is a 429. Heartbeats have their own measure: in time they always pass."""

    enabled: bool = setting(True, env="LIBRARY_RATE_LIMITS", meaning="Whether users are limited at all.")
    reads_per_s: float = setting(20, meaning="Requests that change nothing.", ge=0.1, le=100_000)
    reads_burst: int = setting(100, meaning="How many of them may come at once.", ge=1, le=1_000_000)
    writes_per_s: float = setting(10, meaning="Requests that change something.", ge=0.1, le=100_000)
    writes_burst: int = setting(50, meaning="How many of them may come at once.", ge=1, le=1_000_000)
