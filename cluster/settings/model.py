"""The whole configuration, and how its parts relate: asserted here once, so that no other code has to doubt it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from cluster.settings.fields import WITH_SECRETS, Section, setting
from cluster.settings.neighbours import Achievements, Redis, S3Storage, Services, Telemetry, Wishlist
from cluster.settings.sections import Auth, Cluster, Database, Engine, Http, Kafka, PlaytimeTracking, Server

DEVELOPMENT_CLUSTER_SECRET = "development-only-cluster-secret-0123456789"
DEVELOPMENT_JWT_SECRET = "development-only-jwt-secret-0123456789abcdef"
LOOPBACK = "127.0.0.1"


class Settings(Section):
    """Create it by `load_settings`, or from `to_plain()`; `repr`, logs and `model_dump` never show a secret."""

    environment: Literal["development", "production"] = setting(
        "production",
        env="LIBRARY_ENVIRONMENT",
        meaning="`development` listens on this machine alone and has well-known secrets; `production` refuses both.",
    )
    server: Server = Server()
    cluster: Cluster = Cluster()
    database: Database
    kafka: Kafka
    auth: Auth = Auth()
    playtime_tracking: PlaytimeTracking = PlaytimeTracking()
    engine: Engine = Engine()
    http: Http = Http()
    redis: Redis = Redis()
    s3_storage: S3Storage = S3Storage()
    services: Services = Services()
    telemetry: Telemetry = Telemetry()
    achievements: Achievements = Achievements()
    wishlist: Wishlist = Wishlist()

    @property
    def is_development(self) -> bool:
        return self.environment == "development"

    def to_plain(self) -> dict[str, Any]:
        """JSON values only, secrets included: for handing to another process, never for printing."""
        return self.model_dump(mode="json", context=WITH_SECRETS)

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> Self:
        """The settings that gave `to_plain()`; raises pydantic's ValidationError for anything else."""
        return cls.model_validate(values)

    @model_validator(mode="before")
    @classmethod
    def _development_defaults(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("environment") != "development":
            return values
        values = {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}
        server, cluster = values.setdefault("server", {}), values.setdefault("cluster", {})
        auth = values.setdefault("auth", {})
        if isinstance(server, dict):
            server.setdefault("http_host", LOOPBACK)
        if isinstance(cluster, dict):
            cluster.setdefault("node_address", LOOPBACK)
            cluster.setdefault("secret", DEVELOPMENT_CLUSTER_SECRET)
        if isinstance(auth, dict) and not any(
            auth.get(way) for way in ("jwt_hs256_secret", "jwks_file", "trust_gateway")
        ):
            auth["jwt_hs256_secret"] = DEVELOPMENT_JWT_SECRET
        return values

    @model_validator(mode="after")
    def _relations_hold(self) -> Self:
        for problem in (*self._production_problems(), *self._relation_problems()):
            raise PydanticCustomError("relation", "{problem}", {"problem": problem})
        return self

    def _production_problems(self) -> list[str]:
        if self.is_development:
            return []
        auth, cluster, problems = self.auth, self.cluster, []
        if cluster.secret is None:
            problems.append("LIBRARY_CLUSTER_SECRET: is missing; production needs one of at least 32 characters")
        elif cluster.secret.get_secret_value() == DEVELOPMENT_CLUSTER_SECRET:
            problems.append("LIBRARY_CLUSTER_SECRET: is the well-known one of development; choose a random one")
        if auth.jwt_hs256_secret is not None:
            problems.append("AUTH_JWT_HS256_SECRET: is for development only; use AUTH_JWKS_FILE")
        if auth.jwks_file is None and not auth.trust_gateway:
            problems.append(
                "AUTH_JWKS_FILE: is missing; production needs it, or AUTH_TRUST_GATEWAY=true "
                "(AUTH_JWKS_URL is not read yet)"
            )
        if cluster.clock_rate != 1:
            problems.append(f"LIBRARY_CLOCK_RATE: {cluster.clock_rate:g} is for development only; production allows 1")
        return problems

    def _relation_problems(self) -> list[str]:
        playtime, kafka, s3, engine = self.playtime_tracking, self.kafka, self.s3_storage, self.engine
        timeout, interval = playtime.session_timeout_inactive_seconds, playtime.heartbeat_interval_seconds
        uses_sasl = kafka.security_protocol.startswith("SASL_")
        ports = [
            port for port in (self.server.http_port, self.server.grpc_port, self.server.ws_port) if port is not None
        ]
        consumed = (kafka.topic_purchases, kafka.topic_installed, kafka.topic_uninstalled)
        relations = (
            (
                len(set(ports)) == len(ports),
                "LIBRARY_SERVICE_HTTP_PORT, LIBRARY_SERVICE_GRPC_PORT, LIBRARY_SERVICE_WS_PORT: are not different; "
                "each needs a port of its own",
            ),
            (
                len({*consumed, kafka.topic_dead_letters, kafka.topic_library_events}) == len(consumed) + 2,
                "KAFKA_TOPIC_*: are not different; each needs a topic of its own",
            ),
            (
                self.server.min_doors <= self.server.max_doors,
                f"LIBRARY_MIN_DOORS: {self.server.min_doors} is too large; at most LIBRARY_MAX_DOORS "
                f"({self.server.max_doors}) is allowed",
            ),
            (
                timeout >= 2 * interval,
                f"playtime_tracking.session_timeout_inactive_seconds: {timeout} is too short; at least two heartbeat "
                f"intervals ({2 * interval}) are needed, or one lost heartbeat ends a session",
            ),
            (
                not uses_sasl or (kafka.sasl_username is not None and kafka.sasl_password is not None),
                f"KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: are missing; {kafka.security_protocol} needs both",
            ),
            (
                (kafka.ssl_certificate_file is None) == (kafka.ssl_key_file is None),
                "KAFKA_SSL_CERTIFICATE_FILE, KAFKA_SSL_KEY_FILE: only one is set; set both or neither",
            ),
            (
                s3.max_save_file_size_bytes <= s3.user_total_quota_bytes,
                f"MAX_SAVEGAME_SIZE_BYTES: {s3.max_save_file_size_bytes} is too large; at most "
                f"USER_SAVEGAME_QUOTA_BYTES ({s3.user_total_quota_bytes}) is allowed",
            ),
            (
                self.http.max_body_bytes <= engine.max_frame_bytes // 2,
                f"http.max_body_bytes: {self.http.max_body_bytes} is too large; at most half of "
                f"engine.max_frame_bytes ({engine.max_frame_bytes // 2}) is allowed",
            ),
            (
                engine.max_mailbox_commands <= engine.max_host_commands,
                f"engine.max_mailbox_commands: {engine.max_mailbox_commands} is too large; at most "
                f"engine.max_host_commands ({engine.max_host_commands}) is allowed",
            ),
            (
                engine.max_batch_commands <= engine.max_host_commands,
                f"engine.max_batch_commands: {engine.max_batch_commands} is too large; at most "
                f"engine.max_host_commands ({engine.max_host_commands}) is allowed",
            ),
            (
                engine.flush_interval_s < engine.flush_timeout_s,
                f"engine.flush_interval_s: {engine.flush_interval_s:g} is too long; less than "
                f"engine.flush_timeout_s ({engine.flush_timeout_s:g}) is needed",
            ),
        )
        return [problem for holds, problem in relations if not holds]
