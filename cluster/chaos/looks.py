"""What a user sees of the library: no answer may be older than what was acknowledged before (promise 5)."""

from actors.domain.ids import ProductId
from cluster.chaos.bodies import total_of
from cluster.chaos.library_bodies import categories_of, library_of
from cluster.chaos.user import User


class Looks:
    """Each holds the answer against the user's history."""

    def __init__(self, user: User) -> None:
        self._user = user

    async def items(self) -> dict[ProductId, int] | None:
        """The total of each product that is owned; None of a page that says that it may be old."""
        known = self._user.history.before_reading()
        page = library_of(await self._user.get("items", "/items?limit=100&include_hidden=true"))
        if page is None:
            return None
        self._user.history.all_wrong(self._user.history.shelf.saw_items(page.items))
        self._user.history.saw_items(known, page.totals)
        return page.totals

    async def statistics(self) -> None:
        known = self._user.history.before_reading()
        self._user.history.saw_total(known, total_of(await self._user.get("stats", "/playtime/stats")))

    async def categories(self) -> None:
        shown = categories_of(await self._user.get("categories", "/categories"))
        self._user.history.all_wrong(self._user.history.shelf.saw_categories(shown))

    async def access(self, product_id: ProductId) -> None:
        """As the platform asks before a download or a start (R-RPC-1)."""
        history = self._user.history
        has_access = await self._user.around.platform.has_access(self._user.name, history.user_id, product_id)
        history.all_wrong(history.shelf.saw_access(product_id, has_access))
