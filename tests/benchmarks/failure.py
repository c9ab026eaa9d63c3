"""Why a benchmark says no figure rather than a wrong one."""


class BenchmarkFailed(Exception):
    """One sentence for people: what is missing, or what was not as it must be for the figures to mean anything."""
