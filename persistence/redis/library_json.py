"""A library as one JSON object: a list of records for each of its parts that readers see."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from actors.domain.model import Category, Library, LibraryItem, RemovedItem
from persistence.redis.records import plain, record

PARTS: dict[str, tuple[type[Struct], Callable[[Any], bytes]]] = {
    "items": (LibraryItem, lambda item: item.product_id),
    "removed": (RemovedItem, lambda removed: removed.item.product_id),
    "categories": (Category, lambda category: category.category_id),
}
"""By the library's field: what its records are, and the key of one there."""

RECORDS_A_TURN = 100
"""About half a millisecond of encoding."""
REST = 3.0
"""Times as long as a turn took, before the next: copies have a quarter of the loop at most, so that a call which needs
several turns of it (a load, a commit) is not late by as many of theirs."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, list[dict[str, Any]]]).decode


class LibraryEncoder:
    """Remembers the JSON of the last ``max_records`` items: of a library that changed, only the change is encoded."""

    def __init__(self, max_records: int = 20_000) -> None:
        self._max_records = max_records
        self._turn = 0
        self._worked_s = 0.0
        self._known: OrderedDict[bytes, tuple[LibraryItem, Raw]] = OrderedDict()

    async def encode(self, library: Library) -> bytes:
        """In short pieces: the loop that does this also decides commands."""
        clock = asyncio.get_running_loop().time
        began = clock()
        parts: dict[str, list[Raw]] = {}
        for name in PARTS:
            encode = self._item if name == "items" else _other
            encoded = parts[name] = []
            for one in getattr(library, name).values():
                encoded.append(encode(one))
                self._turn += 1
                if self._turn % RECORDS_A_TURN == 0:
                    await asyncio.sleep(REST * (self._worked_s + clock() - began))
                    self._worked_s, began = 0.0, clock()
        whole = _encode(parts)
        self._worked_s += clock() - began
        return whole

    def _item(self, item: LibraryItem) -> Raw:
        known = self._known.get(item.item_id)
        if known is not None and known[0] is item:
            return known[1]
        raw = Raw(_encode(plain(item)))
        self._known[item.item_id] = (item, raw)
        if len(self._known) > self._max_records:
            self._known.popitem(last=False)
        return raw


def _other(one: Struct) -> Raw:
    return Raw(_encode(plain(one)))


def decode_library(body: bytes) -> Library:
    """``ValueError`` or what msgspec raises for what no release has written."""
    found = _decode(body)
    parts: dict[str, Any] = {}
    for name, (kind, key) in PARTS.items():
        records = [record(kind, one) for one in found.get(name, ())]
        parts[name] = {key(one): one for one in records}
    return Library(**parts)
