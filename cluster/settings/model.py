"""The whole configuration, and how its parts relate: asserted here once, so that no other code has to doubt it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from cluster.settings.fields import WITH_SECRETS, Section, setting
from cluster.settings.neighbours import Achievements, Redis, S3Storage, Services, Telemetry, Wishlist
from cluster.settings.production import DEVELOPMENT_CLUSTER_SECRET, production_problems
from cluster.settings.rpc import Grpc, grpc_relations
from cluster.settings.sections import Cluster, Database, Engine, Http, Kafka, PlaytimeTracking, Server
from cluster.settings.security import Auth, RateLimits, Tls

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
    tls: Tls = Tls()
    rate_limits: RateLimits = RateLimits()
    playtime_tracking: PlaytimeTracking = PlaytimeTracking()
    engine: Engine = Engine()
    http: Http = Http()
    grpc: Grpc = Grpc()
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
        grpc = values.setdefault("grpc", {})
        if isinstance(server, dict):
            server.setdefault("http_host", LOOPBACK)
        if isinstance(grpc, dict):
            grpc.setdefault("host", LOOPBACK)
            if not any(grpc.get(way) for way in ("certificate_file", "plaintext")):
                grpc.setdefault("doors", "off")
        if isinstance(cluster, dict):
            cluster.setdefault("node_address", LOOPBACK)
            cluster.setdefault("secret", DEVELOPMENT_CLUSTER_SECRET)
        if isinstance(auth, dict) and not any(
            auth.get(way) for way in ("jwt_hs256_secret", "jwks_file", "jwks_url", "trust_gateway")
        ):
            auth["jwt_hs256_secret"] = DEVELOPMENT_JWT_SECRET
        return values

    @model_validator(mode="after")
    def _relations_hold(self) -> Self:
        problems = [] if self.is_development else production_problems(self)
        for problem in (*problems, *self._relation_problems()):
            raise PydanticCustomError("relation", "{problem}", {"problem": problem})
        return self

    def _relation_problems(self) -> list[str]:
        playtime, kafka, s3, engine = self.playtime_tracking, self.kafka, self.s3_storage, self.engine
        redis, services = self.redis, self.services
        timeout, interval = playtime.session_timeout_inactive_seconds, playtime.heartbeat_interval_seconds
        uses_sasl = kafka.security_protocol.startswith("SASL_")
        ports = [
            port for port in (self.server.http_port, self.server.grpc_port, self.server.ws_port) if port is not None
        ]
        consumed = set(kafka.event_topics)
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
                self.auth.jwks_file is None or self.auth.jwks_url is None,
                "AUTH_JWKS_FILE, AUTH_JWKS_URL: both are set; keys come from one place alone",
            ),
            (
                (self.tls.certificate_file is None) == (self.tls.key_file is None),
                "LIBRARY_TLS_CERTIFICATE_FILE, LIBRARY_TLS_KEY_FILE: only one is set; set both or neither",
            ),
            *grpc_relations(self.grpc, self.tls),
            (
                self.tls.link_files.count(None) in (0, 3),
                "LIBRARY_LINK_CERTIFICATE_FILE, LIBRARY_LINK_KEY_FILE, LIBRARY_LINK_CA_FILE: only some are set; set "
                "all or none",
            ),
            (
                (redis.certificate_file is None) == (redis.key_file is None),
                "REDIS_CERTIFICATE_FILE, REDIS_KEY_FILE: only one is set; set both or neither",
            ),
            (
                (services.certificate_file is None) == (services.key_file is None),
                "SERVICES_CERTIFICATE_FILE, SERVICES_KEY_FILE: only one is set; set both or neither",
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
