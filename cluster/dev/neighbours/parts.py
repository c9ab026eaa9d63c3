"""The three servers as parts of the stack: each a process of its own, so that each can be killed or frozen alone."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import psutil

from cluster.dev.neighbours.world import Known, KnownFile
from cluster.dev.part import Part
from cluster.dev.process import ProcessId, processes_where

PROBE_TIMEOUT_S = 1.0
ROOT = Path(__file__).parents[3]


class Neighbour(Part):
    variable: ClassVar[str]

    def environment(self) -> dict[str, str]:
        return {self.variable: self.address()}

    def address(self) -> str:
        return f"127.0.0.1:{self.site.ports.remembered(self.name)}"

    def change(self, change: Callable[[Known], object]) -> None:
        """Changes what the running server knows, or how it misbehaves, from its next call on."""
        file = KnownFile(self._file)
        file.seed()
        known = file.known
        change(known)
        file.write(known)

    @property
    def known(self) -> Known:
        return KnownFile(self._file).known

    def launch(self) -> None:
        (port,) = self.site.ports.take(self.name)
        self._file.parent.mkdir(exist_ok=True)
        self.site.progress(self.name, "starting")
        paths = os.pathsep.join((str(ROOT), str(ROOT / "proto"), os.environ.get("PYTHONPATH", "")))
        self.process.spawn(
            [sys.executable, "-m", "cluster.dev.neighbours", self.name, str(port), str(self._file)],
            env={**os.environ, "PYTHONPATH": paths},
            cwd=self._file.parent,
        )

    def ready(self) -> bool:
        port = self.site.ports.remembered(self.name)
        if port is None or "serves on" not in self.process.output():
            return False
        try:
            socket.create_connection(("127.0.0.1", port), PROBE_TIMEOUT_S).close()
        except OSError:
            return False
        return True

    def strays(self) -> list[ProcessId]:
        """Only our server has our file as an argument."""
        file, leader = str(self._file), self.pid
        return processes_where(lambda pid: pid != leader and file in psutil.Process(pid).cmdline())

    @property
    def _file(self) -> Path:
        return self.site.directory / "neighbours" / f"{self.name}.json"


class CatalogServer(Neighbour):
    name: ClassVar[str] = "catalog"
    title: ClassVar[str] = "Catalog (small)"
    variable: ClassVar[str] = "CATALOG_SERVICE_GRPC_ADDR"


class DownloadServer(Neighbour):
    name: ClassVar[str] = "download"
    title: ClassVar[str] = "Download (small)"
    variable: ClassVar[str] = "DOWNLOAD_SERVICE_GRPC_ADDR"


class AccountServer(Neighbour):
    name: ClassVar[str] = "account"
    title: ClassVar[str] = "Account (small)"
    variable: ClassVar[str] = "ACCOUNT_SERVICE_GRPC_ADDR"
