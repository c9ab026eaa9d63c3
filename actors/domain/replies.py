"""Answers of an actor, and the outcomes the engine adds to them. All travel in link frames.

``Refused`` is a rule's answer and final. ``WrongShard``, ``Overloaded``, ``Unavailable`` and ``Failed`` come from the
engine: the first is the router's business, the next two invite the caller to try again, the last is a bug of ours.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from actors.domain.ids import ItemId, Micros, ProductId, Term
from actors.domain.model import Category, EndedSession, InstallationStatus, LibraryItem, LiveSession

RefusalCode = Literal[
    "LIBRARY_ITEM_NOT_FOUND",
    "SESSION_NOT_FOUND",
    "SESSION_ENDED",
    "LIVE_SESSION_LIMIT_REACHED",
    "IDEMPOTENCY_KEY_REUSED",
    "RATE_LIMITED",
    "VALIDATION_ERROR",
    "CATEGORY_NOT_FOUND",
    "CATEGORY_DUPLICATE",
    "CATEGORY_LIMIT_REACHED",
]


class HeartbeatCounted(Struct, frozen=True, array_like=True, tag=1, gc=False):
    """``accepted_at`` is the latest beat that counts; the session will not end before it (R-PT-9)."""

    accepted_at: Micros
    interval_s: int


class SessionIsLive(Struct, frozen=True, array_like=True, tag=2, gc=False):
    """``resumed``: the same device asked again and got the session it already had."""

    session: LiveSession
    resumed: bool


class SessionIsOver(Struct, frozen=True, array_like=True, tag=3, gc=False):
    session: EndedSession


class OneItem(Struct, frozen=True, array_like=True, tag=5, gc=False):
    """``title`` and ``cover_image_url`` are the catalog's, None if they were never learned (R-LIB-8)."""

    item: LibraryItem
    title: str | None = None
    cover_image_url: str | None = None
    created: bool = False


class Removal(Struct, frozen=True, array_like=True, gc=False):
    """An item that is no longer in the list a client asked for: out of the library, or no match any more."""

    item_id: ItemId
    product_id: ProductId
    removed_at: Micros


class ItemsPage(Struct, frozen=True, array_like=True, tag=4, gc=False):
    """``total_items`` counts all that match, on every page; removals too, where they were asked for. ``changed_at`` is
    the latest change of the library: what a client passes as ``updated_since`` next time."""

    items: list[OneItem]
    total_items: int
    changed_at: Micros = Micros(0)
    removed: tuple[Removal, ...] = ()


class LiveSessions(Struct, frozen=True, array_like=True, tag=6, gc=False):
    sessions: list[LiveSession]


class Done(Struct, frozen=True, array_like=True, tag=7, gc=False):
    """Applied, or applied before; ``changed`` says which."""

    changed: bool = True


class AccessSince(Struct, frozen=True, array_like=True, tag=40, gc=False):
    """For each product that was asked about: since when the user has it, None without access."""

    acquired_at: list[Micros | None]


class ManyAccess(Struct, frozen=True, array_like=True, tag=42, gc=False):
    """For each pair, in their order: since when the user has the product, ``NO_ACCESS``, or ``UNKNOWN_ACCESS`` when the
    user has to be asked alone."""

    since: list[Micros]


UNKNOWN_ACCESS: Final = Micros(-1)
NO_ACCESS: Final = Micros(-2)


class OwnedItem(Struct, frozen=True, array_like=True, gc=False):
    """What other services see of an item."""

    product_id: ProductId
    added_at: Micros
    installation_status: InstallationStatus
    total_playtime_s: int


class OwnedItems(Struct, frozen=True, array_like=True, tag=41, gc=False):
    """One page; ``more``: there are items after the last one."""

    items: list[OwnedItem]
    more: bool


OfflineRefusal = Literal[
    "not_positive",
    "in_future",
    "too_long",
    "id_reused",
    "not_owned",
    "before_acquisition",
    "day_full",
    "too_fragmented",
]

OfflineResult = int | OfflineRefusal
"""The seconds that a session was credited with, or why it was not taken."""


class OfflineResults(Struct, frozen=True, array_like=True, tag=60, gc=False):
    """One result a session, in the order of the command; small, because it may be stored."""

    results: tuple[OfflineResult, ...]


class OneCategory(Struct, frozen=True, array_like=True, tag=8, gc=False):
    category: Category


class Categories(Struct, frozen=True, array_like=True, tag=9, gc=False):
    categories: list[Category]


class Refused(Struct, frozen=True, array_like=True, tag=20, gc=False):
    """``detail`` names what the refusal is about, in English."""

    code: RefusalCode
    detail: str = ""


WrongChange = Literal["item", "category_ids", "user_rating"]
"""There is no such item, no such category, no such rating."""


class ItemsChanged(Struct, frozen=True, array_like=True, tag=11, gc=False):
    """What became of each change, in their order: None where it is done, else what is wrong. Small: it is stored."""

    wrong: list[WrongChange | None]


class SomeItems(Struct, frozen=True, array_like=True, tag=12, gc=False):
    """Those that were asked for, in their order; None for one that is not there."""

    items: list[OneItem | None]


class WrongShard(Struct, frozen=True, array_like=True, tag=30, gc=False):
    """Not this host's, as of ``term``; a router whose map is newer waits instead of asking again at once."""

    term: Term


class Overloaded(Struct, frozen=True, array_like=True, tag=31, gc=False):
    """A bound was met (named by ``bound``); nothing was decided."""

    bound: str
    retry_after_s: int = 1


class Unavailable(Struct, frozen=True, array_like=True, tag=32, gc=False):
    """Not done in time, or Postgres refused the commit. ``unknown``: it may still turn out to be done. ``suspect``:
    hosts died while they had this command, more than once: it may be what kills them."""

    reason: str
    unknown: bool = False
    retry_after_s: int = 1
    suspect: bool = False


class Failed(Struct, frozen=True, array_like=True, tag=33, gc=False):
    """A rule raised; recorded in the host's log under ``incident``."""

    incident: str


Answer = (
    HeartbeatCounted
    | SessionIsLive
    | SessionIsOver
    | ItemsPage
    | OneItem
    | LiveSessions
    | Done
    | AccessSince
    | ManyAccess
    | OwnedItems
    | OfflineResults
    | OneCategory
    | Categories
    | ItemsChanged
    | SomeItems
    | Refused
)
EngineOutcome = WrongShard | Overloaded | Unavailable | Failed
Reply = Answer | EngineOutcome

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def encode_answer(answer: Answer) -> bytes:
    """The form in which an answer is stored with the command's id."""
    return _encode(answer)


def decode_answer(stored: bytes) -> Answer:
    """The inverse; ``msgspec.DecodeError`` for what is no answer."""
    return _decoder.decode(stored)
