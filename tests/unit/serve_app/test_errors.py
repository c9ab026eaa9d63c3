"""R-ERR-1, R-ERR-2: one table, one shape."""

from pathlib import Path

import msgspec
import pytest

from serve_app.errors import CODES, ApiError, Fault, error_body, error_headers, errors_page, language_of

ROOT = Path(__file__).parents[3]

SPECIFIED = {
    "VALIDATION_ERROR": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "FAMILY_ACCESS_RESTRICTED": 403,
    "LIBRARY_ITEM_NOT_FOUND": 404, "GAME_NOT_FOUND_IN_WISHLIST": 404, "SAVEGAME_SLOT_NOT_FOUND": 404,
    "ACHIEVEMENT_ALREADY_UNLOCKED": 409, "SAVEGAME_VERSION_CONFLICT": 409, "SAVEGAME_FILE_TOO_LARGE": 413,
    "USER_QUOTA_EXCEEDED": 422, "INTERNAL_ERROR": 500, "SERVICE_UNAVAILABLE": 503,
}  # fmt: skip
ADDED = {
    "METHOD_NOT_ALLOWED": 405, "NOT_ACCEPTABLE": 406, "PRECONDITION_FAILED": 412, "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429, "IDEMPOTENCY_KEY_REUSED": 422, "SESSION_NOT_FOUND": 404, "SESSION_ENDED": 409,
    "ACHIEVEMENT_NOT_FOUND": 404, "ACHIEVEMENT_RULE_NOT_MET": 422, "CATEGORY_NOT_FOUND": 404,
    "PRODUCT_NOT_FOUND": 404, "WISHLIST_DUPLICATE": 409, "WISHLIST_FULL": 422, "SAVEGAME_OBJECT_MISSING": 409,
    "SAVEGAME_HASH_MISMATCH": 422, "LIVE_SESSION_LIMIT_REACHED": 422,
}  # fmt: skip


def test_the_table_holds_every_code_of_the_specification_and_ours() -> None:
    """R-ERR-2, section 8.2."""
    assert (SPECIFIED | ADDED).items() <= {code: entry.status for code, entry in CODES.items()}.items()


def test_the_documentation_is_the_table() -> None:
    """R-ERR-2."""
    assert (ROOT / "docs" / "errors.md").read_text() == errors_page()


@pytest.mark.parametrize("code", CODES)
def test_titles_are_russian_and_english(code: str) -> None:
    """R-ERR-1."""
    assert any("а" <= letter <= "я" for letter in CODES[code].ru.lower())
    assert CODES[code].en.isascii()


def test_the_body_is_the_specified_one_with_a_string_status() -> None:
    """R-ERR-1."""
    error = ApiError(
        "VALIDATION_ERROR", faults=[Fault(detail="a", pointer="/data/x"), Fault(detail="b", parameter="limit")]
    )
    assert msgspec.json.decode(error_body(error, "ru")) == {
        "errors": [
            {
                "status": "400", "code": "VALIDATION_ERROR", "title": "Некорректные входные данные", "detail": "a",
                "source": {"pointer": "/data/x"},
            },
            {
                "status": "400", "code": "VALIDATION_ERROR", "title": "Некорректные входные данные", "detail": "b",
                "source": {"parameter": "limit"},
            },
        ]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("accept_language", "language"),
    [
        ("", "ru"), ("*", "ru"), ("de", "ru"), ("ru", "ru"), ("en", "en"), ("en-GB,en;q=0.9", "en"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"), ("ru;q=0.5,en;q=0.8", "en"), ("en;q=0", "ru"), ("EN", "en"),
        ("en;q=x", "ru"), ("en;q=nan", "ru"), (",;,=;q=", "ru"), ("en; q=1.0, ru; q=1.0", "ru"),
    ],
)  # fmt: skip
def test_titles_follow_the_preferred_language(accept_language: str, language: str) -> None:
    """R-ERR-1."""
    assert language_of(accept_language.encode()) == language


@pytest.mark.parametrize(
    ("code", "told"), [("SERVICE_UNAVAILABLE", True), ("RATE_LIMITED", True), ("NOT_FOUND", False)]
)
def test_who_may_try_again_is_told_when(code: str, told: bool) -> None:
    """R-ERR-1."""
    headers = dict(error_headers(ApiError(code), b"", "ru", "0" * 32))
    assert (b"retry-after" in headers) is told
