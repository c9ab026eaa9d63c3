"""``library replay``: a file of real play hours, played through the running service as game clients and a payment
service would, and the ledger checked afterwards, to the second.

Reading order: ``playfile`` (the rows), ``plan`` (what is bought and played, by whom), ``schedule`` (whose turn it is);
then what talks to the service: ``pause`` and ``patience`` (how it waits), ``service`` (HTTP), ``payments`` (Kafka),
``shelf`` and ``player`` (a client), ``crowd`` (all of them); what is kept: ``told`` (what clients were told) and
``figures``; the judgement: ``check`` (pure) and ``evidence`` (what it is given). ``run`` puts it together, against what
``target`` finds; ``progress`` and ``report`` show it; ``main`` is the command. ``offline_plan``, ``offline_player``,
``offline_check``, ``offline_run`` and ``offline_report`` are the same for sessions that are brought when they are over.

Nothing here knows the service's code: it speaks HTTP and Kafka, and reads the tables of the specification.
"""
