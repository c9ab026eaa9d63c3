"""What users notice when hosts die (`make bench-recovery`).

Reading order: ``stage`` (the service with so many users playing, seeded by COPY: ``seeding``), then ``recovery_run``
(all hosts killed, with up to a million live sessions) and its parts: ``open_loop`` (the client, a process of its own),
``loading`` (how it is started), ``outcomes`` (what its record says).
"""
