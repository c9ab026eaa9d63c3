"""``library chaos``: the running service, broken on purpose, and everything it ever answered held against what it kept.

Reading order: ``running`` (the service from outside), ``proxy``, ``proxies``, ``links`` and ``disk`` (what stands
between its parts), ``stage`` (means), ``faults`` (kinds) and ``rival`` (the second writer); then the clients:
``calls``, ``caller``, ``shop``, ``bodies``, ``client``, ``crowd``; ``evidence`` (tables and topics); ``trial`` puts it
together, ``main`` and ``report`` are the command. The judge is ``cluster.verdict``.
"""
