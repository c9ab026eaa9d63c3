"""Clients of the Catalog, Download and Account Services, over gRPC.

Reading order: ``breaker`` and ``calling`` (how any of them is called: deadlines, retries, giving up early),
``channel``, then a file a service: ``catalog_client`` (the calls), ``catalog_memory`` and ``catalog`` (what is
remembered of its answers, in this process and in Redis), ``downloads``, ``accounts``.
"""
