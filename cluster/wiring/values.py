"""Settings as the option types of the parts, so that no part knows the configuration file."""

import os
from math import ceil
from typing import Any

from actors.certificates import CertificateFiles, Certificates
from actors.domain.context import Policy
from actors.domain.ids import HostId
from actors.engine import HostOptions
from actors.flush_loop import FlushLimits
from actors.ingress import payloads
from actors.ingress.decoding import Routes, routes
from actors.link.handshake import Credentials
from actors.mailbox import MailboxLimits
from cluster.settings import Settings
from persistence.kafka.connection import KafkaConnection
from persistence.kafka.topics import Topic
from persistence.postgres.connection import Timeouts
from serve_app.rpc.callers import Role
from serve_app.rpc.settings import RpcSettings
from serve_app.settings import AuthSettings, DoorSettings, RateSettings, WireLimits

EVENT_PARTITIONS = 4
BEATS_OF_AN_INTERVAL = 10
"""How many heartbeats of a session count at the most (R-PT-8); as many may pass."""
GC_THRESHOLDS = (50_000, 20, 50)
"""Hosts and doors keep many long-lived objects that never form cycles: the collector need not walk them often."""


def read_settings(plain: dict[str, Any]) -> Settings:
    """What another process handed over by ``Settings.to_plain``."""
    return Settings.from_plain(plain)


def credentials(settings: Settings) -> Credentials:
    secret = settings.cluster.secret
    if secret is None:
        raise ValueError("the settings have no cluster secret")
    tls, certificates = settings.tls, None
    if tls.link_certificate_file is not None and tls.link_key_file is not None:
        files = CertificateFiles(certificate=tls.link_certificate_file, key=tls.link_key_file, ca=tls.link_ca_file)
        certificates = Certificates(files)
        certificates.load()
    return Credentials(
        cluster=settings.cluster.name, secret=secret.get_secret_value().encode(), certificates=certificates
    )


def dsn(settings: Settings) -> str:
    return settings.database.postgres_dsn.get_secret_value()


def timeouts(settings: Settings) -> Timeouts:
    return Timeouts(commit_s=settings.engine.commit_timeout_s, flush_s=settings.engine.flush_timeout_s)


def policy(settings: Settings) -> Policy:
    playtime = settings.playtime_tracking
    return Policy(
        heartbeat_interval_s=playtime.heartbeat_interval_seconds,
        session_timeout_s=playtime.session_timeout_inactive_seconds,
        max_live_sessions=playtime.max_live_sessions_per_user,
    )


def host_options(settings: Settings, host_id: HostId, listen_address: str, advertised_address: str) -> HostOptions:
    engine = settings.engine
    return HostOptions(
        host_id=host_id,
        listen_address=listen_address,
        advertised_address=advertised_address,
        clock_rate=settings.cluster.clock_rate,
        policy=policy(settings),
        mailbox=MailboxLimits(per_entity=engine.max_mailbox_commands, per_host=engine.max_host_commands),
        flush=FlushLimits(
            interval_s=engine.flush_interval_s,
            journal_high_water_bytes=engine.journal_high_water_bytes,
            outbox_high_water_rows=engine.outbox_high_water_rows,
        ),
        max_batch_commands=engine.max_batch_commands,
        max_frame_bytes=engine.max_frame_bytes,
        idle_entity_s=engine.idle_entity_s,
        max_resident_entities=engine.max_resident_entities,
    )


def auth_settings(settings: Settings) -> AuthSettings:
    auth = settings.auth
    secret = auth.jwt_hs256_secret
    return AuthSettings(
        hs256_secret=None if secret is None else secret.get_secret_value().encode(),
        jwks_file=auth.jwks_file,
        jwks_url=auth.jwks_url,
        jwks_refresh_s=auth.jwks_refresh_seconds,
        trust_gateway=auth.trust_gateway,
        audience=auth.jwt_audience,
        issuer=auth.jwt_issuer,
        remembered_tokens=auth.remembered_tokens,
    )


def door_settings(settings: Settings) -> DoorSettings:
    http, server = settings.http, settings.server
    return DoorSettings(
        run_dir=settings.cluster.run_dir,
        tls=door_certificate(settings),
        rates=rates(settings),
        host=server.http_host,
        port=server.http_port,
        process=f"door-{os.getpid()}",
        command_timeout_s=settings.engine.command_timeout_s,
        limits=WireLimits(
            header_bytes=http.max_header_bytes,
            body_bytes=http.max_body_bytes,
            connections=http.max_connections,
            header_timeout_s=http.header_timeout_s,
            body_timeout_s=http.body_timeout_s,
            idle_timeout_s=http.idle_timeout_s,
        ),
    )


def rates(settings: Settings) -> RateSettings | None:
    """Where the service's clock runs fast, so do its clients."""
    limits, playtime, clock = settings.rate_limits, settings.playtime_tracking, settings.cluster.clock_rate
    if not limits.enabled:
        return None
    gap_s = playtime.heartbeat_interval_seconds / BEATS_OF_AN_INTERVAL / clock
    return RateSettings(
        reads_per_s=limits.reads_per_s * clock,
        reads_burst=ceil(limits.reads_burst * clock),
        writes_per_s=limits.writes_per_s * clock,
        writes_burst=ceil(limits.writes_burst * clock),
        beats_per_s=playtime.max_live_sessions_per_user / gap_s,
        beats_burst=BEATS_OF_AN_INTERVAL * playtime.max_live_sessions_per_user,
        beat_gap_s=gap_s,
        sessions_per_user=playtime.max_live_sessions_per_user,
    )


def door_certificate(settings: Settings) -> CertificateFiles | None:
    """Of the doors, when they are to speak TLS."""
    tls = settings.tls
    if tls.certificate_file is None or tls.key_file is None:
        return None
    return CertificateFiles(certificate=tls.certificate_file, key=tls.key_file)


def rpc_settings(settings: Settings) -> RpcSettings:
    grpc = settings.grpc
    return RpcSettings(
        tls=None if grpc.plaintext else rpc_certificate(settings),
        roles={Role.READER: frozenset(grpc.readers), Role.GAME_SERVER: frozenset(grpc.game_servers)},
        server=grpc.server,
        host=grpc.host,
        port=settings.server.grpc_port,
        command_timeout_s=settings.engine.command_timeout_s,
    )


def rpc_certificate(settings: Settings) -> CertificateFiles:
    """The gRPC door's own, else that of the doors."""
    grpc, tls = settings.grpc, settings.tls
    certificate = grpc.certificate_file or tls.certificate_file
    key = grpc.key_file or tls.key_file
    if certificate is None or key is None or grpc.client_ca_file is None:
        raise ValueError("the settings have no certificate for the gRPC door")
    return CertificateFiles(certificate=certificate, key=key, ca=grpc.client_ca_file)


def kafka_connection(settings: Settings) -> KafkaConnection:
    kafka = settings.kafka
    password, key_password = kafka.sasl_password, kafka.ssl_key_password
    return KafkaConnection(
        brokers=",".join(kafka.brokers),
        security_protocol=kafka.security_protocol,
        ca_file=None if kafka.ssl_ca_file is None else str(kafka.ssl_ca_file),
        certificate_file=None if kafka.ssl_certificate_file is None else str(kafka.ssl_certificate_file),
        key_file=None if kafka.ssl_key_file is None else str(kafka.ssl_key_file),
        key_password=None if key_password is None else key_password.get_secret_value(),
        sasl_mechanism=kafka.sasl_mechanism,
        sasl_username=kafka.sasl_username,
        sasl_password=None if password is None else password.get_secret_value(),
    )


def consumed_topics(settings: Settings) -> list[Topic]:
    kafka = settings.kafka
    return [Topic(name=name, partitions=EVENT_PARTITIONS) for name in dict.fromkeys(kafka.event_topics)]


def event_routes(settings: Settings) -> Routes:
    kafka = settings.kafka
    return routes({
        payloads.PURCHASED: kafka.topic_purchases,
        payloads.REFUNDED: kafka.topic_refunds,
        payloads.GIFT_ACCEPTED: kafka.topic_gifts,
        payloads.KEY_ACTIVATED: kafka.topic_keys,
        payloads.INSTALLED: kafka.topic_installed,
        payloads.UNINSTALLED: kafka.topic_uninstalled,
        payloads.STATUS_CHANGED: kafka.topic_installation_status,
        payloads.PRODUCT_UPDATED: kafka.topic_product_updates,
    })  # fmt: skip
