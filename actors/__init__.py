"""The engine: users as actors, durable before acknowledged, moved between hosts while they play.

Reading order: ``domain`` (the rules), ``ports`` (what the engine asks of the world), then a batch's way: ``mailbox``,
``deciding``, ``commit_loop``; a flush's: ``dirty``, ``flush_rows``, ``flush_loop``; a host's life: ``lifecycle``,
``recovery``, ``ownership``, ``expiry``, ``engine``, ``host``; how it is reached: ``link``, ``router``; who keeps it
running: ``supervisor``, ``placement``, ``ray_control``, ``service_process``. Kafka's two ends are ``ingress`` and
``relay``; figures and logs are ``telemetry``.
"""
