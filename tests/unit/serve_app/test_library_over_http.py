"""Pages of the library (R-LIB-1, R-LIB-2, R-LIB-8) and of the session history, and statistics (R-PT-5)."""

from urllib.parse import parse_qs, urlsplit

import pytest

from actors.domain.commands import Settle
from actors.domain.ids import ProductId, format_id
from actors.domain.replies import Unavailable
from actors.ports import StoreUnavailable
from tests.support.door import BASE, GAME, OTHER_GAME, OTHER_USER, SESSIONS, USER, OpenDoor, bearer, code_of


async def test_an_item_shows_what_the_specification_says(door: OpenDoor) -> None:
    """Section 3.1.1, R-LIB-8."""
    door.engine.install(USER, GAME)
    session = await door.start_session()
    door.engine.pass_time(72)
    await door.client.post(f"{SESSIONS}/{session}/end", headers=bearer())
    answer = await door.client.get(f"{BASE}/items?status=installed", headers=bearer())
    assert answer.status_code == 200
    (item,) = answer.json()["data"]
    assert item == {
        "type": "libraryItem",
        "id": item["id"],
        "attributes": {
            "product_id": format_id(GAME),
            "title": None,
            "cover_image_url": None,
            "added_at": "2024-03-15T12:00:00Z",
            "last_played_at": "2024-03-15T12:00:00Z",
            "total_playtime_seconds": 72,
            "installation_status": "installed",
            "is_hidden": False,
            "acquisition_type": "purchase",
        },
        "relationships": {"categories": {"data": []}},
        "links": {"self": f"{BASE}/items/{item['id']}"},
    }
    alone = await door.client.get(item["links"]["self"], headers=bearer())
    assert alone.json() == {"data": item}


async def test_pages_link_to_the_next_with_their_filters_until_the_last(door: OpenDoor) -> None:
    """R-LIB-1, R-LIB-8."""
    door.engine.buy(USER, *(ProductId(bytes([n]) * 16) for n in range(5)))
    path, seen, pages = f"{BASE}/items?limit=3&sort_by=name_asc&status=not_installed", [], []
    while path:
        page = (await door.client.get(path, headers=bearer())).json()
        assert parse_qs(urlsplit(page["links"]["self"]).query) == parse_qs(urlsplit(path).query)
        assert page["meta"]["total_items"] == 7
        assert page["meta"]["per_page"] == 3
        pages.append(page["meta"]["current_page"])
        seen += [item["id"] for item in page["data"]]
        path = page["links"].get("next")
        assert path is None or ("status=not_installed" in path and "sort_by=name_asc" in path and "limit=3" in path)
    assert pages == [1, 2, 3]
    assert seen == sorted(seen)
    assert len(set(seen)) == 7


async def test_a_page_beyond_the_last_is_empty(door: OpenDoor) -> None:
    page = (await door.client.get(f"{BASE}/items?page=1000000&limit=100", headers=bearer())).json()
    assert page["data"] == []
    assert page["meta"] == {
        "total_items": 2,
        "current_page": 1_000_000,
        "per_page": 100,
        "updated_until": "2024-03-15T12:00:00Z",
    }
    assert "next" not in page["links"]


async def test_a_library_that_is_full_to_the_page_has_no_next(door: OpenDoor) -> None:
    page = (await door.client.get(f"{BASE}/items?limit=2", headers=bearer())).json()
    assert len(page["data"]) == 2
    assert "next" not in page["links"]


async def test_an_unknown_user_has_an_empty_library(door: OpenDoor) -> None:
    page = (await door.client.get(f"{BASE}/items", headers=bearer(OTHER_USER))).json()
    assert page == {
        "data": [],
        "meta": {
            "total_items": 0,
            "current_page": 1,
            "per_page": 20,
            "updated_until": "1970-01-01T00:00:00Z",
        },
        "links": {"self": f"{BASE}/items"},
    }


@pytest.mark.parametrize("which", ["unknown", "malformed", "another user's"])
async def test_an_item_of_somebody_else_cannot_be_told_from_none(door: OpenDoor, which: str) -> None:
    """R-SEC-2."""
    page = (await door.client.get(f"{BASE}/items", headers=bearer())).json()
    wanted = {"unknown": format_id(b"x" * 16), "malformed": "1", "another user's": page["data"][0]["id"]}[which]
    answer = await door.client.get(f"{BASE}/items/{wanted}", headers=bearer(OTHER_USER))
    none = await door.client.get(f"{BASE}/items/{format_id(b'y' * 16)}", headers=bearer(OTHER_USER))
    assert (answer.status_code, code_of(answer)) == (404, "LIBRARY_ITEM_NOT_FOUND")
    assert answer.json() == none.json()


async def _play(door: OpenDoor, product: ProductId, seconds: int) -> str:
    session = await door.start_session(product, platform="pc")
    door.engine.pass_time(seconds)
    assert (await door.client.post(f"{SESSIONS}/{session}/end", headers=bearer())).status_code == 200
    return session


async def test_history_is_newest_first_and_its_cursor_leads_through_all_of_it(door: OpenDoor) -> None:
    """R-PT-5."""
    played = [await _play(door, GAME, 10 + n) for n in range(4)]
    played.append(await door.start_session(OTHER_GAME))
    path, seen = f"{SESSIONS}?limit=2", []
    while path:
        page = (await door.client.get(path, headers=bearer())).json()
        seen += [session["id"] for session in page["data"]]
        path = page["links"].get("next")
        assert path is None or "limit=2" in path
    assert seen == played[::-1]


async def test_history_can_be_of_one_product(door: OpenDoor) -> None:
    """R-PT-5: the filter stays on the next page."""
    wanted = [await _play(door, GAME, 10), await _play(door, OTHER_GAME, 10), await _play(door, GAME, 10)]
    page = (await door.client.get(f"{SESSIONS}?limit=1&product_id={format_id(GAME)}", headers=bearer())).json()
    rest = (await door.client.get(page["links"]["next"], headers=bearer())).json()
    assert [session["id"] for session in page["data"] + rest["data"]] == [wanted[2], wanted[0]]
    assert "next" not in rest["links"]


async def test_live_sessions_are_active_and_those_that_ended_are_not(door: OpenDoor) -> None:
    """R-PT-5."""
    await _play(door, OTHER_GAME, 10)
    live = await door.start_session(GAME)
    page = (await door.client.get(f"{SESSIONS}/active", headers=bearer())).json()
    assert [(session["id"], session["attributes"]["status"]) for session in page["data"]] == [(live, "active")]


async def test_statistics_add_up(door: OpenDoor) -> None:
    """R-PT-5."""
    await _play(door, GAME, 100)
    await _play(door, OTHER_GAME, 50)
    answer = (await door.client.get(f"{BASE}/playtime/stats", headers=bearer())).json()["data"]
    assert (answer["type"], answer["id"]) == ("playtimeStats", format_id(USER))
    stats = answer["attributes"]
    assert stats["total_playtime_seconds"] == stats["last_two_weeks_seconds"] == 150
    assert stats["per_day"] == [{"date": "2024-03-15", "playtime_seconds": 150}]
    assert {p["product_id"]: p["playtime_seconds"] for p in stats["per_product"]} == {
        format_id(GAME): 100,
        format_id(OTHER_GAME): 50,
    }
    assert stats["per_platform"] == [{"platform": "pc", "playtime_seconds": 150, "sessions": 2}]


@pytest.mark.parametrize("path", [SESSIONS, f"{BASE}/playtime/stats"])
async def test_what_is_read_from_the_tables_is_settled_first(door: OpenDoor, path: str) -> None:
    """Promise 5: read your writes."""
    assert (await door.client.get(path, headers=bearer())).status_code == 200
    assert [command for _, command, _, _ in door.engine.calls] == [Settle()]
    door.engine.answer_instead = Unavailable("flush is behind", retry_after_s=3)
    answer = await door.client.get(path, headers=bearer())
    assert (answer.status_code, code_of(answer), answer.headers["retry-after"]) == (503, "SERVICE_UNAVAILABLE", "3")


@pytest.mark.parametrize("path", [SESSIONS, f"{BASE}/playtime/stats"])
async def test_tables_that_are_away_are_unavailable(door: OpenDoor, path: str) -> None:
    door.engine.tables_away = StoreUnavailable()
    answer = await door.client.get(path, headers=bearer())
    assert (answer.status_code, code_of(answer)) == (503, "SERVICE_UNAVAILABLE")


@pytest.mark.parametrize(
    "path",
    ["items", f"items/{format_id(b'x' * 16)}", "playtime/sessions", "playtime/sessions/active", "playtime/stats"],
)
async def test_a_bug_behind_any_page_is_an_incident(door: OpenDoor, path: str) -> None:
    """R-ERR-1."""
    door.engine.raise_instead = KeyError("inner secrets")
    answer = await door.client.get(f"{BASE}/{path}", headers={**bearer(), "accept-language": "en"})
    assert (answer.status_code, code_of(answer)) == (500, "INTERNAL_ERROR")
    assert answer.json()["errors"][0]["title"] == "Internal server error"
    assert "secrets" not in answer.text
