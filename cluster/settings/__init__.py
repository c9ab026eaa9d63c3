"""All configuration, in one frozen object that is loaded once and handed down; nothing else reads the environment.

Reading order: `sections.py`, `security.py`, `rpc.py` and `neighbours.py` (what can be set), `model.py` (how settings
relate to each other), `load.py` (environment over YAML over defaults), `sources.py` (the YAML file), `fields.py` (what
a setting says about itself), `table.py` (docs/configuration.md, printed by `python -m cluster.settings --markdown`).
"""

from cluster.settings.load import load_database, load_settings
from cluster.settings.model import Settings
from cluster.settings.sources import SettingsError

__all__ = ["Settings", "SettingsError", "load_database", "load_settings"]
