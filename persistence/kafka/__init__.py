"""Kafka by aiokafka, behind the ports of ``actors.ingress.ports`` and ``actors.relay.ports``.

Reading order: ``connection`` (brokers, TLS, SASL), ``topics``, ``consumer``, ``transactional_producer`` (the relay's),
``dead_letter_producer``, ``closing`` (ending a client that may be stuck).

aiokafka retries inside without end while brokers are away. So each wait on it has a deadline here, after which the
client is thrown away and its owner opens another.
"""
