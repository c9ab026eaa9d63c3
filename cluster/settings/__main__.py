"""`python -m cluster.settings --markdown` prints docs/configuration.md."""

import sys

from cluster.settings.table import markdown

if sys.argv[1:] != ["--markdown"]:
    sys.exit("usage: python -m cluster.settings --markdown")
sys.stdout.write(markdown())
