"""The development stack: the real servers, from Python packages alone, on free ports of 127.0.0.1.

Reading order: `stack.py` (what a caller sees), `part.py` (the life of one server), `postgres.py`, `kafka.py` and
`ray_head.py` (the servers), `process.py`, `ports.py` and `state.py` (what they share), `watch.py` and `guard.py` (when
something dies). Nothing here is used in production: every part is replaced by a real one through the environment.
"""
