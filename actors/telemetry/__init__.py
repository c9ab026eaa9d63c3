"""How processes tell what they do: JSON logs, and metrics of all processes of a node behind one ``/metrics``.

Reading order: ``logs``; ``names`` (what is measured), ``counting`` (how the hot path counts), ``exposition`` (a process
shows its own figures on a unix socket), ``merge`` (a door gathers them).
"""
