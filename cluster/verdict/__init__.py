"""The judge of every proof: what clients were told, against what tables and topic hold when everything is at rest.

``history`` writes down one user's answers and says at once when one contradicts an earlier one; ``found`` is what was
found in the end; ``checker`` compares the two. The simulation's players and ``library chaos``'s clients feed the same
judge. It knows nothing of the inside: no epochs, no journal, no shards.
"""
