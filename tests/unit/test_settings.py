"""Configuration: environment over YAML over defaults, and one clear line for whatever is wrong (CFG 1, CFG 2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cluster.settings import Settings, SettingsError, load_settings
from cluster.settings.fields import extra
from cluster.settings.load import all_fields
from cluster.settings.table import markdown
from cluster.wiring.fleet import to_be_started

ROOT = Path(__file__).parents[2]
COMMITTED_FILE = ROOT / "configs" / "library_config.yaml"
SECTION_7_1 = [
    "LIBRARY_SERVICE_HTTP_PORT",
    "LIBRARY_SERVICE_GRPC_PORT",
    "LIBRARY_SERVICE_WS_PORT",
    "POSTGRES_DSN",
    "REDIS_ADDR",
    "REDIS_PASSWORD",
    "REDIS_DB_LIBRARY",
    "KAFKA_BROKERS",
    "KAFKA_TOPIC_LIBRARY_EVENTS",
    "KAFKA_CONSUMER_GROUP_LIBRARY",
    "S3_ENDPOINT",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "S3_BUCKET_SAVEGAMES",
    "S3_REGION",
    "S3_USE_SSL",
    "S3_PRESIGNED_URL_TTL_SECONDS",
    "LOG_LEVEL",
    "AUTH_SERVICE_GRPC_ADDR",
    "CATALOG_SERVICE_GRPC_ADDR",
    "DOWNLOAD_SERVICE_GRPC_ADDR",
    "ACCOUNT_SERVICE_GRPC_ADDR",
    "PLAYTIME_HEARTBEAT_INTERVAL_SECONDS",
    "MAX_SAVEGAME_SIZE_BYTES",
    "USER_SAVEGAME_QUOTA_BYTES",
    "OTEL_EXPORTER_JAEGER_ENDPOINT",
]
DSN = "postgresql://library:hunter2@db:5432/library?sslmode=verify-full"
DEVELOPMENT = {"LIBRARY_ENVIRONMENT": "development", "POSTGRES_DSN": DSN, "KAFKA_BROKERS": "kafka-1:9092, kafka-2:9092"}
PRODUCTION = {
    "POSTGRES_DSN": DSN,
    "KAFKA_BROKERS": "kafka:9092",
    "LIBRARY_CLUSTER_SECRET": "correct horse battery staple, twice over",
    "AUTH_JWKS_FILE": __file__,
    "LIBRARY_TLS_CERTIFICATE_FILE": __file__,
    "LIBRARY_TLS_KEY_FILE": __file__,
    "LIBRARY_LINK_CERTIFICATE_FILE": __file__,
    "LIBRARY_LINK_KEY_FILE": __file__,
    "LIBRARY_LINK_CA_FILE": __file__,
    "LIBRARY_GRPC_CLIENT_CA_FILE": __file__,
    "RAY_USE_TLS": "1",
    "KAFKA_SECURITY_PROTOCOL": "SSL",
}


@pytest.fixture
def empty_file(tmp_path: Path) -> Path:
    """Keeps the working directory's configuration out of the test."""
    return write(tmp_path, "")


def write(directory: Path, text: str) -> Path:
    file = directory / "library_config.yaml"
    file.write_text(text)
    return file


def problem(environ: dict[str, str], file: Path) -> str:
    with pytest.raises(SettingsError) as raised:
        load_settings(environ, file)
    text = str(raised.value)
    assert "\n" not in text
    return text


def test_every_variable_of_the_specification_is_a_setting() -> None:
    known = {extra(field, "env") for _, field in all_fields(Settings)}
    assert [name for name in SECTION_7_1 if name not in known] == []


def test_development_listens_on_this_machine_alone_and_needs_no_secret(empty_file: Path) -> None:
    settings = load_settings(DEVELOPMENT, empty_file)
    assert settings.server.http_host == settings.cluster.node_address == "127.0.0.1"
    assert settings.kafka.brokers == ("kafka-1:9092", "kafka-2:9092")
    assert settings.cluster.secret is not None
    assert settings.auth.jwt_hs256_secret is not None


def test_production_is_the_default_and_listens_everywhere(empty_file: Path) -> None:
    settings = load_settings(PRODUCTION, empty_file)
    assert settings.environment == "production"
    assert settings.server.http_host == "0.0.0.0"
    assert settings.auth.jwt_hs256_secret is None


def test_the_environment_beats_the_file_and_the_file_beats_the_default(tmp_path: Path) -> None:
    file = write(tmp_path, "server: {http_port: 7001, grpc_port: 7002}")
    settings = load_settings({**DEVELOPMENT, "LIBRARY_SERVICE_HTTP_PORT": "7003"}, file)
    assert (settings.server.http_port, settings.server.grpc_port) == (7003, 7002)
    assert settings.wishlist.max_items_per_user == 100


def test_the_file_is_the_one_that_the_environment_names(tmp_path: Path) -> None:
    file = write(tmp_path, "wishlist: {max_items_per_user: 7}")
    settings = load_settings({**DEVELOPMENT, "LIBRARY_CONFIG_FILE": str(file)}, None)
    assert settings.wishlist.max_items_per_user == 7


def test_references_in_the_file_are_replaced_and_an_unset_one_alone_leaves_the_key_out(tmp_path: Path) -> None:
    file = write(tmp_path, "kafka: {consumer_group: '${GROUP:-library}-${ZONE}'}\nredis: {address: '${REDIS_ADDR}'}")
    settings = load_settings({**DEVELOPMENT, "ZONE": "a"}, file)
    assert settings.kafka.consumer_group == "library-a"
    assert settings.redis.address is None
    assert "kafka.consumer_group: ${ZONE} is not set" in problem(DEVELOPMENT, file)


def test_an_empty_variable_is_one_that_is_not_set(empty_file: Path) -> None:
    assert load_settings({**DEVELOPMENT, "LIBRARY_SERVICE_HTTP_PORT": ""}, empty_file).server.http_port == 8084


def test_the_committed_file_holds_the_defaults(empty_file: Path) -> None:
    assert load_settings(PRODUCTION, COMMITTED_FILE) == load_settings(PRODUCTION, empty_file)


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"LIBRARY_SERVICE_HTTP_PORT": "http"}, "LIBRARY_SERVICE_HTTP_PORT: 'http' is not accepted; allowed: a whole"),
        ({"LIBRARY_SERVICE_HTTP_PORT": "70000"}, "a whole number from 1 to 65,535"),
        ({"LIBRARY_SERVICE_GRPC_PORT": "8084"}, "are not different"),
        ({"LIBRARY_ENVIRONMENT": "staging"}, "LIBRARY_ENVIRONMENT: 'staging' is not accepted; allowed: one of dev"),
        ({"LIBRARY_CLOCK_RATE": "0.5"}, "LIBRARY_CLOCK_RATE: '0.5' is not accepted; allowed: a number from 1 to 1,000"),
        ({"LIBRARY_CLOCK_RATE": "nan"}, "LIBRARY_CLOCK_RATE"),
        ({"LIBRARY_RUN_DIR": "relative"}, "LIBRARY_RUN_DIR: 'relative' is not accepted; allowed: an absolute path"),
        ({"LIBRARY_RUN_DIR": "/" + "a" * 100}, "LIBRARY_RUN_DIR"),
        ({"KAFKA_BROKERS": "kafka"}, "KAFKA_BROKERS: 'kafka' is not accepted; allowed: host:port"),
        ({"KAFKA_BROKERS": " , "}, "KAFKA_BROKERS"),
        ({"KAFKA_TOPIC_PURCHASES": "no spaces"}, "KAFKA_TOPIC_PURCHASES"),
        ({"KAFKA_TOPIC_DEAD_LETTERS": "library.events.v1"}, "KAFKA_TOPIC_*: are not different"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: are missing"),
        ({"AUTH_TRUST_GATEWAY": "perhaps"}, "AUTH_TRUST_GATEWAY: 'perhaps' is not accepted; allowed: true or false"),
        ({"AUTH_JWKS_FILE": "/no/such/file"}, "AUTH_JWKS_FILE: '/no/such/file' is no file that exists"),
        ({"PLAYTIME_HEARTBEAT_INTERVAL_SECONDS": "151"}, "session_timeout_inactive_seconds: 300 is too short"),
        ({"MAX_SAVEGAME_SIZE_BYTES": "2000000000"}, "MAX_SAVEGAME_SIZE_BYTES: 2000000000 is too large"),
        ({"REDIS_ADDR": "redis"}, "REDIS_ADDR"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL: 'loud' is not accepted; allowed: one of debug, info"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_variable_and_what_is_allowed(
    environ: dict[str, str], text: str, empty_file: Path
) -> None:
    assert text in problem({**DEVELOPMENT, **environ}, empty_file)


@pytest.mark.parametrize(
    ("yaml", "text"),
    [
        ("server: {http_prot: 1}", "library_config.yaml: server.http_prot: is unknown; allowed: http_host, http_port"),
        ("sever: {}", "library_config.yaml: sever: is unknown; allowed: environment, server"),
        ("server: 8084", "library_config.yaml: server: is not a section"),
        (
            "server: {http_port: many}",
            "library_config.yaml: server.http_port: 'many' is not accepted; allowed: a whole",
        ),
        ("http: {idle_timeout_s: .inf}", "http.idle_timeout_s"),
        ("http: {max_body_bytes: 16777216}", "http.max_body_bytes: 16777216 is too large"),
        ("engine: {max_host_commands: 10}", "is too large; at most engine.max_host_commands (10) is allowed"),
        ("- a list", "library_config.yaml: is not a mapping"),
        ("server: {", "library_config.yaml: is not YAML"),
    ],
)
def test_a_wrong_file_is_one_line_with_its_key(yaml: str, text: str, tmp_path: Path) -> None:
    assert text in problem(DEVELOPMENT, write(tmp_path, yaml))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "gone.yaml: cannot be read" in problem(DEVELOPMENT, tmp_path / "gone.yaml")


@pytest.mark.parametrize("name", ["POSTGRES_DSN", "KAFKA_BROKERS"])
def test_what_is_required_is_named_by_its_variable(name: str, empty_file: Path) -> None:
    environ = {key: value for key, value in DEVELOPMENT.items() if key != name}
    assert problem(environ, empty_file).startswith(f"{name}: is missing; allowed: ")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"LIBRARY_CLUSTER_SECRET": None}, "LIBRARY_CLUSTER_SECRET: is missing"),
        ({"LIBRARY_CLUSTER_SECRET": "short"}, "LIBRARY_CLUSTER_SECRET: its value is not accepted"),
        ({"LIBRARY_CLUSTER_SECRET": "development-only-cluster-secret-0123456789"}, "LIBRARY_CLUSTER_SECRET"),
        ({"AUTH_JWKS_FILE": None}, "AUTH_JWKS_FILE: is missing"),
        ({"AUTH_JWKS_FILE": None, "AUTH_JWKS_URL": "http://auth/jwks"}, "AUTH_JWKS_URL: does not begin with https://"),
        ({"AUTH_JWKS_URL": "https://auth/jwks"}, "AUTH_JWKS_FILE, AUTH_JWKS_URL: both are set"),
        ({"LIBRARY_TLS_CERTIFICATE_FILE": None, "LIBRARY_TLS_KEY_FILE": None}, "LIBRARY_PLAINTEXT=http"),
        ({"LIBRARY_TLS_KEY_FILE": None}, "LIBRARY_TLS_CERTIFICATE_FILE, LIBRARY_TLS_KEY_FILE: only one is set"),
        ({"LIBRARY_LINK_CA_FILE": None}, "LIBRARY_LINK_CA_FILE: only some are set"),
        (
            {name: None for name in PRODUCTION if name.startswith("LIBRARY_LINK_")},
            "LIBRARY_LINK_CERTIFICATE_FILE: is missing; production needs TLS there",
        ),
        ({"RAY_USE_TLS": None}, "RAY_USE_TLS: is not 1"),
        ({"LIBRARY_GRPC_CLIENT_CA_FILE": None}, "LIBRARY_GRPC_CLIENT_CA_FILE: are missing; the gRPC door needs them"),
        ({"LIBRARY_GRPC_PLAINTEXT": "true"}, "LIBRARY_GRPC_PLAINTEXT: is for development only"),
        ({"LIBRARY_GRPC_KEY_FILE": __file__}, "LIBRARY_GRPC_CERTIFICATE_FILE, LIBRARY_GRPC_KEY_FILE: only one is set"),
        ({"POSTGRES_DSN": "postgresql://library:hunter2@db/library?sslmode=prefer"}, "POSTGRES_DSN: has no sslmode"),
        ({"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "KAFKA_SECURITY_PROTOCOL: is neither SSL nor SASL_SSL"),
        ({"REDIS_ADDR": "redis:6379"}, "REDIS_USE_TLS: is not true"),
        ({"CATALOG_SERVICE_GRPC_ADDR": "catalog:9090"}, "SERVICES_CA_FILE: is missing"),
        ({"REDIS_KEY_FILE": __file__}, "REDIS_CERTIFICATE_FILE, REDIS_KEY_FILE: only one is set"),
        ({"S3_ENDPOINT": "s3:9000", "S3_USE_SSL": "false"}, "S3_USE_SSL: is not true"),
        ({"S3_ENDPOINT": "http://s3:9000"}, "LIBRARY_PLAINTEXT=s3"),
        ({"LIBRARY_PLAINTEXT": "everything"}, "LIBRARY_PLAINTEXT: 'everything' is not accepted; allowed: some of"),
        ({"LIBRARY_PLAINTEXT": "everything"}, "s3, services, separated by commas"),
        ({"LIBRARY_RELEASE": "r" * 41}, "LIBRARY_RELEASE"),
        ({"AUTH_JWT_HS256_SECRET": "s" * 32}, "AUTH_JWT_HS256_SECRET: is for development only"),
        ({"LIBRARY_CLOCK_RATE": "20"}, "LIBRARY_CLOCK_RATE: 20 is for development only"),
    ],
)
def test_production_refuses_what_only_development_may(
    change: dict[str, str | None], text: str, empty_file: Path
) -> None:
    environ = {name: value for name, value in {**PRODUCTION, **change}.items() if value is not None}
    assert text in problem(environ, empty_file)


def test_production_speaks_in_the_clear_only_where_it_is_told_to(empty_file: Path) -> None:
    """R-SEC-5: where something else protects the connection."""
    secret = {name: PRODUCTION[name] for name in ("LIBRARY_CLUSTER_SECRET", "KAFKA_BROKERS")}
    clear = {
        **secret,
        "POSTGRES_DSN": "postgresql://library@db/library",
        "AUTH_JWKS_URL": "http://auth/jwks",
        "REDIS_ADDR": "redis:6379",
        "LIBRARY_PLAINTEXT": "http, link, ray, postgres, kafka, jwks, redis",
        "LIBRARY_GRPC_DOORS": "off",
    }
    assert load_settings(clear, empty_file).auth.jwks_url == "http://auth/jwks"
    for connection in ("http", "link", "ray", "postgres", "kafka", "jwks", "redis"):
        others = clear["LIBRARY_PLAINTEXT"].replace(connection, "s3")
        assert f"LIBRARY_PLAINTEXT={connection}" in problem({**clear, "LIBRARY_PLAINTEXT": others}, empty_file)
    but_postgres = {**clear, "LIBRARY_PLAINTEXT": "http,link,ray,kafka,jwks,redis"}
    for socket in ("library@/library?host=/var/run/postgresql", "library@%2Frun/library", "/library?host=/run,/tmp"):
        load_settings({**but_postgres, "POSTGRES_DSN": f"postgresql://{socket}"}, empty_file)
    for network in ("library@db/library?host=/run", "/library?host=/run,db", "library@%2Frun,db/library", "/library"):
        dsn = {"POSTGRES_DSN": f"postgresql://{network}"}
        assert "LIBRARY_PLAINTEXT=postgres" in problem({**but_postgres, **dsn}, empty_file), network


def test_production_may_leave_authentication_to_a_gateway(empty_file: Path) -> None:
    environ = {name: value for name, value in PRODUCTION.items() if name != "AUTH_JWKS_FILE"}
    assert load_settings({**environ, "AUTH_TRUST_GATEWAY": "true"}, empty_file).auth.trust_gateway


def test_secrets_are_shown_nowhere_but_in_what_is_handed_to_other_processes(empty_file: Path) -> None:
    secrets = {
        "REDIS_PASSWORD": "redis-secret",
        "KAFKA_SASL_PASSWORD": "kafka-secret",
        "S3_SECRET_ACCESS_KEY": "s3-sec",
    }
    settings = load_settings({**PRODUCTION, **secrets}, empty_file)
    shown = repr(settings) + str(settings) + settings.model_dump_json() + str(settings.model_dump())
    for secret in ("hunter2", PRODUCTION["LIBRARY_CLUSTER_SECRET"], *secrets.values()):
        assert secret not in shown
    assert "hunter2" not in problem({**PRODUCTION, "POSTGRES_DSN": "mysql://u:hunter2@h/d"}, empty_file)


@pytest.mark.parametrize("environ", [DEVELOPMENT, PRODUCTION])
def test_settings_survive_the_way_to_another_process(environ: dict[str, str], empty_file: Path) -> None:
    settings = load_settings(environ, empty_file)
    plain: dict[str, Any] = json.loads(json.dumps(settings.to_plain()))
    assert Settings.from_plain(plain) == settings
    assert plain["database"]["postgres_dsn"] == DSN


def test_settings_never_change(empty_file: Path) -> None:
    settings = load_settings(DEVELOPMENT, empty_file)
    with pytest.raises(ValidationError):
        settings.server.http_port = 1
    assert settings.server.http_port == 8084


def test_the_documentation_is_generated_from_the_model() -> None:
    committed = (ROOT / "docs" / "configuration.md").read_text()
    assert committed == markdown(), "run: python -m cluster.settings --markdown > docs/configuration.md"


def test_what_is_started_is_named_by_its_release_and_all_its_settings() -> None:
    """So that `library start` with another setting replaces what runs, and with the same one does not."""
    first, again = (load_settings({**DEVELOPMENT, "LIBRARY_RELEASE": "1.2"}) for _ in range(2))
    other = load_settings({**DEVELOPMENT, "LIBRARY_RELEASE": "1.2", "LIBRARY_HOSTS": "77"})
    names = [to_be_started(settings).cluster.release for settings in (first, again, other)]
    assert names[0] == names[1] != names[2]
    assert all(name.startswith("1.2+") for name in names)
    plain = to_be_started(first).to_plain()
    assert Settings.from_plain(plain).cluster.release == names[0], "a process keeps the name it was started under"


def test_the_longest_release_name_can_be_started() -> None:
    """Whatever passes configuration passes in every process, too."""
    longest = load_settings({**DEVELOPMENT, "LIBRARY_RELEASE": "r" * 40})
    started = to_be_started(longest)
    assert to_be_started(started).cluster.release.startswith("r" * 40 + "+"), "and starting it again is no other matter"
    assert Settings.from_plain(started.to_plain()) == started
