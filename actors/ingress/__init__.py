"""Kafka into the engine: each event becomes one command to one user's actor, and its offset is committed only after
the effect is durable (R-EVT-3); what cannot be processed goes aside and blocks nobody (R-EVT-4).

Reading order: ``ports`` (Kafka and the router as seen from here), ``envelope`` (CloudEvents, or the bare payload),
``decoding`` (payloads to commands), ``window`` (which offsets of a partition are done), ``lanes`` (one event of a user
at a time), ``delivery`` (until done, or dead), ``ingress`` (polling, committing, rebalances, and the loop that keeps
it running), ``metrics``.
"""
