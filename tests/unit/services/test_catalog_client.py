"""The careful reading of the catalog's answers (R-LIB-4)."""

import pytest
from catalog.v1.catalog_service_pb2 import BatchGetProductsResponse, Product

from persistence.services.calling import WrongAnswer
from persistence.services.catalog_client import MAX_TITLE, MAX_URL, _read

GOOD = Product(product_id="a", title="Half-Life")
ODD = {
    "no title": Product(product_id="b"),
    "too long a title": Product(product_id="b", title="x" * (MAX_TITLE + 1)),
    "an empty cover": Product(product_id="b", title="x", cover_image_url=""),
    "too long a cover": Product(product_id="b", title="x", cover_image_url="x" * (MAX_URL + 1)),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_a_product_that_cannot_be_shown_is_left_out_and_no_trouble_of_the_service(odd: Product) -> None:
    """Asked for alone too: a breaker that counts it would keep everybody's titles away."""
    assert _read(BatchGetProductsResponse(products=[odd]), frozenset("b")) == {}
    assert _read(BatchGetProductsResponse(products=[odd, GOOD]), frozenset("ab")).keys() == {"a"}


@pytest.mark.parametrize(
    "answer",
    [
        BatchGetProductsResponse(),
        BatchGetProductsResponse(products=[Product(product_id="c", title="x")]),
        BatchGetProductsResponse(missing_product_ids=["c"]),
        BatchGetProductsResponse(products=[GOOD], missing_product_ids=["a"]),
    ],
)
def test_an_answer_to_another_question_is_wrong(answer: BatchGetProductsResponse) -> None:
    """And so is one that says nothing."""
    with pytest.raises(WrongAnswer):
        _read(answer, frozenset("ab"))
