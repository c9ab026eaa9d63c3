"""Settings of what surrounds the engine; parts that are not built yet are accepted and checked already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from cluster.settings.fields import Secret, Section, setting
from cluster.settings.sections import ADDRESS, DAY_S, MIB, URL, Address, Url

GIB = 1024 * MIB


def lower_case(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class Redis(Section):
    address: Address | None = setting(
        None, env="REDIS_ADDR", meaning="The cache. Without it every process asks for itself, and there are no copies.",
        allowed=ADDRESS,
    )  # fmt: skip
    password: Secret | None = setting(
        None, env="REDIS_PASSWORD", meaning="Its password.", allowed="a password", min_length=1
    )
    db_library: int = setting(0, env="REDIS_DB_LIBRARY", meaning="Its database number.", ge=0, le=65_535)
    use_tls: bool = setting(False, env="REDIS_USE_TLS", meaning="Speak TLS to it.")
    ca_file: Path | None = setting(
        None, env="REDIS_CA_FILE", meaning="Who signed its certificate.", allowed="a PEM file",
        shown_default="the system's certificate authorities",
    )  # fmt: skip
    certificate_file: Path | None = setting(
        None, env="REDIS_CERTIFICATE_FILE", meaning="Our client certificate.", allowed="a PEM file"
    )
    key_file: Path | None = setting(
        None, env="REDIS_KEY_FILE", meaning="The key of our client certificate.", allowed="a PEM file"
    )
    timeout_s: float = setting(
        0.5, meaning="How long it may take to connect or to answer; then it is left alone for a while.", ge=0.01, le=10
    )
    connections: int = setting(4, meaning="Connections of one process, at most.", ge=1, le=100)


class S3Storage(Section):
    endpoint: str | None = setting(
        None, env="S3_ENDPOINT", meaning="The object store.", allowed="host:port or a URL", min_length=1
    )
    access_key_id: str | None = setting(
        None, env="S3_ACCESS_KEY_ID", meaning="Who we are there.", allowed="a key id", min_length=1
    )
    secret_access_key: Secret | None = setting(
        None, env="S3_SECRET_ACCESS_KEY", meaning="The secret of that key.", allowed="a secret key", min_length=1
    )
    bucket_savegames: str | None = setting(
        None, env="S3_BUCKET_SAVEGAMES", meaning="Bucket of saved games.", allowed="a bucket name (3 to 63 characters)",
        min_length=3, max_length=63,
    )  # fmt: skip
    region: str = setting(
        "us-east-1", env="S3_REGION", meaning="Region of the bucket.", allowed="a region's name", min_length=1
    )
    use_ssl: bool = setting(True, env="S3_USE_SSL", meaning="Speak TLS to an endpoint that is no URL.")
    presigned_url_ttl_seconds: int = setting(
        300, env="S3_PRESIGNED_URL_TTL_SECONDS", meaning="How long an upload or download URL is valid.", ge=1,
        le=7 * DAY_S,
    )  # fmt: skip
    max_save_file_size_bytes: int = setting(
        50 * MIB, env="MAX_SAVEGAME_SIZE_BYTES", meaning="One saved game.", ge=1, le=5 * GIB
    )
    user_total_quota_bytes: int = setting(
        GIB, env="USER_SAVEGAME_QUOTA_BYTES", meaning="All saved games of a user, all versions.", ge=1
    )


class Services(Section):
    auth_grpc_addr: Address | None = setting(
        None,
        env="AUTH_SERVICE_GRPC_ADDR",
        meaning="If set, a second check of tokens: whether they were withdrawn.",
        allowed=ADDRESS,
    )
    catalog_grpc_addr: Address | None = setting(
        None, env="CATALOG_SERVICE_GRPC_ADDR", meaning="Titles and metadata of products.", allowed=ADDRESS
    )
    download_grpc_addr: Address | None = setting(
        None, env="DOWNLOAD_SERVICE_GRPC_ADDR", meaning="Asks for installations.", allowed=ADDRESS
    )
    account_grpc_addr: Address | None = setting(
        None, env="ACCOUNT_SERVICE_GRPC_ADDR", meaning="Whether a user exists and is active.", allowed=ADDRESS
    )
    ca_file: Path | None = setting(
        None, env="SERVICES_CA_FILE", allowed="a PEM file",
        meaning="Who signed these services' certificates, which name the host of their address. If set, they are on "
        "TLS, and one that shows another certificate counts as away.",
    )  # fmt: skip
    certificate_file: Path | None = setting(
        None,
        env="SERVICES_CERTIFICATE_FILE",
        meaning="Our client certificate, for those that ask for one.",
        allowed="a PEM file",
    )
    key_file: Path | None = setting(
        None, env="SERVICES_KEY_FILE", meaning="The key of that certificate.", allowed="a PEM file"
    )


class Telemetry(Section):
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(lower_case)
    ] = setting("info", env="LOG_LEVEL", meaning="The least severe log lines that are written.")  # fmt: skip
    otel_exporter_jaeger_endpoint: Url | None = setting(
        None, env="OTEL_EXPORTER_JAEGER_ENDPOINT", meaning="Where traces go; taken as an OTLP endpoint.", allowed=URL
    )
    otel_exporter_otlp_endpoint: Url | None = setting(
        None, env="OTEL_EXPORTER_OTLP_ENDPOINT", meaning="The same, and wins.", allowed=URL
    )


class Achievements(Section):
    default_unlock_validation_rules: dict[str, Any] = setting(
        dict, meaning="Server-side rules of products that have none of their own.", allowed="a mapping"
    )


class Wishlist(Section):
    max_items_per_user: int = setting(100, meaning="Products on one wishlist.", ge=1, le=10_000)
