"""Channels to other services: quick to find out that a connection is dead, and quick to make another."""

from pathlib import Path

import grpc
from grpc import aio
from msgspec import Struct

MAX_ANSWER_BYTES = 4 * 2**20
OPTIONS = (
    ("grpc.enable_retries", 0),  # ours know the caller's deadline and the breaker
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
)


class ServiceTls(Struct, frozen=True, kw_only=True):
    """Who signed the services' certificates, and ours if they ask for one. The files are read when a channel opens."""

    ca_file: Path
    certificate_file: Path | None = None
    key_file: Path | None = None


def open_channel(address: str, tls: ServiceTls | None = None) -> aio.Channel:
    """Connects when it is first used. Belongs to the running loop; close it there."""
    if tls is None:
        return aio.insecure_channel(address, options=OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=tls.ca_file.read_bytes(),
        private_key=None if tls.key_file is None else tls.key_file.read_bytes(),
        certificate_chain=None if tls.certificate_file is None else tls.certificate_file.read_bytes(),
    )
    return aio.secure_channel(address, credentials, options=OPTIONS)
