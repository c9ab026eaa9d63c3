"""schemathesis against the running door: requests that the contract allows, and such that it does not (R-ERR-1).

``target`` (a service with a user who owns something), ``hooks`` (loaded by schemathesis), ``run``, ``__main__``
(`make fuzz`). A short run is part of the acceptance tests.
"""
