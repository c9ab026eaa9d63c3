"""The judge of every proof: what clients were told, against what tables and topic hold when everything is at rest.

``history`` (play) and ``shelf`` (the library beside it) write down one user's answers and say at once when one
contradicts an earlier one; ``found`` is what was found in the end; ``checker`` and ``library`` compare the two. The
simulation's players and ``library chaos``'s clients feed the same judge. It knows nothing of the inside: no epochs, no
journal, no shards.
"""
