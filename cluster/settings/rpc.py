"""The gRPC door: where its handlers live, its certificates, and who may call what (R-RPC-4, R-SEC-3)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator

from cluster.settings.fields import Section, setting
from cluster.settings.sections import comma_separated
from cluster.settings.security import PEM, Tls

SMALL_MACHINE_CORES = 8
NAMES = "names of client certificates, separated by commas"
Names = Annotated[tuple[str, ...], BeforeValidator(comma_separated)]


class Grpc(Section):
    host: str = setting(
        "0.0.0.0",
        env="LIBRARY_SERVICE_GRPC_HOST",
        meaning="Address that the gRPC door listens on.",
        allowed="an IP address, a host name, or `node`: each node's own address",
        shown_default="0.0.0.0; 127.0.0.1 in development",
        min_length=1,
    )
    doors: Literal["shared", "own", "off"] = setting(
        lambda: "shared" if (os.cpu_count() or 1) < SMALL_MACHINE_CORES else "own",
        env="LIBRARY_GRPC_DOORS",
        meaning="`shared`: each REST door's process serves gRPC too; `own`: processes of its own; `off`: none.",
        shown_default=f"shared on a machine with fewer than {SMALL_MACHINE_CORES} cores, else own; off in development "
        "without a certificate",
    )
    server: Literal["h2corn", "grpcio"] = setting(
        "h2corn", env="LIBRARY_GRPC_SERVER", meaning="What serves it: the faster one, or Google's."
    )
    certificate_file: Path | None = setting(
        None, env="LIBRARY_GRPC_CERTIFICATE_FILE", allowed=PEM, shown_default="LIBRARY_TLS_CERTIFICATE_FILE",
        meaning="The gRPC door's certificate with its chain.",
    )  # fmt: skip
    key_file: Path | None = setting(
        None, env="LIBRARY_GRPC_KEY_FILE", meaning="Its key, without a password.", allowed=PEM,
        shown_default="LIBRARY_TLS_KEY_FILE",
    )  # fmt: skip
    client_ca_file: Path | None = setting(
        None, env="LIBRARY_GRPC_CLIENT_CA_FILE", allowed=PEM,
        meaning="Who signs the certificates of callers; every caller needs one.",
    )  # fmt: skip
    plaintext: bool = setting(
        False, env="LIBRARY_GRPC_PLAINTEXT",
        meaning="Speak without TLS and believe every caller; development only.",
    )  # fmt: skip
    readers: Names = setting(
        (), env="LIBRARY_GRPC_READERS", allowed=NAMES,
        meaning="Who may ask about any user's library; others need that user's token.",
    )  # fmt: skip
    game_servers: Names = setting(
        (), env="LIBRARY_GRPC_GAME_SERVERS", allowed=NAMES,
        meaning="Who may send heartbeats for any user's sessions; others need that user's token.",
    )  # fmt: skip


def grpc_relations(grpc: Grpc, tls: Tls) -> tuple[tuple[bool, str], ...]:
    """What must hold, and what to say when it does not."""
    own = (grpc.certificate_file, grpc.key_file)
    files = own if own != (None, None) else (tls.certificate_file, tls.key_file)
    secure = None not in (*files, grpc.client_ca_file)
    return (
        (own.count(None) in (0, 2), "LIBRARY_GRPC_CERTIFICATE_FILE, LIBRARY_GRPC_KEY_FILE: only one is set; set both"),
        (
            not (grpc.plaintext and own != (None, None)),
            "LIBRARY_GRPC_PLAINTEXT: is true, and there is a certificate; choose one",
        ),
        (
            secure or grpc.plaintext or grpc.doors == "off",
            "LIBRARY_GRPC_CERTIFICATE_FILE, LIBRARY_GRPC_KEY_FILE, LIBRARY_GRPC_CLIENT_CA_FILE: are missing; the gRPC "
            "door needs them, or LIBRARY_GRPC_DOORS=off",
        ),
    )
