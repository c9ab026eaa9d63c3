"""How routes are described: their bodies' schemas and examples, their refusals, each made once."""

from itertools import count, groupby
from typing import Any

import msgspec

from serve_app.errors import CODES, ErrorDocument

_REF = "#/components/schemas/{name}"
_ALWAYS = (
    "MALFORMED_REQUEST", "REQUEST_TIMEOUT", "PAYLOAD_TOO_LARGE", "URI_TOO_LONG", "REQUEST_HEADER_FIELDS_TOO_LARGE",
    "INTERNAL_ERROR", "SERVICE_UNAVAILABLE",
)  # fmt: skip
FOR_USERS = ("UNAUTHENTICATED", "NOT_ACCEPTABLE", "RATE_LIMITED", "VALIDATION_ERROR")
FOR_POSTS = (*FOR_USERS, "IDEMPOTENCY_KEY_REUSED")

SCHEMAS: dict[str, Any] = {}
"""Of every body that a route was described with."""

EXAMPLES: dict[str, dict[str, Any]] = {}
"""Kept apart and referred to: FastAPI drops the nulls of what stands in a route's own description."""


def json_content(body: Any, example: object) -> dict[str, Any]:
    """A JSON content of this shape; equal examples are one."""
    (schema,), made = msgspec.json.schema_components([body], ref_template=_REF)
    for name, one in made.items():
        if SCHEMAS.setdefault(name, one) != one:
            raise ValueError(f"two schemas are called {name}")
    hint = schema["$ref"].rpartition("/")[2]
    numbered = (f"{hint}{number}" for number in count(1))
    name = next(name for name in numbered if EXAMPLES.setdefault(name, {"value": example})["value"] == example)
    return {"application/json": {"schema": schema, "examples": {name: {"$ref": f"#/components/examples/{name}"}}}}


def answer(
    description: str, body: Any = None, example: object = None, headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {"description": description}
    if body is not None:
        made["content"] = json_content(body, example)
    if headers:
        made["headers"] = headers
    return made


def _refusals(*codes: str) -> dict[int | str, dict[str, Any]]:
    """One response a status, naming its codes."""
    entries = sorted((CODES[code] for code in {*codes, *_ALWAYS}), key=lambda entry: (entry.status, entry.code))
    made: dict[int | str, dict[str, Any]] = {}
    for status, group in groupby(entries, key=lambda entry: entry.status):
        named = list(group)
        example = {"errors": [{"status": str(status), "code": named[0].code, "title": named[0].ru, "detail": "…"}]}
        description = "; ".join(f"`{entry.code}`: {entry.when}" for entry in named)
        made[status] = answer(description, ErrorDocument, example)
    return made


def route(summary: str, answers: dict[int | str, dict[str, Any]], *codes: str, **more: Any) -> dict[str, Any]:
    return {
        "summary": summary,
        "status_code": next(iter(answers)),
        "responses": {**answers, **_refusals(*codes)},
        "response_model": None,
        **more,
    }
