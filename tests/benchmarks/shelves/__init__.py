"""What people wait for who look at their libraries, and services that ask who owns what (`make bench-library`).

Reading order: ``collections`` (who owns how much, and what it is called), ``seeding`` (by COPY), ``visits`` (who asks
what, in which order), ``run`` (the service, the two open-loop clients), ``outcome`` (percentiles, a table, a picture).
"""
