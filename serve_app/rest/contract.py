"""What the whole REST contract has in common, so that no route has to say it: names of operations, headers of answers
and requests, the list of error codes. ``docs/api/openapi.json`` is the result; a test keeps the two equal.

    python -m serve_app.rest.contract > docs/api/openapi.json
"""

import json
import re
import sys
from types import SimpleNamespace
from typing import Any, cast

from actors.telemetry.logs import LogBudget
from serve_app.error_answers import ErrorAnswers
from serve_app.errors import CODES
from serve_app.rest.services import Services

Document = dict[str, Any]

DESCRIPTION = """\
Who owns which game, live play sessions, exact playtime.

Every request of a user carries a token (`Authorization: Bearer`). Whatever belongs to somebody else is answered as if
it did not exist. Every error, whatever it is, is an `ErrorDocument`; clients must be prepared for codes that they do
not know, and go by the status then. 429 and 503 say in `Retry-After` when to come back; every call may be sent again
after a 503 or a lost connection. Times are UTC, of the service's clock; `Library-Trace-Id` finds an error in the
service's logs.
"""

_HEADERS: dict[str, Document] = {
    "Retry-After": {
        "description": "Seconds after which to try again",
        "schema": {"type": "integer", "minimum": 1},
        "required": True,
    },
    "WWW-Authenticate": {"description": "RFC 6750", "schema": {"type": "string"}, "required": True},
    "Library-Trace-Id": {
        "description": "Under which the request stands in the service's logs: the trace id of the request's "
        "`traceparent`, if it had one",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "required": True,
    },
    "Content-Language": {
        "description": "Of the titles",
        "schema": {"type": "string", "enum": ["ru", "en"]},
        "required": True,
    },
}
_PARAMETERS: dict[str, Document] = {
    "AcceptLanguage": {
        "name": "Accept-Language",
        "in": "header",
        "description": "Titles of errors are Russian, or English if it is preferred here",
        "schema": {"type": "string"},
        "example": "en",
    }
}


def _links(parameter: str, place: str, *operations: str) -> dict[str, Document]:
    value = {parameter: f"$response.body#{place}"}
    return {name: {"operationId": name, "parameters": value} for name in operations}


_SESSION = _links("session_id", "/data/id", "heartbeat", "end_session")
_CATEGORY = _links("category_id", "/data/id", "rename_category", "delete_category")
_LINKS: dict[str, dict[str, Document]] = {
    "start_session": {"200": _SESSION, "201": _SESSION},
    "list_items": {"200": _links("item_id", "/data/0/id", "get_item", "update_item", "install_item")},
    "create_category": {"201": _CATEGORY},
}
"""What a client does next with an answer, by operation and status."""
_NAMED = re.compile(r"`([A-Z_]+)`: ")
"""The codes in the description of an answer (``openapi``)."""
_STATUS_WORD = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
_CONTENT: dict[str, Document] = {
    "/healthz": {"application/json": {"schema": _STATUS_WORD}},
    "/readyz": {"application/json": {"schema": _STATUS_WORD}},
    "/metrics": {"text/plain": {"schema": {"type": "string"}}},
}
_OF_STATUS = {"401": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}


def with_common_parts(document: Document) -> Document:
    """Changes the document, and returns it."""
    components = document["components"]
    components["headers"] = _HEADERS
    components["parameters"] = _PARAMETERS
    for schema in components["schemas"].values():
        for member in schema.get("properties", {}).values():
            if member.get("default", "") is None:
                del member["default"]  # generators take a member with a default for one that is always there
    code = components["schemas"]["ErrorObject"]["properties"]["code"]
    code["x-extensible-enum"] = sorted(entry.code for entry in CODES.values() if not entry.later)
    for path, content in _CONTENT.items():
        document["paths"][path]["get"]["responses"]["200"]["content"] = content
    for operations in document["paths"].values():
        for operation in operations.values():
            parameters = operation.setdefault("parameters", [])
            for parameter in parameters:
                parameter["schema"] = _without_null(parameter["schema"])
            parameters += [{"$ref": f"#/components/parameters/{name}"} for name in _PARAMETERS]
            for status, links in _LINKS.get(operation["operationId"], {}).items():
                operation["responses"][status]["links"] = links
            for status, answer in operation["responses"].items():
                if status >= "400":
                    answer["x-error-codes"] = _NAMED.findall(answer["description"])
                    names = ("Library-Trace-Id", "Content-Language", *_OF_STATUS.get(status, ()))
                    refs = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
                    answer["headers"] = {**answer.get("headers", {}), **refs}
    return document


def _without_null(schema: Document) -> Document:
    """A parameter that is left out is not one with the value null."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {**{name: value for name, value in schema.items() if name != "anyOf"}, **kinds[0]}


def committed_text() -> str:
    """``docs/api/openapi.json``. Nothing is called: the routes need what they work with only when they are asked."""
    from serve_app.rest.app import rest_app

    errors = ErrorAnswers(LogBudget(lines_per_second=1))
    app = rest_app(cast(Services, SimpleNamespace(errors=errors)))
    return json.dumps(app.openapi(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(committed_text())
