"""A Valkey of Ray's own, in which its GCS keeps what it knows: then the GCS can die and come back.

Never the cache's: the GCS dies with its Redis. Asked for by `LIBRARY_DEV_GCS_REDIS=1` when the stack is started; the
stack remembers it. What is in it outlives a crash, but no stop: neither does the cluster that it describes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import ClassVar

from cluster.dev.valkey import Valkey

VARIABLE = "LIBRARY_DEV_GCS_REDIS"
ON = frozenset({"1", "true", "yes", "on"})


class GcsRedis(Valkey):
    name: ClassVar[str] = "gcs-redis"
    title: ClassVar[str] = "Valkey 9 of Ray's GCS"
    settings: ClassVar[Mapping[str, str]] = {
        "save": '""',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }

    @property
    def wanted(self) -> bool:
        """Once asked for, until the stack's directory is removed."""
        if os.environ.get(VARIABLE, "").lower() in ON and not self.site.state.get(self.name).get("wanted"):
            self.site.state.update(self.name, wanted=True)
        return bool(self.site.state.get(self.name).get("wanted", False))

    def environment(self) -> dict[str, str]:
        """Nothing: the service does not know it."""
        return {}

    def clean_up(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)
