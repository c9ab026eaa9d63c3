"""How many doors there should be: by the doors' own figures, since Serve never sees their traffic."""

from math import ceil
from typing import Any

REQUESTS_PER_DOOR = 8_000.0
"""Requests a second that one door answers comfortably on one core."""
CONNECTIONS_PER_DOOR = 10_000.0


def policy(context: Any) -> tuple[int, dict[str, Any]]:
    """Serve's ``AutoscalingPolicy`` function; the replicas' figures are those of ``Door.load``."""
    figures = context.aggregated_metrics
    requests = sum(figures.get("requests_per_s", {}).values())
    connections = sum(figures.get("connections", {}).values())
    wanted = max(ceil(requests / REQUESTS_PER_DOOR), ceil(connections / CONNECTIONS_PER_DOOR))
    return max(context.capacity_adjusted_min_replicas, min(context.capacity_adjusted_max_replicas, wanted)), {}
