"""Every metric there is, by name, in one place. Units last; counters get Prometheus' ``_total`` on the wire.

Every sample shown by a door has a ``process`` label besides those named here.
"""

HTTP_REQUESTS = "library_http_requests"
"""Counter: answers of a door, by ``method``, ``route`` (its template, or ``unmatched``) and ``status``."""

HTTP_REQUEST_SECONDS = "library_http_request_duration_seconds"
"""Histogram: from a request's headers to its answer, by ``method`` and ``route``."""

HTTP_IN_FLIGHT = "library_http_requests_in_flight"
"""Gauge: requests a door is working on."""

HTTP_CONNECTIONS = "library_http_connections"
"""Gauge: open connections of a door."""

HTTP_REFUSED = "library_http_wire_refusals"
"""Counter: requests that were refused before they reached a route (too large, too slow, not HTTP), by ``code``."""

AUTH_FAILURES = "library_auth_failures"
"""Counter: requests that were not authenticated, by ``reason``."""

SCRAPE_FAILURES = "library_metrics_scrape_failures"
"""Counter: processes of the node that did not show their figures in time when a door gathered them."""
