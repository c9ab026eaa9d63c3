"""The settings of a service on a developer's machine: what the environment says, else what the stack offers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from cluster.dev.stack import DevStack
from cluster.settings import Settings, load_settings

NO_SERVERS = {
    "POSTGRES_DSN": "postgresql://nobody@127.0.0.1:1/nothing",
    "KAFKA_BROKERS": "127.0.0.1:1",
}
"""For commands that reach no server but need valid settings."""


def development_settings(environ: Mapping[str, str], stack: DevStack) -> Settings:
    """Settings that point to the running servers of a stack; ``SettingsError``."""
    chosen = {"LIBRARY_ENVIRONMENT": "development", "LIBRARY_RUN_DIR": str(run_dir(stack.directory))}
    return load_settings({**chosen, **stack.environment(), **environ})


def operator_settings(environ: Mapping[str, str], directory: Path) -> Settings:
    """For commands that act on a running service: the one that the environment names, else the stack's in
    ``directory``. ``SettingsError``."""
    if environ.get("POSTGRES_DSN") or not directory.exists():
        return load_settings(environ)
    return development_settings(environ, DevStack(directory))


def settings_without_servers(environ: Mapping[str, str]) -> Settings:
    """Settings of development for commands that need no server; ``SettingsError``."""
    return load_settings({"LIBRARY_ENVIRONMENT": "development", **NO_SERVERS, **environ})


def run_dir(directory: Path) -> Path:
    """A short path of each stack's own, for sockets: those of two stacks must not be mixed up."""
    return Path(f"/tmp/library-{os.getuid()}-{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}")
