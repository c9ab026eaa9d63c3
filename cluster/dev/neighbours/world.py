"""What a server knows, in one JSON file that a test may change while it runs: read again at every call that finds it
changed. Written whole and renamed into place."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, field

from actors.catalog import Product
from cluster.dev import seeds

Trouble = Literal["", "UNAVAILABLE", "INTERNAL", "wrong"]


class Known(Struct, kw_only=True):
    """``delay_s`` before every answer; ``trouble``: a status instead of the answer, or an answer that the interface
    does not allow. Products that are not ``refused`` can be installed; users are active unless ``inactive`` or
    ``absent``."""

    delay_s: float = 0.0
    trouble: Trouble = ""
    products: list[Product] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    inactive: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    installs: list[tuple[str, str]] = field(default_factory=list)


class KnownFile:
    """``known`` is what the file says now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at = -1
        self._known = Known()

    @property
    def known(self) -> Known:
        changed_at = self._path.stat().st_mtime_ns
        if changed_at != self._read_at:
            self._known = msgspec.json.decode(self._path.read_bytes(), type=Known)
            self._read_at = changed_at
        return self._known

    def write(self, known: Known) -> None:
        new = self._path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(known))
        new.replace(self._path)

    def seed(self) -> None:
        """At the first start; later ones keep what is there."""
        if not self._path.exists():
            self.write(Known(products=seeds.products()))
