"""The engine's real code in virtual time, over a store and a network that fail by a seed.

Reading order: ``processes`` (what can be killed and frozen), ``loop`` (virtual time), ``network`` (links), ``world``
(the system under test and its faults), ``clients`` (what players do and are told), ``checker`` (what may be true),
``run`` (a seed from beginning to end), ``mutations`` (rules broken on purpose, which the checker must notice).
"""
