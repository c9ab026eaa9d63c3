"""What schemathesis is told about this service: which products its user owns, that keys of idempotency are unique, and
that error codes are part of the contract. Loaded by schemathesis (``SCHEMATHESIS_HOOKS``)."""

import os
import re
from itertools import count
from typing import Any
from zlib import crc32

import schemathesis

from tests.fuzz.target import PRODUCTS_VARIABLE

KEY = "Idempotency-Key"
_PRODUCTS = os.environ.get(PRODUCTS_VARIABLE, "").split(",")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_keys = count(1)


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """A product of the user's in the place of most of the random ones: else every start would be a 404."""
    _replace_products(body)
    return body


@schemathesis.hook
def map_headers(context: Any, headers: Any) -> Any:
    """Most keys are new ones: else nearly all requests would be the same key with another request."""
    key = headers.get(KEY) if headers else None
    if isinstance(key, str) and re.fullmatch(r"[A-Za-z0-9]{1,128}", key) and next(_keys) % 8:
        headers[KEY] = f"fuzz-{next(_keys)}"
    return headers


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """The id of the path in the body, where both are there."""
    for one in (case.path_parameters or {}).values():
        data = case.body.get("data") if isinstance(case.body, dict) else None
        if isinstance(data, dict) and _is_uuid(data.get("id")) and _is_uuid(one):
            data["id"] = one
    return case


def _is_uuid(text: Any) -> bool:
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def _replace_products(node: Any) -> None:
    if isinstance(node, dict):
        product = node.get("product_id")
        if _is_uuid(product) and product[-1] not in "0123":
            node["product_id"] = _PRODUCTS[crc32(product.encode()) % len(_PRODUCTS)]
        for value in node.values():
            _replace_products(value)
    elif isinstance(node, list):
        for value in node:
            _replace_products(value)


@schemathesis.check
def known_error_codes(ctx: Any, response: Any, case: Any) -> None:
    """R-ERR-2: an answer's codes are among those that the document names for its status."""
    described = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if response.status_code < 400 or "x-error-codes" not in described:
        return
    for error in response.json()["errors"]:
        assert error["code"] in described["x-error-codes"], f"{error['code']} is not named for {response.status_code}"
        assert error["status"] == str(response.status_code)
