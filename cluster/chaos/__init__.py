"""``library chaos``: the running service, broken on purpose, and everything it ever answered held against what it kept.

Reading order: ``running`` (the service from outside), ``proxy``, ``proxies``, ``links`` and ``disk`` (what stands
between its parts), ``stage`` (means), ``faults`` (kinds) and ``rival`` (the second writer); then how anybody calls:
``calls``, ``caller``, ``shop`` (Kafka), ``platform`` and ``asking`` (gRPC), ``user``, the ``bodies``; what users do:
``looks``, ``curator``, ``luggage``, ``game_server``; who they are: ``client`` (plays), ``trader``, ``crowd``, and how
busy: ``pace``; ``evidence`` (tables and topics); ``set_up`` puts it together, ``trial`` runs it, ``main`` and
``report`` are the command. The judge is ``cluster.verdict``.
"""
