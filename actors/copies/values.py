"""What is copied."""

from typing import NamedTuple

from msgspec import Struct

from actors.domain.ids import Micros, ProductId, Seq, Term, UserId
from actors.domain.model import Library, LiveSession


class Version(NamedTuple):
    """Orders the states of one user: a shard's term rises when it moves, a host's sequence with each commit."""

    term: Term
    seq: Seq


class LibraryCopy(Struct, frozen=True, kw_only=True):
    """A user's library as of ``version``. ``flushed_at`` (service time): all that was acknowledged before is in it."""

    user_id: UserId
    version: Version
    flushed_at: Micros
    library: Library


class SessionCopy(Struct, frozen=True, kw_only=True):
    """A user's live session of a product as of ``version``; None: there is none any more."""

    user_id: UserId
    product_id: ProductId
    version: Version
    session: LiveSession | None
