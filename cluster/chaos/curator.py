"""A user who keeps the library in order: hides, rates and files games, makes and deletes categories (R-LIB-2, R-LIB-3).

One thing after the other, so that what was acknowledged last is what must show. A change that needed more than one
attempt may be made once more, late, by a process that stood still: it is the last one of its item or category, which
then only finds what it would have made of it.
"""

from typing import Any

from actors.domain.ids import CategoryId, ItemId, format_id
from cluster.chaos.caller import Heard
from cluster.chaos.library_bodies import category_of, changes_of, item_of
from cluster.chaos.user import User
from cluster.replay.service import error_code
from cluster.verdict.shelf import Kept

MOST_CATEGORIES = 3
MOST_AT_ONCE = 5
RATINGS = (None, 1, 2, 3, 4, 5)


class Curator:
    """Knows the items from listings, see ``Looks.items``."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._shelf = user.history.shelf
        self._left_alone: set[ItemId | CategoryId] = set()

    async def act(self) -> None:
        """One thing, if there is something to do it to."""
        acts = (self._change_one, self._change_one, self._change_many, self._create, self._rename, self._delete)
        await self._user.random.choice(acts)()

    def _items(self) -> list[ItemId]:
        shelf = self._shelf
        return [
            item_id
            for product_id, item_id in shelf.item_ids.items()
            if product_id in shelf.arrived and shelf.owned[product_id] and item_id not in self._left_alone
        ]

    def _wish(self) -> Kept:
        random, categories = self._user.random, list(self._shelf.categories)
        chosen = random.sample(categories, random.randint(0, len(categories)))
        return Kept(random.random() < 0.3, random.choice(RATINGS), tuple(chosen))

    async def _change_one(self) -> None:
        if not (items := self._items()):
            return
        item_id, wish = self._user.random.choice(items), self._wish()
        self._shelf.change_sent(item_id)
        answer = await self._user.ask("change", "PATCH", f"/items/{format_id(item_id)}", _update(item_id, wish))
        if answer.status != 200:
            self._user.refuse("a change of an item", answer)
        self._made(answer, {item_id: wish})
        seen = item_of(answer)
        self._user.history.all_wrong(self._shelf.saw_item(seen.item_id, seen.kept))

    async def _change_many(self) -> None:
        """One of them is nobody's; that keeps the others from nothing (R-LIB-9)."""
        items, random = self._items(), self._user.random
        if not items:
            return
        chosen = random.sample(items, min(len(items), random.randint(1, MOST_AT_ONCE)))
        wishes = {item_id: self._wish() for item_id in chosen}
        for item_id in wishes:
            self._shelf.change_sent(item_id)
        data = [_update(item_id, wish) for item_id, wish in wishes.items()]
        answer = await self._user.ask(
            "changes", "PATCH", "/items", [*data, _update(ItemId(random.randbytes(16)), Kept())]
        )
        if answer.status != 200:
            self._user.refuse("changes of items", answer)
        self._made(answer, wishes)
        *own, nobodys = changes_of(answer)
        if nobodys != "LIBRARY_ITEM_NOT_FOUND":
            self._user.history.wrong("an item that never was has changed")
        for seen in own:
            if isinstance(seen, str):
                self._user.history.wrong(f"a change of an own item was refused: {seen}")
            else:
                self._user.history.all_wrong(self._shelf.saw_item(seen.item_id, seen.kept))

    def _made(self, answer: Heard, wishes: dict[ItemId, Kept]) -> None:
        for item_id, wish in wishes.items():
            self._shelf.changed(item_id, wish)
            if not answer.sure:
                self._left_alone.add(item_id)

    async def _create(self) -> None:
        if len(self._shelf.categories) >= MOST_CATEGORIES:
            return await self._delete()
        self._shelf.category_sent()
        name = f"Категория {self._shelf.categories_wanted}"
        data = {"type": "userCategoryCreation", "attributes": {"name": name}}
        answer = await self._user.post(
            "category", "/categories", data, again_share=self._user.around.pace.rare_repeated_share
        )
        if answer.status != 201:
            self._user.refuse("a new category", answer)
        self._named(answer, name)
        return None

    async def _rename(self) -> None:
        known = [one for one in self._shelf.categories if one not in self._left_alone]
        if not known:
            return
        category_id = self._user.random.choice(known)
        name = self._shelf.categories[category_id] + "+"
        data = {"type": "userCategoryUpdate", "id": format_id(category_id), "attributes": {"name": name}}
        answer = await self._user.ask("rename", "PATCH", f"/categories/{format_id(category_id)}", data)
        if answer.status != 200:
            self._user.refuse("a category's new name", answer)
        self._named(answer, name)
        if not answer.sure:
            self._left_alone.add(category_id)

    def _named(self, answer: Heard, wanted: str) -> None:
        category_id, name = category_of(answer)
        if name != wanted:
            self._user.history.wrong("a category was given another name than was wanted")
        self._shelf.category_named(category_id, wanted)

    async def _delete(self) -> None:
        """One that was not there any more is gone as it should be if an earlier attempt may have been done. What was
        taken back keeps its categories for its return, and those stay."""
        needed = {one for item_id in self._returning() for one in self._shelf.kept[item_id].category_ids}
        known = [one for one in self._shelf.categories if one not in needed]
        if not known:
            return
        category_id = self._user.random.choice(known)
        self._shelf.deletion_sent(category_id)
        answer = await self._user.ask("delete", "DELETE", f"/categories/{format_id(category_id)}")
        done_before = error_code(answer) == "CATEGORY_NOT_FOUND" and not answer.sure
        if answer.status != 204 and not done_before:
            self._user.refuse("the end of a category", answer)
        self._shelf.category_deleted(category_id)

    def _returning(self) -> list[ItemId]:
        """Items that were taken back."""
        shelf = self._shelf
        return [
            item_id
            for product_id, item_id in shelf.item_ids.items()
            if not shelf.owned.get(product_id, False) and item_id in shelf.kept
        ]


def _update(item_id: ItemId, wish: Kept) -> dict[str, Any]:
    """Everything that a user can say of an item."""
    attributes = {
        "is_hidden": wish.is_hidden,
        "user_rating": wish.user_rating,
        "category_ids": [format_id(category_id) for category_id in wish.category_ids],
    }
    return {"type": "libraryItemUpdate", "id": format_id(item_id), "attributes": attributes}
