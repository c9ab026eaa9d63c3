"""Finds the running service: in the environment, else in the development stack that was started here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.dev.stack import DevStack, default_directory
from cluster.replay.target import Target
from cluster.settings import Settings, load_settings

ANY_ADDRESS = ("0.0.0.0", "::")


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What the command line says otherwise than the settings do."""

    url: str | None = None
    kafka: str | None = None
    dsn: str | None = field(default=None, repr=False)
    token_secret: str | None = field(default=None, repr=False)


class NoTokens(Exception):
    """The service takes no tokens that this command could make."""


def find_service(
    environ: Mapping[str, str], overrides: Overrides, dev_directory: Path | None = None
) -> tuple[Target, float]:
    """The service and its configured clock rate. Raises ``SettingsError``, ``DevStackError``, ``NoTokens``."""
    settings = _settings(environ, overrides, dev_directory or default_directory())
    secret = settings.auth.jwt_hs256_secret
    token_secret = overrides.token_secret or (secret.get_secret_value() if secret is not None else None)
    if token_secret is None:
        raise NoTokens("the service takes no tokens of development; name its HS256 secret (--token-secret)")
    host = "127.0.0.1" if settings.server.http_host in ANY_ADDRESS else settings.server.http_host
    target = Target(
        url=overrides.url or f"http://{host}:{settings.server.http_port}",
        kafka_brokers=",".join(settings.kafka.brokers),
        purchases_topic=settings.kafka.topic_purchases,
        postgres_dsn=settings.database.postgres_dsn.get_secret_value(),
        token_secret=token_secret.encode(),
        audience=settings.auth.jwt_audience,
        issuer=settings.auth.jwt_issuer,
    )
    return target, settings.cluster.clock_rate


def _settings(environ: Mapping[str, str], overrides: Overrides, dev_directory: Path) -> Settings:
    named = {"KAFKA_BROKERS": overrides.kafka, "POSTGRES_DSN": overrides.dsn}
    variables = {
        "LIBRARY_ENVIRONMENT": "development",
        **{name: value for name, value in environ.items() if value},
        **{name: value for name, value in named.items() if value is not None},
    }
    if not variables.keys() >= named.keys() and dev_directory.is_dir():
        variables = {**DevStack(dev_directory).environment(), **variables}
    return load_settings(variables)
