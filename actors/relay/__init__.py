"""Out of the outbox, into Kafka: every change is published once it is durable, in order per user (R-EVT-1, R-EVT-2).

Reading order: ``cloudevent`` (what is stored), ``ports`` (what the relay asks of the outbox and of Kafka), ``relay``
(the loop that carries rows over), ``metrics``.
"""
