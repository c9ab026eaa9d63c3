"""The machines of the Ray cluster, for commands: join it as a driver first (``cluster.service.connect``)."""

import time
from typing import Any

import ray
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.core.generated import autoscaler_pb2

from cluster.errors import ServiceError

_reasons: Any = autoscaler_pb2
PREEMPTION = _reasons.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
"""The reason that Ray always accepts."""


def nodes() -> dict[str, bool]:
    """The living nodes by address, and whether processes may be put there."""
    draining = _gcs().get_draining_nodes()
    return {str(node["NodeManagerAddress"]): node["NodeID"] not in draining for node in _alive()}


def drain(address: str, within_s: float) -> None:
    """Asks Ray to put nothing more on a node; the supervisor and Serve then move what is there. Serve ends doors that
    it finds no other place for shortly before the time is over. ``ServiceError``."""
    found = [node["NodeID"] for node in _alive() if node["NodeManagerAddress"] == address]
    if not found:
        raise ServiceError(f"there is no node at {address}; there are {', '.join(sorted(nodes()))}")
    deadline_ms = int((time.time() + within_s) * 1000)
    for node_id in found:
        accepted, reason = _gcs().drain_node(node_id, PREEMPTION, "library nodes drain", deadline_ms)
        if not accepted:
            raise ServiceError(f"Ray does not drain {address}: {reason}")


def _alive() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _gcs() -> Any:
    return GcsClient(address=ray.get_runtime_context().gcs_address)
