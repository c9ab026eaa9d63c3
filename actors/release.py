"""The one place that knows which versions this release reads and writes.

A new shape gets a ``format_<n>`` of its own; the one before stays here for one release, the one before that goes.
"""

from actors.format_1 import FORMAT_1
from actors.formats import Formats

VERSIONS = (FORMAT_1,)


def release_formats() -> Formats:
    """A process' own: each learns for itself what the cluster allows."""
    return Formats(VERSIONS)
