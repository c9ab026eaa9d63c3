"""The rules, pure: no I/O, no clock, no randomness, no Ray.

Reading order: ``ids`` (what identifies and measures), ``model`` (what a user is made of), ``commands``, ``events`` and
``replies`` (what goes in and out), ``context`` (what else a rule may know), ``user`` (``decide`` and ``evolve``),
``remembering`` (command ids); ``sessions``, ``offline`` (merged by ``spans``); ``library_part`` (which rule of a
library decides), ``acquisitions``, ``library``, ``listing`` (pages), ``categories``, ``access``; last ``publishing``
(what the world is told).
"""
