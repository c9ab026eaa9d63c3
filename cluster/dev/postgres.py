"""Postgres 18 on a port of 127.0.0.1, durable as in production: `fsync` and `synchronous_commit` stay on.

The service's durability promises are tested against this server, so the settings below only size it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import psutil

from cluster.dev.errors import DevStackError
from cluster.dev.part import Part
from cluster.dev.postgres_place import Place, find_place, remove_place
from cluster.dev.process import LOG_LINES, ProcessId, processes_where

USER = "library"
DATABASE = "library"
TOOL_TIMEOUT_S = 60.0

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class Postgres(Part):
    name: ClassVar[str] = "postgres"
    title: ClassVar[str] = "Postgres 18"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast shutdown": open sessions are ended, not waited for
    stray_grace_s: ClassVar[float] = 10.0

    @cached_property
    def _place(self) -> Place:
        return find_place(self.site.directory, self.site.state)

    def dsn(self, database: str = DATABASE) -> str:
        """A URL with the password in it; valid once the server has been started for the first time."""
        port = self.site.ports.remembered(self.name)
        return f"postgresql://{USER}:{self._password()}@127.0.0.1:{port}/{database}"

    def environment(self) -> dict[str, str]:
        return {"POSTGRES_DSN": self.dsn()}

    def address(self) -> str:
        return f"127.0.0.1:{self.site.ports.remembered(self.name)}"

    def launch(self) -> None:
        if not (self._place.data / "PG_VERSION").exists():
            self.site.progress(self.name, "creating the database cluster")
            self._create_cluster()
        self._remove_stale_lock()
        (port,) = self.site.ports.take(self.name)
        self.site.progress(self.name, "starting")
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        self.process.spawn(
            [str(self._place.bin / "postgres"), "-D", str(self._place.data), "-p", str(port), *options],
            env=self._environment(),
            cwd=self._place.data,
            account=self._place.account,
        )

    def start(self) -> None:
        """After a crash, backends that have not noticed yet keep the old shared memory: then it tries again."""
        deadline = time.monotonic() + self.start_timeout_s
        while True:
            try:
                return super().start()
            except DevStackError:
                waits_for_backends = "pre-existing shared memory block" in self.process.output()
                if self.running or not waits_for_backends or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def ready(self) -> bool:
        return self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", self._port()).returncode == 0

    def prepare(self) -> None:
        if not self.execute(f"select 1 from pg_database where datname = '{DATABASE}'", database="postgres"):
            self.execute(f"create database {DATABASE}", database="postgres")

    def strays(self) -> list[ProcessId]:
        """Every process of a Postgres server has its data directory as its working directory."""
        data, leader = self._place.data, self.pid
        return processes_where(lambda pid: pid != leader and Path(psutil.Process(pid).cwd()) == data)

    def execute(self, sql: str, *, database: str = DATABASE) -> str:
        """Runs one statement by psql and returns its rows, unaligned; raises DevStackError with psql's words."""
        run = self._run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, self.dsn(database))
        if run.returncode != 0:
            raise DevStackError(self.name, f"{run.stderr.strip()} (statement: {sql})")
        return run.stdout.strip()

    def forget(self) -> None:
        remove_place(self.site.state)

    def _remove_stale_lock(self) -> None:
        """After a crash: Postgres believes the file as long as its pid exists, be it a zombie's or somebody else's.

        Called when no process works in the data directory any more, which is what the file is about.
        """
        (self._place.data / "postmaster.pid").unlink(missing_ok=True)

    def _create_cluster(self) -> None:
        new, password_file = self._place.home / "data.new", self._place.home / "password"
        shutil.rmtree(new, ignore_errors=True)
        try:
            password_file.write_text(self._password())
            password_file.chmod(0o600)
            self._place.give(password_file)
            create = self._run(
                "initdb",
                f"--pgdata={new}",
                f"--username={USER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
            )
        finally:
            password_file.unlink(missing_ok=True)
        if create.returncode != 0:
            lines = (create.stdout + create.stderr).splitlines()[-LOG_LINES:]
            raise DevStackError(self.name, "initdb failed", tuple(lines))
        new.rename(self._place.data)

    def _password(self) -> str:
        password = self.site.state.get(self.name).get("password")
        if password is None:
            password = secrets.token_urlsafe(24)
            self.site.state.update(self.name, password=password)
        return str(password)

    def _port(self) -> str:
        return str(self.site.ports.remembered(self.name))

    def _run(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        account = self._place.account
        return subprocess.run(
            [str(self._place.bin / tool), *arguments],
            env=self._environment(),
            cwd=self._place.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TOOL_TIMEOUT_S,
            check=False,
            **(account.subprocess_arguments() if account else {}),
        )

    def _environment(self) -> dict[str, str]:
        """Without the caller's PG* variables, which would silently change what the tools connect to."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**inherited, "HOME": str(self._place.home), "LC_ALL": "C"}
