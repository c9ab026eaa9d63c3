"""Postgres: the journal, the tables, and who owns what.

Reading order: ``migrations/`` (the tables, each with its why), ``migrate``; ``connection`` (how a session is opened and
what a driver's error means) and ``codecs``; ``host_session`` (a session that holds a host's lock, and how a lost one is
replaced), ``takeover``, ``journal_session``, ``flush_session``, and ``host_store`` which makes the port of them. An
aggregate's SQL is in one file, flush and load side by side: ``library``, ``sessions``, ``purchases``, ``commands``,
``anomalies``, ``outbox``. Then what reads and keeps house over a small pool: ``pool``, ``loader``, ``cluster_map``,
``supervisor_store``, ``clock_store``, ``history``.
"""
