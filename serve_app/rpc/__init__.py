"""The gRPC door (R-RPC-1 to R-RPC-4, R-SEC-3).

Reading order: ``codes`` and ``wire`` (how a call ends, how it travels), ``callers`` (who may call), ``methods`` (the
table), ``servicing`` (what happens around every handler), ``services`` (the handlers), then the two servers that serve
the one table, ``asgi`` with ``h2corn_server`` and ``grpcio_server``, and ``door``, which has them live and end.
"""
