"""What other services ask about a library: may this user play, and what is there (R-RPC-1, R-RPC-4).

Every item counts as access, however it was acquired: free and shared ones are items too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from struct import Struct
from typing import Final

from actors.domain.commands import CheckAccess, ListOwned
from actors.domain.context import Context
from actors.domain.events import Event
from actors.domain.ids import Micros, ProductId, UserId
from actors.domain.library import library_of
from actors.domain.model import User
from actors.domain.replies import NO_ACCESS, UNKNOWN_ACCESS, AccessSince, Answer, OwnedItem, OwnedItems

Decision = tuple[Sequence[Event], Answer]

_PAIR: Final = Struct("16s16s")
ID_BYTES: Final = 16
PAIR_BYTES: Final = _PAIR.size
"""A user and a product, 16 bytes each."""
pairs_in: Final[Callable[[bytes], Iterator[tuple[UserId, ProductId]]]] = _PAIR.iter_unpack
"""Of packed pairs, one after another."""


def decide_check_access(user: User, command: CheckAccess, _context: Context) -> Decision:
    items = library_of(user).items
    return (), AccessSince([
        None if (item := items.get(product_id)) is None else item.added_at for product_id in command.product_ids
    ])  # fmt: skip


def check_pairs(users: Mapping[UserId, User], pairs: bytes, since: list[Micros]) -> list[UserId]:
    """Appends what ``ManyAccess`` says of each pair; whose library is in memory, once a pair."""
    asked: list[UserId] = []
    for user_id, product_id in pairs_in(pairs):
        user = users.get(user_id)
        if user is None or (library := user.library) is None:
            since.append(UNKNOWN_ACCESS)
            continue
        item = library.items.get(product_id)
        since.append(NO_ACCESS if item is None else item.added_at)
        asked.append(user_id)
    return asked


def decide_list_owned(user: User, command: ListOwned, _context: Context) -> Decision:
    """Hidden items too. A page is what follows a product id, so that items which come or go between two pages never
    make another one missing or double."""
    items = library_of(user).items
    asked = items.keys() if command.product_ids is None else items.keys() & set(command.product_ids)
    after = command.after
    rest = sorted(product_id for product_id in asked if after is None or product_id > after)
    page = [items[product_id] for product_id in rest[: command.limit]]
    return (), OwnedItems(
        [OwnedItem(item.product_id, item.added_at, item.installation_status, item.total_playtime_s) for item in page],
        more=len(rest) > command.limit,
    )
