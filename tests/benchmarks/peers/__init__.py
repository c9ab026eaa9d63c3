"""Whom we compare ourselves with: the same calls over a table of the same shape, one transaction each."""
