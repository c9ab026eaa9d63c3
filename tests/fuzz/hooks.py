"""What schemathesis is told about this service: which products its user owns, and that error codes are part of the
contract. Loaded by schemathesis (``SCHEMATHESIS_HOOKS``)."""

import os
from typing import Any

import schemathesis

from tests.fuzz.target import PRODUCTS_VARIABLE

_PRODUCTS = os.environ.get(PRODUCTS_VARIABLE, "").split(",")


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """A product of the user's in the place of most of the random ones: else every start would be a 404."""
    _replace_products(body)
    return body


def _replace_products(node: Any) -> None:
    if isinstance(node, dict):
        product = node.get("product_id")
        if isinstance(product, str) and len(product) == 36 and product[-1] not in "0123":
            node["product_id"] = _PRODUCTS[hash(product) % len(_PRODUCTS)]
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
