"""The documented routes: FastAPI for everything that is not a heartbeat.

Reading order: ``services`` (what routes are given), ``route`` (errors in one shape), then a file a group of routes:
``playtime``, ``items``, ``health``; ``openapi`` (the document), ``app`` (all of it together).
"""
