"""``python -m cluster`` is the ``library`` command."""

from cluster.cli import main

main()
