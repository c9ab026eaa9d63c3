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

HTTP_STALE_PAGES = "library_http_stale_pages"
"""Counter: pages that came from a copy because the user's host could not answer."""

HTTP_REFUSED = "library_http_wire_refusals"
"""Counter: requests that were refused before they reached a route (too large, too slow, not HTTP), by ``code``."""

GRPC_CALLS = "library_grpc_calls"
"""Counter: calls that a gRPC door answered, by ``method`` (its path, or ``unmatched``) and ``code``."""

GRPC_CALL_SECONDS = "library_grpc_call_duration_seconds"
"""Histogram: from a call's last needed byte to its answer, by ``method``."""

GRPC_IN_FLIGHT = "library_grpc_calls_in_flight"
"""Gauge: calls a gRPC door is working on, streams included."""

AUTH_FAILURES = "library_auth_failures"
"""Counter: requests and gRPC calls that were not authenticated, by ``reason``."""

SCRAPE_FAILURES = "library_metrics_scrape_failures"
"""Counter: processes of the node that did not show their figures in time when a door gathered them."""

HOST_COMMANDS = "library_host_commands"
"""Counter: commands a host has answered, reads included."""

HOST_EVENTS = "library_host_events"
"""Counter: events committed, by ``type`` (``HeartbeatAccepted``, ``SessionStarted``, ``AnomalyRecorded``, ...)."""

HOST_COMMITS = "library_host_commits"
"""Counter: batches by ``outcome``: ``done``, ``fence`` (without events), ``refused``, ``in_doubt``."""

HOST_COMMIT_SECONDS = "library_host_commit_duration_seconds"
"""Histogram: from the cut of a batch to its commit."""

HOST_FLUSHES = "library_host_flushes"
"""Counter: flushes, by ``outcome``: ``done``, ``refused``, ``in_doubt``."""

HOST_FLUSH_SECONDS = "library_host_flush_seconds"
"""Counter: seconds spent in flushes that were done."""

HOST_FLUSHED_ROWS = "library_host_flushed_rows"
"""Counter: rows brought to the tables and the outbox."""

HOST_COPIES = "library_host_copies"
"""Counter: copies for when the host cannot answer, by ``outcome``: ``written``, ``dropped`` (Redis slow or away)."""

HOST_LIVE_SESSIONS = "library_host_live_sessions"
"""Gauge: sessions that have not ended, of the host's shards."""

HOST_RESIDENT_USERS = "library_host_resident_users"
"""Gauge: users with more than live sessions in memory."""

HOST_SHARDS = "library_host_serving_shards"
"""Gauge: shards the host serves."""

HOST_INTERVAL_SECONDS = "library_host_heartbeat_interval_seconds"
"""Gauge: the heartbeat interval told to clients now; above the configured one the host is busy."""

HOST_RECOVERY_SECONDS = "library_host_recovery_seconds"
"""Gauge: how long this process took to become the host's writer, by ``phase``: ``takeover``, ``load`` (live sessions),
``replay`` (the journal), ``begin`` (time-outs are watched again)."""

HOST_EVICTED = "library_host_evicted_users"
"""Counter: users whose libraries left memory."""

OUTBOX_BACKLOG = "library_outbox_backlog_rows"
"""Gauge: events not yet published, about, as a host sees it."""

ROUTER_CALLS = "library_router_troubles"
"""Counter: by ``kind``: ``resent`` after a lost link, ``wrong_shard``, ``gave_up`` (a 503), ``link_lost``."""

ROUTER_UNOWNED_SHARDS = "library_router_unowned_shards"
"""Gauge: shards without an owner that this process can reach."""

INGRESS_EVENTS = "library_ingress_events"
"""Counter: events taken from Kafka, by ``outcome``: ``applied``, ``unchanged``, ``dead_letter``."""

INGRESS_DEAD_LETTERS = "library_ingress_dead_letters"
"""Counter: dead letters by ``reason``."""

INGRESS_RETRIES = "library_ingress_retries"
"""Counter: attempts that were repeated because something was away."""

INGRESS_PARTITIONS = "library_ingress_assigned_partitions"
"""Gauge: partitions that this process reads."""

INGRESS_LAG = "library_ingress_lag_events"
"""Gauge: events whose effect is not durable yet."""

RELAY_PUBLISHED = "library_relay_published_events"
"""Counter: events that Kafka has committed."""

RELAY_FAILURES = "library_relay_failures"
"""Counter: times that Kafka or Postgres was away."""

RELAY_OUTBOX_AGE_SECONDS = "library_relay_outbox_age_seconds"
"""Gauge: the age of the oldest event not yet published."""

RELAY_LEADING = "library_relay_leading"
"""Gauge: 1 in the process that publishes."""

SUPERVISOR_ROUNDS = "library_supervisor_rounds"
"""Counter: looks at what is and what is wanted, by ``outcome``: ``done``, ``failed``."""

SUPERVISOR_WANTED_HOSTS = "library_supervisor_wanted_hosts"
"""Gauge: engine hosts that are to be."""

SUPERVISOR_SHARDS_TO_MOVE = "library_supervisor_shards_to_move"
"""Gauge: shards that are not where they should be."""

NEIGHBOUR_ATTEMPTS = "library_neighbour_attempts"
"""Counter: attempts to call another service, by ``service`` (``catalog``, ``download``, ``account``)."""

NEIGHBOUR_FAILURES = "library_neighbour_failures"
"""Counter: attempts that failed, by ``service`` and ``reason`` (a gRPC status, or ``wrong answer``)."""

NEIGHBOUR_REFUSED = "library_neighbour_refused"
"""Counter: calls that were not made because the service is taken to be away, by ``service``."""
