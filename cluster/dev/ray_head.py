"""Ray's head node with its dashboard, on loopback alone.

Ray on Linux replaces 127.0.0.1 by the machine's outward address and listens on all interfaces, without a password.
`RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0` makes the head node do what it does on macOS: use 127.0.0.1 everywhere. Drivers
reach it as `[::ffff:127.0.0.1]`, a spelling of that address which they do not replace.

Without a mode of authentication, Ray takes the one that a token left in the home directory by any earlier `ray.init()`
suggests, and then refuses drivers that have no token: so the mode is said. Loopback is what protects this node.

All its processes share the Unix session of `ray start --block`, so that is how they are found and ended. Nothing that
Ray keeps outlives a stop: its directory is a short path (a Unix socket's is limited to 107 bytes) removed with it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar

from cluster.dev.errors import CancelledError, DevStackError
from cluster.dev.gcs_redis import GcsRedis
from cluster.dev.part import Part, Site
from cluster.dev.process import ProcessId, session_of

PORT_OPTIONS = {
    "ray": "--port",
    "ray-dashboard": "--dashboard-port",
    "ray-client": "--ray-client-server-port",
    "ray-node-manager": "--node-manager-port",
    "ray-object-manager": "--object-manager-port",
    "ray-agent": "--dashboard-agent-listen-port",
    "ray-agent-grpc": "--dashboard-agent-grpc-port",
    "ray-runtime-env": "--runtime-env-agent-port",
    "ray-metrics": "--metrics-export-port",
}
DASHBOARD_METRICS_PORT = "ray-dashboard-metrics"
OBJECT_STORE_BYTES = 128 * 1024 * 1024
CPUS_AT_LEAST = 8
PROBE_TIMEOUT_S = 1.0
REDIS_TIMEOUT_S = 30.0

HOLD = "gcs-stays-away"
RECONNECT = "gcs_rpc_server_reconnect_timeout_s"
GCS_AWAY_S = 600
"""How long everything that runs waits for a GCS that has its Redis; Ray's own 60 s would end it."""

IDLE_LESS = {
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    "RAY_enable_metrics_collection": "0",
    "RAY_event_stats": "0",
    "RAY_task_events_report_interval_ms": "0",
}
"""Ray at rest takes 7.4 % of a core; with these 4.8. A door that died is missed up to 0.4 s later, and what nobody
reads here is not collected: Ray's own metrics and its list of tasks (we have none but actors' calls)."""

ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    **IDLE_LESS,
}


class RayHead(Part):
    name: ClassVar[str] = "ray"
    title: ClassVar[str] = "Ray"
    stop_grace_s: ClassVar[float] = 8.0
    stray_grace_s: ClassVar[float] = 1.0
    start_timeout_s: ClassVar[float] = 90.0

    def environment(self) -> dict[str, str]:
        return {"RAY_ADDRESS": f"[::ffff:127.0.0.1]:{self.site.ports.remembered('ray')}"}

    def address(self) -> str:
        return f"127.0.0.1:{self.site.ports.remembered('ray')}, dashboard {self.dashboard_url()}"

    def dashboard_url(self) -> str:
        return f"http://127.0.0.1:{self.site.ports.remembered('ray-dashboard')}"

    def __init__(self, site: Site, gcs_redis: GcsRedis) -> None:
        super().__init__(site)
        self._gcs_redis = gcs_redis

    @property
    def gcs_hold(self) -> Path | None:
        """While this file exists, a GCS that died stays away; None if it cannot come back anyway."""
        temporary = self.site.state.get(self.name).get("temporary")
        return Path(temporary) / HOLD if temporary is not None and self._gcs_redis.wanted else None

    def launch(self) -> None:
        self.clean_up()
        temporary = Path(tempfile.mkdtemp(prefix="library-ray-", dir="/tmp"))
        self.site.state.update(self.name, temporary=str(temporary))
        ports = dict(zip(PORT_OPTIONS, self.site.ports.take(*PORT_OPTIONS), strict=True))
        (metrics_port,) = self.site.ports.take(DASHBOARD_METRICS_PORT)
        self.site.progress(self.name, "starting")
        options = [part for name, option in PORT_OPTIONS.items() for part in (option, str(ports[name]))]
        leader, more_options, more_environment = self._gcs(temporary)
        self.process.spawn(
            [
                *leader,
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head"),
                *("--temp-dir", str(temporary)),
                *("--node-ip-address", "127.0.0.1", "--dashboard-host", "127.0.0.1"),
                *("--min-worker-port", "0", "--max-worker-port", "0"),
                *("--num-cpus", str(max(CPUS_AT_LEAST, os.cpu_count() or 1)), "--num-gpus", "0"),
                *("--object-store-memory", str(OBJECT_STORE_BYTES)),
                *("--disable-usage-stats", "--no-monitor", "--include-log-monitor", "false"),
                *options,
                *more_options,
            ],
            env={
                **inherited_environment(),
                **ENVIRONMENT,
                "DASHBOARD_METRIC_PORT": str(metrics_port),
                **more_environment,
            },
            cwd=temporary,
        )

    def _gcs(self, temporary: Path) -> tuple[list[str], list[str], dict[str, str]]:
        """What goes before the command, behind it, and into its environment: a GCS that lives as long as the node, or
        one that may die and come back (with a Redis that has begun to answer)."""
        if not self._gcs_redis.wanted:
            return [], ["--block"], {}
        self._wait_for_redis()
        return (
            [sys.executable, "-m", "cluster.dev.ray_keeper", str(temporary / HOLD)],
            [
                *("--redis-password", self._gcs_redis.password()),
                *("--system-config", json.dumps({RECONNECT: GCS_AWAY_S})),
            ],
            {
                "RAY_REDIS_ADDRESS": self._gcs_redis.address(),
                "RAY_external_storage_namespace": temporary.name,
                f"RAY_{RECONNECT}": str(GCS_AWAY_S),
            },
        )

    def _wait_for_redis(self) -> None:
        """It is started beside this part."""
        deadline = time.monotonic() + REDIS_TIMEOUT_S
        while not self._gcs_redis.ready():
            if self.site.cancelled.is_set():
                raise CancelledError(self.name, "start cancelled")
            if time.monotonic() > deadline:
                raise DevStackError(self.name, f"its Redis does not answer within {REDIS_TIMEOUT_S:.0f} s")
            time.sleep(0.05)

    def ready(self) -> bool:
        return "Ray runtime started." in self.process.output() and self._listens("ray-dashboard")

    def strays(self) -> list[ProcessId]:
        leader = self.process.identity
        return session_of(leader) if leader is not None and not leader.alive() else []

    def clean_up(self) -> None:
        temporary = self.site.state.get(self.name).get("temporary")
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
            self.site.state.remove(self.name)

    def _listens(self, port_name: str) -> bool:
        port = self.site.ports.remembered(port_name)
        try:
            socket.create_connection(("127.0.0.1", port), PROBE_TIMEOUT_S).close()
        except OSError:
            return False
        return True


def inherited_environment() -> dict[str, str]:
    """Without the caller's RAY_* variables, which would change what kind of node is started."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
