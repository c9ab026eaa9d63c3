"""Copies of what users were last shown, for when their host cannot answer (R-DB-2).

    flush begins ──▶ ``keeper`` takes the images ──▶ the flush commits ──▶ ``writer`` brings them to the ``ports``
                                                                              door, host away ──▶ ``answering``

A copy is written only after a flush that proved the host's ownership has committed, never replaces a newer one, and
says since when it may be old: everything that was acknowledged before ``flushed_at`` is in it. Losing all of them, or
Redis being slow or away, changes nothing but what is shown while a host is away.
"""
