"""What users notice when hosts die (`make bench-recovery`, `make bench-takeover`).

Reading order: ``stage`` (the service with so many users playing, seeded by COPY: ``seeding``), then the two runs,
``recovery_run`` (all hosts killed, with up to a million live sessions) and ``takeover_run`` (one host after another
killed under an open-loop load), and their parts: ``open_loop`` (the client, a process of its own), ``loading`` (how it
is started), ``outcomes`` and ``outages`` (what its record says), ``plot``.
"""
