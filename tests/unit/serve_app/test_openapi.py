"""The OpenAPI document is complete and true (DEV, R-ERR-1): routes, bodies, errors, tokens, examples."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from serve_app.errors import CODES
from tests.support.door import BASE, SESSIONS, OpenDoor, bearer, start_body

ROUTES = {
    ("post", f"{SESSIONS}/start"),
    ("post", f"{SESSIONS}/{{session_id}}/heartbeat"),
    ("post", f"{SESSIONS}/{{session_id}}/end"),
    ("post", f"{BASE}/playtime/heartbeats"),
    ("post", f"{SESSIONS}/offline"),
    ("get", SESSIONS),
    ("get", f"{SESSIONS}/active"),
    ("get", f"{BASE}/playtime/stats"),
    ("get", f"{BASE}/items"),
    ("get", f"{BASE}/items/{{item_id}}"),
    ("post", f"{BASE}/items"),
    ("patch", f"{BASE}/items"),
    ("patch", f"{BASE}/items/{{item_id}}"),
    ("post", f"{BASE}/items/{{item_id}}/install"),
    ("get", f"{BASE}/categories"),
    ("post", f"{BASE}/categories"),
    ("patch", f"{BASE}/categories/{{category_id}}"),
    ("delete", f"{BASE}/categories/{{category_id}}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
}


@pytest.fixture
async def document(door: OpenDoor) -> dict[str, Any]:
    answer = await door.client.get(f"{BASE}/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def checked(document: dict[str, Any], schema: dict[str, Any], value: object) -> None:
    schema = {**schema, "components": document["components"]}
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, o) for path, methods in document["paths"].items() for method, o in methods.items()]


def test_every_route_is_there_and_no_other(document: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == ROUTES


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    names = set(references(document))
    assert names
    assert names <= {
        f"#/components/{kind}/{name}" for kind in document["components"] for name in document["components"][kind]
    }


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    seen = 0
    for _, _, operation in operations(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in bodies:
            for content in body.get("content", {}).values():
                for name in content.get("examples", {}):
                    checked(document, content["schema"], document["components"]["examples"][name]["value"])
                    seen += 1
    assert seen > 30


def test_users_routes_need_a_token_and_say_what_they_refuse(document: dict[str, Any]) -> None:
    """R-SEC-1, R-ERR-1."""
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for _, path, operation in operations(document):
        assert ("security" in operation) is path.startswith(BASE)
        assert {"500", "503"} <= set(operation["responses"])
        assert ("401" in operation["responses"]) is path.startswith(BASE)


def test_only_statuses_that_are_answered_are_described(document: dict[str, Any]) -> None:
    """FastAPI's own 422 is not one of them."""
    known = {str(entry.status) for entry in CODES.values()} | {"200", "201", "202", "204", "304"}
    described = {(path, status) for _, path, operation in operations(document) for status in operation["responses"]}
    assert {status for _, status in described} <= known
    posts = {path for method, path, _ in operations(document) if method == "post"}
    assert {path for path, status in described if status == "422"} <= posts
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_answers_are_what_the_document_says(door: OpenDoor, document: dict[str, Any]) -> None:
    async def ask(method: str, path: str, template: str, **more: Any) -> Any:
        answer = await door.client.request(method, path, headers=bearer(), **more)
        described = document["paths"][template][method.lower()]["responses"][str(answer.status_code)]
        for name in described.get("headers", {}):
            assert name in answer.headers, (path, name)
        if answer.content:
            checked(document, described["content"]["application/json"]["schema"], answer.json())
        return answer

    start = f"{SESSIONS}/start"
    session = (await ask("POST", start, start, json=start_body())).json()["data"]["id"]
    await ask("POST", start, start, json=start_body())
    await ask("POST", start, start, json={})
    for verb in ("heartbeat", "end", "heartbeat"):
        await ask("POST", f"{SESSIONS}/{session}/{verb}", f"{SESSIONS}/{{session_id}}/{verb}")
    for path in (SESSIONS, f"{SESSIONS}/active", f"{BASE}/playtime/stats", f"{BASE}/items"):
        await ask("GET", path, path)
    await ask("GET", f"{BASE}/items?limit=0", f"{BASE}/items")
    await ask("GET", f"{BASE}/items/1", f"{BASE}/items/{{item_id}}")
    many = f"{BASE}/playtime/heartbeats"
    beats = [{"type": "playtimeHeartbeat", "id": one} for one in (session, "no-uuid", "")]
    echoed = (await ask("POST", many, many, json={"data": beats})).json()["data"]
    assert [one["id"] for one in echoed] == [session, "no-uuid", ""]


async def test_there_is_a_page_to_read_it(door: OpenDoor) -> None:
    page = await door.client.get(f"{BASE}/docs")
    assert page.status_code == 200
    assert f"{BASE}/openapi.json" in page.text
