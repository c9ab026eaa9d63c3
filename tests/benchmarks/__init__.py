"""What a request costs, beside services that others would write (`make bench`).

Reading order: ``__main__`` (the whole run), ``options``, ``crowd`` (users, tokens, requests as bytes), ``filling``
(live sessions by commands over a link), ``ours`` and ``peers/`` (who is compared), ``load`` (the client), ``cpu`` (what
it cost), ``rounds`` (in which order), ``recovery``, ``figures`` (what the numbers say), ``report`` (how they look).

Every figure is CPU time of all server processes divided by requests answered: unlike throughput it says the same on a
machine that does something else beside. Ratios are taken between runs that follow each other directly.
"""
