"""What production refuses: secrets that everybody knows, fast clocks, and connections in the clear (R-SEC-5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from cluster.settings.model import Settings
    from cluster.settings.security import Connection

DEVELOPMENT_CLUSTER_SECRET = "development-only-cluster-secret-0123456789"
ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})


def production_problems(settings: Settings) -> list[str]:
    """One line each, in the form of every error of the settings."""
    return [*_secrets(settings), *_clear_connections(settings)]


def _secrets(settings: Settings) -> Iterator[str]:
    auth, cluster = settings.auth, settings.cluster
    if cluster.secret is None:
        yield "LIBRARY_CLUSTER_SECRET: is missing; production needs one of at least 32 characters"
    elif cluster.secret.get_secret_value() == DEVELOPMENT_CLUSTER_SECRET:
        yield "LIBRARY_CLUSTER_SECRET: is the well-known one of development; choose a random one"
    if auth.jwt_hs256_secret is not None:
        yield "AUTH_JWT_HS256_SECRET: is for development only; use AUTH_JWKS_FILE or AUTH_JWKS_URL"
    if auth.jwks_file is None and auth.jwks_url is None and not auth.trust_gateway:
        yield "AUTH_JWKS_FILE: is missing; production needs it, or AUTH_JWKS_URL, or AUTH_TRUST_GATEWAY=true"
    if settings.grpc.plaintext:
        yield "LIBRARY_GRPC_PLAINTEXT: is for development only; callers prove who they are by certificates"
    if cluster.clock_rate != 1:
        yield f"LIBRARY_CLOCK_RATE: {cluster.clock_rate:g} is for development only; production allows 1"


def _clear_connections(settings: Settings) -> Iterator[str]:
    allowed = settings.tls.plaintext
    for connection, encrypted, remedy in _connections(settings):
        if not encrypted and connection not in allowed:
            yield (
                f"{remedy}; production needs TLS there, or LIBRARY_PLAINTEXT={connection} if something else protects it"
            )


def _connections(settings: Settings) -> Iterator[tuple[Connection, bool, str]]:
    """What is connected, whether by TLS, and what to set otherwise."""
    tls, auth, kafka = settings.tls, settings.auth, settings.kafka
    yield "http", tls.certificate_file is not None, "LIBRARY_TLS_CERTIFICATE_FILE: is missing"
    yield "link", tls.link_certificate_file is not None, "LIBRARY_LINK_CERTIFICATE_FILE: is missing"
    yield "ray", tls.ray, "RAY_USE_TLS: is not 1"
    dsn = settings.database.postgres_dsn.get_secret_value()
    yield "postgres", _is_encrypted(dsn), "POSTGRES_DSN: has no sslmode=verify-full (verify-ca, require)"
    yield "kafka", kafka.security_protocol.endswith("SSL"), "KAFKA_SECURITY_PROTOCOL: is neither SSL nor SASL_SSL"
    url = auth.jwks_url
    yield "jwks", url is None or url.startswith("https://"), "AUTH_JWKS_URL: does not begin with https://"
    yield "redis", settings.redis.address is None or settings.redis.use_tls, "REDIS_USE_TLS: is not true"
    services = settings.services
    named = (
        services.catalog_grpc_addr,
        services.download_grpc_addr,
        services.account_grpc_addr,
        services.auth_grpc_addr,
    )
    yield "services", not any(named) or services.ca_file is not None, "SERVICES_CA_FILE: is missing"
    s3 = settings.s3_storage
    clear = s3.endpoint is not None and (s3.endpoint.startswith("http://") or not (s3.use_ssl or "://" in s3.endpoint))
    yield "s3", not clear, "S3_USE_SSL: is not true"


def _is_encrypted(dsn: str) -> bool:
    """Also over a unix socket, which never leaves the machine. Hosts are read as asyncpg reads them: those before the
    path win over ``?host=``, and both may be several."""
    parts = urlsplit(dsn)
    options = parse_qs(parts.query)
    authority = parts.netloc.partition("@")[2] if "@" in parts.netloc else parts.netloc
    hosts = unquote(authority).split(",") if authority else options.get("host", [""])[-1].split(",")
    return options.get("sslmode", [""])[-1] in ENCRYPTED or all(host.startswith("/") for host in hosts)
