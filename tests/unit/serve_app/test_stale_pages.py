"""Pages from a copy while the user's host cannot answer (R-DB-2, promise 5)."""

from pathlib import Path

import pytest

from actors.catalog import Product
from actors.copies.values import LibraryCopy, Version
from actors.domain.ids import SECOND, Micros, Seq, Term, UserId, format_id, format_time
from actors.domain.replies import Failed, Overloaded, Refused, Reply, Unavailable
from tests.support.door import BASE, GAME, OTHER_GAME, USER, OpenDoor, bearer, code_of, open_door

ITEMS = f"{BASE}/items"
FLUSHED_AT = Micros(1_710_500_000 * SECOND)
AWAY = Unavailable("no host serves this user now")


async def copy(opened: OpenDoor, user: UserId = USER) -> None:
    """What a host has written of the user when it flushed."""
    library = opened.engine.users[USER].library
    assert library is not None
    version = Version(Term(1), Seq(1))
    copied = LibraryCopy(user_id=user, version=version, flushed_at=FLUSHED_AT, library=library)
    await opened.engine.copies.write([copied], [])


@pytest.mark.parametrize("trouble", [AWAY, Overloaded("mailbox")])
async def test_a_page_is_served_from_the_copy_and_says_since_when_it_is_old(tmp_path: Path, trouble: Reply) -> None:
    async with open_door(tmp_path) as opened:
        fresh = (await opened.client.get(ITEMS, headers=bearer())).json()
        assert "stale_since" not in fresh["meta"]
        await copy(opened)
        opened.engine.answer_instead = trouble
        answer = await opened.client.get(ITEMS, headers=bearer())
        assert answer.status_code == 200
        stale = answer.json()
        assert stale["meta"].pop("stale_since") == format_time(FLUSHED_AT)
        assert stale == fresh


async def test_the_page_has_filters_sorting_and_titles_as_always(tmp_path: Path) -> None:
    """R-LIB-1, R-LIB-4: the rules are the actor's own."""
    async with open_door(tmp_path) as opened:
        opened.engine.catalog.products = {
            format_id(game): Product(product_id=format_id(game), title=title, updated_at=1)
            for game, title in ((GAME, "Яблоко"), (OTHER_GAME, "Арбуз"))
        }
        await copy(opened)
        opened.engine.answer_instead = AWAY
        page = (await opened.client.get(f"{ITEMS}?limit=1&sort_by=name_asc", headers=bearer())).json()
        assert [one["attributes"]["title"] for one in page["data"]] == ["Арбуз"]
        assert page["meta"]["total_items"] == 2
        assert page["links"]["next"]
        found = (await opened.client.get(f"{ITEMS}?search=яблок", headers=bearer())).json()
        assert [one["attributes"]["product_id"] for one in found["data"]] == [format_id(GAME)]


async def test_without_a_copy_of_ones_own_there_is_none(tmp_path: Path) -> None:
    """R-SEC-2: somebody else's is no substitute."""
    async with open_door(tmp_path) as opened:
        await copy(opened, UserId(bytes(16)))
        opened.engine.answer_instead = AWAY
        answer = await opened.client.get(ITEMS, headers=bearer())
        assert (answer.status_code, code_of(answer)) == (503, "SERVICE_UNAVAILABLE")


async def test_without_redis_it_is_as_if_there_were_no_copies(tmp_path: Path) -> None:
    async with open_door(tmp_path) as opened:
        await copy(opened)
        opened.engine.copies.down = True
        assert (await opened.client.get(ITEMS, headers=bearer())).status_code == 200
        opened.engine.answer_instead = AWAY
        assert (await opened.client.get(ITEMS, headers=bearer())).status_code == 503


async def test_a_copy_is_no_substitute_for_a_refusal_a_failure_or_a_write(tmp_path: Path) -> None:
    async with open_door(tmp_path) as opened:
        await copy(opened)
        for reply, status in ((Failed("x"), 500), (Refused("LIBRARY_ITEM_NOT_FOUND"), 404)):
            opened.engine.answer_instead = reply
            assert (await opened.client.get(ITEMS, headers=bearer())).status_code == status
        opened.engine.answer_instead = AWAY
        body = {"data": {"type": "userCategoryCreation", "attributes": {"name": "x"}}}
        answer = await opened.client.post(f"{BASE}/categories", json=body, headers=bearer())
        assert answer.status_code == 503
