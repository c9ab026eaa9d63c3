"""The doors: HTTP in front of the users' actors. No rules live here.

Reading order: ``settings`` and ``ports`` (what a door is given), ``errors`` and ``error_answers`` (every way to fail),
``auth``, ``jwks`` and ``authentication`` (who is asking), ``negotiation``, ``reading`` and ``bodies`` (what may come in
and goes out), ``session_calls`` (the three hot calls), ``fast_path`` (the ASGI app that answers them), ``rest``
(FastAPI for the rest), ``wire``, ``http_answering`` and ``http_protocol`` (bounds of what one connection may cost),
``tls_listener`` and ``http_server`` (its sockets), ``door`` (all of it); last ``ray_api`` and ``autoscaling``, the
Serve deployment and how many of it there are.
"""
