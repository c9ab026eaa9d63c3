"""Every setting: section and field names are the YAML file's (specification 7.2), variables are those of 7.1.

Names of our own end in their unit. `neighbours.py` has the parts outside of the engine and its doors.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from cluster.settings.fields import Secret, Section, setting

KIB = 1024
MIB = 1024 * KIB
DAY_S = 86_400

ADDRESS_PATTERN = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}$"
TOPIC_PATTERN = r"^[A-Za-z0-9._-]{1,249}$"
URL_PATTERN = r"^https?://[^\s]+$"
ADDRESS = "host:port"
TOPIC = "up to 249 letters, digits, '.', '_' and '-'"
URL = "a URL that begins with http:// or https://"
RUN_DIR_MAX_BYTES = 64

Address = Annotated[str, Field(pattern=ADDRESS_PATTERN)]
Topic = Annotated[str, Field(pattern=TOPIC_PATTERN)]
Url = Annotated[str, Field(pattern=URL_PATTERN)]


def comma_separated(value: Any) -> Any:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


class Server(Section):
    http_host: str = setting(
        "0.0.0.0",
        env="LIBRARY_SERVICE_HTTP_HOST",
        meaning="Address that the REST door listens on.",
        allowed="an IP address, a host name, or `node`: each node's own address",
        shown_default="0.0.0.0; 127.0.0.1 in development",
        min_length=1,
    )
    http_port: int = setting(8084, env="LIBRARY_SERVICE_HTTP_PORT", meaning="Port of the REST API.", ge=1, le=65_535)
    min_doors: int = setting(1, env="LIBRARY_MIN_DOORS", meaning="REST doors that always run.", ge=1, le=1000)
    max_doors: int = setting(
        lambda: max(1, (os.cpu_count() or 1) // 2),
        env="LIBRARY_MAX_DOORS",
        meaning="REST doors at the highest load; each wants a core.",
        shown_default="half the cores of the machine that starts the cluster",
        ge=1,
        le=1000,
    )
    max_doors_per_node: int | None = setting(
        None,
        env="LIBRARY_MAX_DOORS_PER_NODE",
        meaning="REST doors on one node; 1 puts each on a node of its own.",
        shown_default="as many as there are",
        ge=1,
        le=1000,
    )
    grpc_port: int = setting(9094, env="LIBRARY_SERVICE_GRPC_PORT", meaning="Port of the gRPC API.", ge=1, le=65_535)
    ws_port: int | None = setting(
        None,
        env="LIBRARY_SERVICE_WS_PORT",
        meaning="Port of the WebSocket API, if it is to have one of its own; otherwise it shares the REST API's.",
        ge=1,
        le=65_535,
    )


class Cluster(Section):
    name: str = setting(
        "library",
        env="LIBRARY_CLUSTER_NAME",
        meaning="Names the Ray namespace; doors and hosts of different clusters refuse each other.",
        allowed="up to 63 lower-case letters, digits and '-'",
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
    )
    secret: Secret | None = setting(
        None,
        env="LIBRARY_CLUSTER_SECRET",
        meaning="What doors and hosts prove to each other on the link; the same in every process of the cluster.",
        allowed="at least 32 characters",
        shown_default="required; a well-known one in development",
        min_length=32,
    )
    hosts: int = setting(
        lambda: min(max(1, (os.cpu_count() or 1) // 2), 256),
        env="LIBRARY_HOSTS",
        meaning="Number of engine hosts at the cluster's first start; `library hosts scale` changes it later.",
        shown_default="half the cores of the machine that starts the cluster",
        ge=1,
        le=256,
    )
    node_address: str | None = setting(
        None,
        env="LIBRARY_NODE_ADDRESS",
        meaning="Address by which doors reach the hosts of a node.",
        allowed="an IP address, a host name, or `node`: each node's own address, as Ray knows it",
        shown_default="`node`; 127.0.0.1 in development",
        min_length=1,
    )
    node_listen_address: str | None = setting(
        None,
        env="LIBRARY_NODE_LISTEN_ADDRESS",
        meaning="Address that hosts bind for it, where that is another one (`0.0.0.0` in some containers).",
        allowed="an IP address or host name",
        shown_default="the address by which doors reach them",
        min_length=1,
    )
    release: str = setting(
        lambda: version("library-service"),
        env="LIBRARY_RELEASE",
        meaning="Names what is deployed; `library start` replaces what runs under another name or other settings.",
        allowed="up to 40 letters, digits, '.', '_' and '-'",
        shown_default="the package's version",
        pattern=r"^[A-Za-z0-9._-]{1,40}(\+[0-9a-f]{8})?$",  # with the digest that `to_be_started` appends
    )
    run_dir: Path = setting(
        lambda: Path(f"/tmp/library-service-{os.getuid()}"),
        env="LIBRARY_RUN_DIR",
        meaning="Node-local directory of the sockets over which a node's processes give their metrics.",
        allowed=f"an absolute path of at most {RUN_DIR_MAX_BYTES} bytes (socket paths are short)",
        shown_default="/tmp/library-service-<uid>",
    )
    ray_address: Address | None = setting(
        None,
        env="RAY_ADDRESS",
        meaning="Head node of the Ray cluster to join.",
        allowed=ADDRESS,
        shown_default="the Ray node on this machine",
    )
    clock_rate: float = setting(
        1.0,
        env="LIBRARY_CLOCK_RATE",
        meaning="Seconds of service time that pass in one real second; other than 1 in development only.",
        ge=1,
        le=1000,
    )

    @field_validator("run_dir")
    @classmethod
    def _fits_a_socket_path(cls, value: Path) -> Path:
        if not value.is_absolute() or len(os.fsencode(value)) > RUN_DIR_MAX_BYTES:
            raise PydanticCustomError("run_dir", "is relative or too long")
        return value


class Database(Section):
    postgres_dsn: Secret = setting(
        env="POSTGRES_DSN",
        meaning="The primary, by a direct connection: a pooler in between would break the fences.",
        allowed="a URL such as postgresql://user:password@host:5432/database",
        shown_default="required",
    )

    @field_validator("postgres_dsn")
    @classmethod
    def _is_a_url(cls, value: Secret) -> Secret:
        if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise PydanticCustomError("dsn", "is not a Postgres URL")
        return value


class Kafka(Section):
    brokers: Annotated[tuple[Address, ...], BeforeValidator(comma_separated)] = setting(
        env="KAFKA_BROKERS",
        meaning="Where to begin to find the Kafka cluster.",
        allowed="host:port, several separated by commas",
        shown_default="required",
        min_length=1,
    )
    topic_library_events: Topic = setting(
        "library.events.v1", env="KAFKA_TOPIC_LIBRARY_EVENTS", meaning="Topic of what this service publishes.",
        allowed=TOPIC,
    )  # fmt: skip
    consumer_group: Topic = setting(
        "library-service", env="KAFKA_CONSUMER_GROUP_LIBRARY", meaning="Consumer group of the ingress.", allowed=TOPIC
    )
    topic_purchases: Topic = setting(
        "payment.purchase.completed.v1", env="KAFKA_TOPIC_PURCHASES", meaning="Topic of completed purchases.",
        allowed=TOPIC,
    )  # fmt: skip
    topic_refunds: Topic = setting(
        "payment.purchase.refunded.v1", env="KAFKA_TOPIC_REFUNDS", meaning="Topic of refunds.", allowed=TOPIC
    )
    topic_gifts: Topic = setting(
        "payment.gift.accepted.v1", env="KAFKA_TOPIC_GIFTS", meaning="Topic of accepted gifts.", allowed=TOPIC
    )
    topic_keys: Topic = setting(
        "payment.key.activated.v1", env="KAFKA_TOPIC_KEYS", meaning="Topic of activated product keys.", allowed=TOPIC
    )
    topic_installed: Topic = setting(
        "download.game.installed.v1", env="KAFKA_TOPIC_INSTALLED", meaning="Topic of installed games.", allowed=TOPIC
    )
    topic_uninstalled: Topic = setting(
        "download.game.uninstalled.v1", env="KAFKA_TOPIC_UNINSTALLED", meaning="Topic of uninstalled games.",
        allowed=TOPIC,
    )  # fmt: skip
    topic_product_updates: Topic = setting(
        "catalog.product.updated.v1", env="KAFKA_TOPIC_PRODUCT_UPDATES", meaning="Topic of changed products.",
        allowed=TOPIC,
    )  # fmt: skip
    topic_installation_status: Topic = setting(
        "download.game.status.changed.v1", env="KAFKA_TOPIC_INSTALLATION_STATUS",
        meaning="Topic of other changes of an installation.", allowed=TOPIC,
    )  # fmt: skip
    topic_dead_letters: Topic = setting(
        "library.dead-letters.v1", env="KAFKA_TOPIC_DEAD_LETTERS", meaning="Topic of events that cannot be processed.",
        allowed=TOPIC,
    )  # fmt: skip
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "PLAINTEXT", env="KAFKA_SECURITY_PROTOCOL", meaning="How to speak to the brokers."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = setting(
        "PLAIN", env="KAFKA_SASL_MECHANISM", meaning="How to log in with SASL_PLAINTEXT or SASL_SSL."
    )
    sasl_username: str | None = setting(
        None, env="KAFKA_SASL_USERNAME", meaning="User of SASL.", allowed="a user name", min_length=1
    )
    sasl_password: Secret | None = setting(
        None, env="KAFKA_SASL_PASSWORD", meaning="Password of SASL.", allowed="a password", min_length=1
    )
    ssl_ca_file: Path | None = setting(
        None, env="KAFKA_SSL_CA_FILE", meaning="Who signed the brokers' certificates.", allowed="a PEM file",
        shown_default="the system's certificate authorities",
    )  # fmt: skip
    ssl_certificate_file: Path | None = setting(
        None, env="KAFKA_SSL_CERTIFICATE_FILE", meaning="Our client certificate.", allowed="a PEM file"
    )
    ssl_key_file: Path | None = setting(
        None, env="KAFKA_SSL_KEY_FILE", meaning="The key of our client certificate.", allowed="a PEM file"
    )
    ssl_key_password: Secret | None = setting(
        None, env="KAFKA_SSL_KEY_PASSWORD", meaning="Password of that key.", allowed="a password", min_length=1
    )

    @property
    def event_topics(self) -> tuple[str, ...]:
        """All that are consumed."""
        return (
            self.topic_purchases,
            self.topic_refunds,
            self.topic_gifts,
            self.topic_keys,
            self.topic_installed,
            self.topic_uninstalled,
            self.topic_installation_status,
            self.topic_product_updates,
        )


class PlaytimeTracking(Section):
    heartbeat_interval_seconds: int = setting(
        60, env="PLAYTIME_HEARTBEAT_INTERVAL_SECONDS", meaning="How often a client is expected to beat.", ge=1, le=3600
    )
    session_timeout_inactive_seconds: int = setting(
        300, meaning="Silence after which a session ends; at least two heartbeat intervals.", ge=2, le=DAY_S
    )
    max_live_sessions_per_user: int = setting(
        5, meaning="Products that one user can play at the same time.", ge=1, le=100
    )


class Engine(Section):
    """Limits of one host; what exceeds them is answered 503 with Retry-After, never queued further."""

    max_batch_commands: int = setting(1024, meaning="Commands in one group commit.", ge=1, le=65_536)
    max_frame_bytes: int = setting(4 * MIB, meaning="One frame of the link.", ge=64 * KIB, le=64 * MIB)
    max_mailbox_commands: int = setting(64, meaning="Commands that wait for one user.", ge=1, le=65_536)
    max_host_commands: int = setting(50_000, meaning="Commands that wait in one host.", ge=1, le=10_000_000)
    journal_high_water_bytes: int = setting(
        256 * MIB, meaning="Journal that is not flushed yet, above which writes wait for better times.", ge=MIB
    )
    outbox_high_water_rows: int = setting(
        1_000_000, meaning="Unpublished events, above which writes wait for better times.", ge=1000
    )
    flush_interval_s: float = setting(1.0, meaning="From one flush to the next.", ge=0.01, le=60)
    command_timeout_s: float = setting(5.0, meaning="How long a caller waits for its answer.", ge=0.1, le=60)
    commit_timeout_s: float = setting(5.0, meaning="After which a commit's outcome is unknown.", ge=0.1, le=60)
    flush_timeout_s: float = setting(30.0, meaning="After which a flush's outcome is unknown.", ge=1, le=600)
    idle_entity_s: float = setting(300, meaning="After which a clean, idle user leaves memory.", ge=1, le=DAY_S)
    max_resident_entities: int = setting(200_000, meaning="Users in the memory of one host.", ge=1000)


class Http(Section):
    """What one client of the REST door may cost."""

    max_body_bytes: int = setting(256 * KIB, meaning="Body of a request.", ge=KIB, le=16 * MIB)
    max_header_bytes: int = setting(16 * KIB, meaning="All headers of a request.", ge=KIB, le=MIB)
    header_timeout_s: float = setting(
        10, meaning="From a request's first byte to the end of its headers.", ge=1, le=3600
    )
    body_timeout_s: float = setting(10, meaning="From there to the end of its body.", ge=1, le=3600)
    idle_timeout_s: float = setting(75, meaning="Between two requests of a connection.", ge=1, le=3600)
    max_connections: int = setting(20_000, meaning="Open connections of one door.", ge=10)
