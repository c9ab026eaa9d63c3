"""The doors: HTTP in front of the users' actors. No rules live here.

Reading order: ``settings`` and ``ports`` (what a door is given), ``errors`` (every code there is), ``auth`` and
``jwks`` (who is asking), ``negotiation`` and ``bodies`` (what may come in and goes out), ``session_calls`` (the three
hot calls), ``fast_path`` (the ASGI app that answers them), ``rest`` (FastAPI for everything else), ``http_protocol``
(bounds of the wire), ``door`` (all of it on a socket); last ``ray_api``, the Serve deployment.
"""
