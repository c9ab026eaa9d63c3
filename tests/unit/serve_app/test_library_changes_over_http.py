"""What a player does with a library, over HTTP (R-LIB-1 to R-LIB-3, R-LIB-5, R-LIB-6, R-LIB-8, R-LIB-9)."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from actors.catalog import Product
from actors.domain.commands import ListItems, RefundPurchase
from actors.domain.ids import CategoryId, OrderId, ProductId, format_id
from tests.support.door import BASE, GAME, OTHER_GAME, OTHER_USER, USER, OpenDoor, bearer, code_of

ITEMS, CATEGORIES = f"{BASE}/items", f"{BASE}/categories"
FREE_GAME = ProductId(b"f" * 16)


def product(product_id: ProductId, title: str, **fields: Any) -> Product:
    return Product(product_id=format_id(product_id), title=title, updated_at=1, **fields)


def stock(door: OpenDoor) -> None:
    """GAME and OTHER_GAME are owned by USER, FREE_GAME by nobody."""
    for one in (
        product(GAME, "Ёлка: Зимняя сказка", cover_image_url="https://cdn.example.com/1.jpg"),
        product(OTHER_GAME, "Half-Life"),
        product(FREE_GAME, "Танки", free_to_play=True),
    ):
        door.engine.catalog.products[one.product_id] = one


async def ask(door: OpenDoor, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return await door.client.request(method, path, json=body, headers={**bearer(), **headers})


async def items(door: OpenDoor, query: str = "") -> list[dict[str, Any]]:
    answer = await ask(door, "GET", f"{ITEMS}?{query}" if query else ITEMS)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


def update(item_id: str, **attributes: Any) -> dict[str, Any]:
    return {"type": "libraryItemUpdate", "id": item_id, "attributes": attributes}


async def new_category(door: OpenDoor, name: str) -> str:
    body = {"data": {"type": "userCategoryCreation", "attributes": {"name": name}}}
    answer = await ask(door, "POST", CATEGORIES, body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


async def test_titles_and_covers_are_the_catalogs_and_search_finds_them(door: OpenDoor) -> None:
    """R-LIB-1, R-LIB-4"""
    stock(door)
    first, second = await items(door)
    assert [first["attributes"]["title"], second["attributes"]["title"]] == ["Half-Life", "Ёлка: Зимняя сказка"]
    assert second["attributes"]["cover_image_url"] == "https://cdn.example.com/1.jpg"
    assert first["attributes"]["cover_image_url"] is None
    assert await items(door, f"search={quote('елка')}") == [second]
    assert await items(door, "search=life%20half&limit=1") == [first]
    alone = (await ask(door, "GET", f"{ITEMS}/{second['id']}")).json()["data"]
    assert alone == second


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("status=sold", "status"),
        ("acquisition_type=stolen", "acquisition_type"),
        ("sort_by=random", "sort_by"),
        ("category_id=1", "category_id"),
        (f"category_id={format_id(b'c' * 16)}", "category_id"),
        ("search=", "search"),
        ("search=%20%20", "search"),
        (f"search={'a' * 101}", "search"),
        ("include_hidden=perhaps", "include_hidden"),
        ("updated_since=yesterday", "updated_since"),
        ("updated_since=2024-03-15T12:00:00", "updated_since"),
        ("updated_since=2024-03-15T12:00:00Z&search=a", "search"),
        ("updated_since=2024-03-15T12:00:00Z&sort_by=name_asc", "sort_by"),
        ("page=0", "page"),
        ("limit=101", "limit"),
        ("colour=red", "colour"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_a_value_that_means_nothing_is_never_ignored(door: OpenDoor, query: str, parameter: str) -> None:
    """R-LIB-1"""
    answer = await ask(door, "GET", f"{ITEMS}?{query}")
    assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR")
    assert answer.json()["errors"][0]["source"] == {"parameter": parameter}


async def test_every_filter_reaches_the_rules_and_stays_in_the_links(door: OpenDoor) -> None:
    """R-LIB-1, R-LIB-8"""
    category = await new_category(door, "shelf")
    mine = await items(door)
    for one in mine:
        await ask(door, "PATCH", f"{ITEMS}/{one['id']}", {"data": update(one["id"], category_ids=[category])})
    query = (
        f"status=not_installed&category_id={category}&acquisition_type=purchase&include_hidden=true"
        "&sort_by=added_desc&limit=1&page=1"
    )
    page = (await ask(door, "GET", f"{ITEMS}?{query}")).json()
    command = door.engine.calls[-1][1]
    assert command == ListItems(
        "not_installed",
        "added_desc",
        1,
        1,
        CategoryId(bytes.fromhex(category.replace("-", ""))),
        None,
        "purchase",
        True,
    )
    for name in ("status=not_installed", f"category_id={category}", "acquisition_type=purchase", "include_hidden=True"):
        assert name in page["links"]["next"]
    (last,) = (await ask(door, "GET", page["links"]["next"])).json()["data"]
    assert {page["data"][0]["id"], last["id"]} == {one["id"] for one in mine}


async def test_a_page_that_the_client_has_costs_nothing(door: OpenDoor) -> None:
    """R-LIB-9: the tag changes with anything on the page, titles too."""
    stock(door)
    answer = await ask(door, "GET", ITEMS)
    tag = answer.headers["etag"]
    assert answer.headers["cache-control"] == "private, no-cache"
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        same = await ask(door, "GET", ITEMS, **{"if-none-match": given})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (await ask(door, "GET", ITEMS, **{"if-none-match": '"other"'})).status_code == 200
    door.engine.catalog.update(Product(product_id=format_id(GAME), title="Ёлка: Издание Года", updated_at=2))
    renamed = await ask(door, "GET", ITEMS, **{"if-none-match": tag})
    assert (renamed.status_code, renamed.headers["etag"] != tag) == (200, True)
    item = f"{ITEMS}/{renamed.json()['data'][0]['id']}"
    alone = (await ask(door, "GET", item)).headers["etag"]
    assert (await ask(door, "GET", item, **{"if-none-match": alone})).status_code == 304


async def test_a_client_learns_what_changed_and_what_left(door: OpenDoor) -> None:
    """R-LIB-9"""
    first, second = await items(door)
    begin = (await ask(door, "GET", f"{ITEMS}?updated_since=1970-01-01T00:00:00Z")).json()
    assert {one["id"] for one in begin["data"]} == {first["id"], second["id"]}
    assert begin["meta"]["removed"] == []
    door.engine.pass_time(10)
    await ask(door, "PATCH", f"{ITEMS}/{first['id']}", {"data": update(first["id"], is_hidden=True)})
    door.engine.pass_time(10)
    order = next(iter(door.engine.users[USER].library.acquisitions))  # type: ignore[union-attr]
    other = ProductId(bytes.fromhex(second["attributes"]["product_id"].replace("-", "")))
    door.engine.decide(USER, RefundPurchase(OrderId(order.order_id), (other,), door.engine.now))
    until = begin["meta"]["updated_until"]
    delta = (await ask(door, "GET", f"{ITEMS}?updated_since={until}")).json()
    assert delta["data"] == []
    assert delta["meta"]["total_items"] == 2
    assert [(one["type"], one["id"], one["removed_at"]) for one in delta["meta"]["removed"]] == [
        ("libraryItem", second["id"], "2024-03-15T12:00:20Z"),
        ("libraryItem", first["id"], "2024-03-15T12:00:10Z"),
    ]
    hidden = (await ask(door, "GET", f"{ITEMS}?updated_since={until}&include_hidden=true&limit=1")).json()
    assert "updated_since=" in hidden["links"]["next"]
    assert hidden["meta"]["updated_until"] == "2024-03-15T12:00:20Z"
    assert await items(door, f"updated_since={quote('2024-03-15T15:00:21+03:00')}") == []


async def test_an_item_is_changed_and_answered_as_it_is_now(door: OpenDoor) -> None:
    """R-LIB-2, R-LIB-8, specification 3.1.1"""
    stock(door)
    item = (await items(door))[0]
    category = await new_category(door, "Избранное")
    body = {"data": update(item["id"], is_hidden=True, category_ids=[category], user_rating=4)}
    answer = await ask(door, "PATCH", f"{ITEMS}/{item['id']}", body)
    assert answer.status_code == 200
    changed = answer.json()["data"]
    assert changed["attributes"] == {**item["attributes"], "is_hidden": True, "user_rating": 4}
    assert changed["relationships"] == {"categories": {"data": [{"type": "userCategory", "id": category}]}}
    assert item["id"] not in [one["id"] for one in await items(door)]
    assert changed in await items(door, "include_hidden=true")
    assert await items(door, f"category_id={category}&include_hidden=true") == [changed]
    cleared = await ask(door, "PATCH", f"{ITEMS}/{item['id']}", {"data": update(item["id"], user_rating=None)})
    assert "user_rating" not in cleared.json()["data"]["attributes"]
    assert cleared.json()["data"]["attributes"]["is_hidden"] is True


BAD_UPDATES: list[tuple[dict[str, Any], str]] = [
    ({"is_hidden": "yes"}, "/data/attributes/is_hidden"),
    ({"user_rating": 0}, "/data/attributes/user_rating"),
    ({"user_rating": 6}, "/data/attributes/user_rating"),
    ({"user_rating": 4.5}, "/data/attributes/user_rating"),
    ({"category_ids": ["1"]}, "/data/attributes/category_ids/0"),
    ({"category_ids": [format_id(b"c" * 16)]}, "/data/attributes/category_ids"),
    ({"category_ids": None}, "/data/attributes/category_ids"),
    ({"title": "mine"}, "/data/attributes/title"),
]


@pytest.mark.parametrize(("attributes", "pointer"), BAD_UPDATES)
async def test_a_change_that_means_nothing_is_refused_with_its_place(
    door: OpenDoor, attributes: dict[str, Any], pointer: str
) -> None:
    """R-LIB-8"""
    item = (await items(door))[0]
    answer = await ask(door, "PATCH", f"{ITEMS}/{item['id']}", {"data": update(item["id"], **attributes)})
    assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR")
    assert answer.json()["errors"][0]["source"] == {"pointer": pointer}
    assert (await items(door))[0] == item


async def test_a_body_that_is_about_something_else_is_refused(door: OpenDoor) -> None:
    """R-LIB-8: its id and type must match the path."""
    one, other = await items(door)
    path = f"{ITEMS}/{one['id']}"
    for body in (
        {"data": update(other["id"], is_hidden=True)},
        {"data": {**update(one["id"], is_hidden=True), "type": "libraryItem"}},
        {"data": update("1", is_hidden=True)},
        {"data": [update(one["id"], is_hidden=True)]},
    ):
        answer = await ask(door, "PATCH", path, body)
        assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR"), body
    nobodys = format_id(b"y" * 16)
    for path, user in ((f"{ITEMS}/{nobodys}", USER), (f"{ITEMS}/{one['id']}", OTHER_USER)):
        item_id = path.rpartition("/")[2]
        body = {"data": update(item_id, is_hidden=True)}
        answer = await door.client.patch(path, json=body, headers=bearer(user))
        assert (answer.status_code, code_of(answer)) == (404, "LIBRARY_ITEM_NOT_FOUND")
    assert len(await items(door)) == 2


async def test_many_items_are_changed_in_one_call_with_a_result_each(door: OpenDoor) -> None:
    """R-LIB-9"""
    one, other = await items(door)
    nobodys = format_id(b"y" * 16)
    body = {
        "data": [
            update(one["id"], is_hidden=True),
            update(nobodys, is_hidden=True),
            update(other["id"], category_ids=[format_id(b"c" * 16)]),
        ]
    }
    answer = await ask(door, "PATCH", ITEMS, body, **{"accept-language": "en"})
    assert answer.status_code == 200
    results = answer.json()["data"]
    assert [result["id"] for result in results] == [one["id"], nobodys, other["id"]]
    assert results[0]["attributes"]["is_hidden"] is True
    assert [result["error"]["code"] for result in results[1:]] == ["LIBRARY_ITEM_NOT_FOUND", "VALIDATION_ERROR"]
    assert results[1]["error"]["title"] == "Library item not found"
    lone = (await ask(door, "PATCH", ITEMS, {"data": [update(nobodys, is_hidden=True)]})).json()["data"]
    assert lone[0]["error"]["status"] == "404"


@pytest.mark.parametrize("count", [0, 101])
async def test_a_bulk_change_has_bounds(door: OpenDoor, count: int) -> None:
    """R-LIB-9, R-SEC-4: and names each item once."""
    item = (await items(door))[0]
    ids = [format_id(n.to_bytes(16, "big")) for n in range(count)]
    for body in ([update(one, is_hidden=True) for one in ids], [update(item["id"], user_rating=n) for n in (1, 2)]):
        answer = await ask(door, "PATCH", ITEMS, {"data": body})
        assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR")


async def test_categories_are_made_listed_renamed_and_deleted(door: OpenDoor) -> None:
    """R-LIB-3"""
    item = (await items(door))[0]
    category = await new_category(door, " Избранное ")
    other = await new_category(door, "arcade")
    await ask(door, "PATCH", f"{ITEMS}/{item['id']}", {"data": update(item["id"], category_ids=[category, other])})
    page = (await ask(door, "GET", CATEGORIES)).json()
    assert [(one["type"], one["id"], one["attributes"]["name"]) for one in page["data"]] == [
        ("userCategory", other, "arcade"),
        ("userCategory", category, "Избранное"),
    ]
    body = {"data": {"type": "userCategoryUpdate", "id": category, "attributes": {"name": "Лучшее"}}}
    renamed = await ask(door, "PATCH", f"{CATEGORIES}/{category}", body)
    assert (renamed.status_code, renamed.json()["data"]["attributes"]["name"]) == (200, "Лучшее")
    gone = await ask(door, "DELETE", f"{CATEGORIES}/{category}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await items(door, f"category_id={other}"))[0]["relationships"]["categories"]["data"] == [
        {"type": "userCategory", "id": other}
    ]
    for method, sent in (("DELETE", None), ("PATCH", body)):
        answer = await ask(door, method, f"{CATEGORIES}/{category}", sent)
        assert (answer.status_code, code_of(answer)) == (404, "CATEGORY_NOT_FOUND")
    malformed = await ask(door, "DELETE", f"{CATEGORIES}/1")
    assert (malformed.status_code, code_of(malformed)) == (404, "CATEGORY_NOT_FOUND")
    anothers = await door.client.delete(f"{CATEGORIES}/{other}", headers=bearer(OTHER_USER))
    assert (anothers.status_code, code_of(anothers)) == (404, "CATEGORY_NOT_FOUND")


@pytest.mark.parametrize("name", ["", " ", "a" * 101, "a" * 201, "a\0", "a\n", 5, None])
async def test_a_name_that_is_none_is_refused_with_its_place(door: OpenDoor, name: Any) -> None:
    """R-LIB-3, R-SEC-4"""
    answer = await ask(
        door, "POST", CATEGORIES, {"data": {"type": "userCategoryCreation", "attributes": {"name": name}}}
    )
    assert (answer.status_code, code_of(answer)) == (400, "VALIDATION_ERROR")
    assert answer.json()["errors"][0]["source"] == {"pointer": "/data/attributes/name"}


async def test_a_name_twice_and_one_category_too_many_have_their_codes(door: OpenDoor) -> None:
    """R-LIB-3, R-ERR-2"""
    for number in range(door.engine.policy.max_categories):
        await new_category(door, f"c{number}")
    for name, expected in (("C1", (409, "CATEGORY_DUPLICATE")), ("more", (422, "CATEGORY_LIMIT_REACHED"))):
        body = {"data": {"type": "userCategoryCreation", "attributes": {"name": name}}}
        answer = await ask(door, "POST", CATEGORIES, body)
        assert (answer.status_code, code_of(answer)) == expected


def creation(product_id: ProductId) -> dict[str, Any]:
    return {"data": {"type": "libraryItemCreation", "attributes": {"product_id": format_id(product_id)}}}


async def test_a_free_product_is_added_once_the_catalog_confirms_it(door: OpenDoor) -> None:
    """R-LIB-5"""
    stock(door)
    answer = await ask(door, "POST", ITEMS, creation(FREE_GAME))
    assert answer.status_code == 201
    body = answer.json()["data"]
    assert (body["attributes"]["title"], body["attributes"]["acquisition_type"]) == ("Танки", "free_to_play")
    assert answer.headers["location"] == body["links"]["self"]
    again = await ask(door, "POST", ITEMS, creation(FREE_GAME))
    assert (again.status_code, again.json()["data"]) == (200, body)
    assert len(await items(door)) == 3


async def test_what_the_catalog_does_not_confirm_is_not_added(door: OpenDoor) -> None:
    """R-LIB-5: unknown, not free, and a catalog that is away with nothing remembered."""
    stock(door)
    unknown = await ask(door, "POST", ITEMS, creation(ProductId(b"u" * 16)))
    assert (unknown.status_code, code_of(unknown)) == (404, "PRODUCT_NOT_FOUND")
    paid = await ask(door, "POST", ITEMS, creation(OTHER_GAME))
    assert (paid.status_code, code_of(paid)) == (400, "VALIDATION_ERROR")
    assert paid.json()["errors"][0]["source"] == {"pointer": "/data/attributes/product_id"}
    door.engine.catalog.down = True
    away = await ask(door, "POST", ITEMS, creation(FREE_GAME))
    assert (away.status_code, code_of(away)) == (503, "SERVICE_UNAVAILABLE")
    door.engine.catalog.down = False
    await ask(door, "POST", ITEMS, creation(FREE_GAME))
    door.engine.catalog.down = True
    stale = await door.client.post(ITEMS, json=creation(FREE_GAME), headers=bearer(OTHER_USER))
    assert stale.status_code == 201


async def test_only_an_active_account_is_given_a_free_product(door: OpenDoor) -> None:
    """R-LIB-5, R-CFG-2: a token outlives the account it was given to; nobody is taken for active by silence."""
    stock(door)
    door.engine.accounts.inactive.add(format_id(USER))
    refused = await ask(door, "POST", ITEMS, creation(FREE_GAME))
    assert (refused.status_code, code_of(refused)) == (403, "PERMISSION_DENIED")
    door.engine.accounts.down = True
    away = await ask(door, "POST", ITEMS, creation(FREE_GAME))
    assert (away.status_code, code_of(away)) == (503, "SERVICE_UNAVAILABLE")
    assert len(await items(door)) == 2


async def test_an_installation_is_asked_of_the_download_service(door: OpenDoor) -> None:
    """R-LIB-6: for an item of one's own; a refusal and an absence have their codes."""
    item = (await items(door))[0]
    path, key = f"{ITEMS}/{item['id']}/install", (format_id(USER), item["attributes"]["product_id"])
    answer = await ask(door, "POST", path)
    assert (answer.status_code, answer.json()["data"]) == (202, item)
    assert list(door.engine.downloads.requested) == [key]
    for strange in (f"{ITEMS}/{format_id(b'y' * 16)}/install", f"{ITEMS}/1/install"):
        none = await ask(door, "POST", strange)
        assert (none.status_code, code_of(none)) == (404, "LIBRARY_ITEM_NOT_FOUND")
    anothers = await door.client.post(path, headers=bearer(OTHER_USER))
    assert (anothers.status_code, code_of(anothers)) == (404, "LIBRARY_ITEM_NOT_FOUND")
    door.engine.downloads.refused[key[1]] = "no build for this platform"
    refused = await ask(door, "POST", path)
    assert (refused.status_code, code_of(refused)) == (403, "PERMISSION_DENIED")
    assert "no build for this platform" in refused.json()["errors"][0]["detail"]
    door.engine.downloads.down = True
    away = await ask(door, "POST", path)
    assert (away.status_code, code_of(away)) == (503, "SERVICE_UNAVAILABLE")


async def test_a_page_without_a_catalog_has_no_titles_and_no_error(door: OpenDoor) -> None:
    """R-LIB-4, R-LIB-8"""
    door.engine.catalog.down = True
    assert [one["attributes"]["title"] for one in await items(door)] == [None, None]
    assert await items(door, "search=a") == []
