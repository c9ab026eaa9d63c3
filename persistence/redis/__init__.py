"""The cache: what processes share of the catalog, and copies of what users were last shown.

Nothing here is needed: everything in Redis can be lost at any moment, and Redis may be slow or away. Reading order:
``connection`` (bounded waits), then ``products`` and ``product_channel`` (the catalog), ``copies`` (users).
"""
