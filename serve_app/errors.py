"""Every error a client can meet: one table of codes, and the one shape they all have (R-ERR-1, R-ERR-2).

``docs/errors.md`` is this table; a test keeps them equal.
"""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

import msgspec
from msgspec import Struct

Language = Literal["ru", "en"]


class ErrorCode(Struct, frozen=True):
    """``later``: of a feature that is not built yet."""

    code: str
    status: int
    ru: str
    en: str
    when: str
    later: bool = False


_ALL = (
    ErrorCode("VALIDATION_ERROR", 400, "Некорректные входные данные", "Invalid input",
          "A body, path or query parameter is not what the API describes; `source` says where"),
    ErrorCode("MALFORMED_REQUEST", 400, "Некорректный HTTP-запрос", "Malformed HTTP request",
          "What was sent is not HTTP/1.1"),
    ErrorCode("UNAUTHENTICATED", 401, "Требуется аутентификация", "Authentication required",
          "The token is missing, expired, not yet valid, for somebody else, or not signed by a key we trust"),
    ErrorCode("PERMISSION_DENIED", 403, "Недостаточно прав", "Permission denied",
          "The caller lacks a role, only a trusted server may do this, the account is not active, or the Download "
          "Service refuses to install"),
    ErrorCode("FAMILY_ACCESS_RESTRICTED", 403, "Семейный доступ ограничен", "Family access is restricted",
          "A shared copy is excluded by its owner or in use", later=True),
    ErrorCode("NOT_FOUND", 404, "Ресурс не найден", "Resource not found",
          "There is no such path"),
    ErrorCode("LIBRARY_ITEM_NOT_FOUND", 404, "Элемент библиотеки не найден", "Library item not found",
          "The user's library has no such item or product"),
    ErrorCode("SESSION_NOT_FOUND", 404, "Игровая сессия не найдена", "Play session not found",
          "The user has no such session"),
    ErrorCode("GAME_NOT_FOUND_IN_WISHLIST", 404, "Игра не найдена в списке желаемого", "Game not found in the wishlist",
          "The wishlist has no such item", later=True),
    ErrorCode("SAVEGAME_SLOT_NOT_FOUND", 404, "Слот сохранения не найден", "Savegame slot not found",
          "The user has no such savegame", later=True),
    ErrorCode("ACHIEVEMENT_NOT_FOUND", 404, "Достижение не найдено", "Achievement not found",
          "The product has no such achievement", later=True),
    ErrorCode("CATEGORY_NOT_FOUND", 404, "Категория не найдена", "Category not found",
          "The user has no such category"),
    ErrorCode("PRODUCT_NOT_FOUND", 404, "Продукт не найден", "Product not found",
          "The catalog has no such product"),
    ErrorCode("METHOD_NOT_ALLOWED", 405, "Метод не поддерживается", "Method not allowed",
          "The path exists, the method does not; `Allow` lists those that do"),
    ErrorCode("NOT_ACCEPTABLE", 406, "Запрошенный формат не поддерживается", "Not acceptable",
          "`Accept` does not admit `application/json`"),
    ErrorCode("REQUEST_TIMEOUT", 408, "Время ожидания запроса истекло", "Request timeout",
          "The request was not sent completely in time"),
    ErrorCode("SESSION_ENDED", 409, "Игровая сессия уже завершена", "Play session has ended",
          "A heartbeat for a session that has ended; start a new one"),
    ErrorCode("ACHIEVEMENT_ALREADY_UNLOCKED", 409, "Достижение уже разблокировано", "Achievement already unlocked",
          "An unlock is repeated", later=True),
    ErrorCode("SAVEGAME_VERSION_CONFLICT", 409, "Конфликт версий сохранения", "Savegame version conflict",
          "Another device saved since the version this upload is based on", later=True),
    ErrorCode("CATEGORY_DUPLICATE", 409, "Категория с таким названием уже есть", "Category exists already",
          "The user has a category of this name, without regard to case"),
    ErrorCode("WISHLIST_DUPLICATE", 409, "Игра уже в списке желаемого или в библиотеке", "Already wished for or owned",
          "The product is already on the wishlist or in the library", later=True),
    ErrorCode("SAVEGAME_OBJECT_MISSING", 409, "Файл сохранения не загружен", "Savegame file was not uploaded",
          "An upload is confirmed that never arrived", later=True),
    ErrorCode("PRECONDITION_FAILED", 412, "Предусловие не выполнено", "Precondition failed",
          "`If-Match` names another revision", later=True),
    ErrorCode("PAYLOAD_TOO_LARGE", 413, "Слишком большое тело запроса", "Payload too large",
          "The request's body exceeds what the service reads"),
    ErrorCode("SAVEGAME_FILE_TOO_LARGE", 413, "Файл сохранения слишком большой", "Savegame file too large",
          "A savegame exceeds `MAX_SAVEGAME_SIZE_BYTES`", later=True),
    ErrorCode("URI_TOO_LONG", 414, "Слишком длинный адрес запроса", "URI too long",
          "The request line exceeds what the service reads"),
    ErrorCode("UNSUPPORTED_MEDIA_TYPE", 415, "Тип содержимого не поддерживается", "Unsupported media type",
          "A body is not `application/json` in UTF-8, or is compressed"),
    ErrorCode("LIVE_SESSION_LIMIT_REACHED", 422, "Слишком много активных игровых сессий", "Too many live play sessions",
          "The user already plays as many products at once as is allowed"),
    ErrorCode("OFFLINE_SESSION_IMPOSSIBLE", 422, "Невозможная офлайн-сессия", "Impossible offline session",
          "A session recorded offline cannot have been; `reason` beside it says why. Stands in one result of many"),
    ErrorCode("OFFLINE_SESSION_ID_REUSED", 422, "Идентификатор офлайн-сессии уже использован",
          "Offline session id reused",
          "The user recorded another session under the same UUID. Stands in one result of many"),
    ErrorCode("CATEGORY_LIMIT_REACHED", 422, "Слишком много категорий", "Too many categories",
          "The user has as many categories as is allowed"),
    ErrorCode("USER_QUOTA_EXCEEDED", 422, "Превышена квота на облачные сохранения", "Savegame quota exceeded",
          "The user's savegames would exceed `USER_SAVEGAME_QUOTA_BYTES`", later=True),
    ErrorCode("IDEMPOTENCY_KEY_REUSED", 422, "Ключ идемпотентности уже использован", "Idempotency key reused",
          "The same `Idempotency-Key` came with another request in the last 24 hours"),
    ErrorCode("ACHIEVEMENT_RULE_NOT_MET", 422, "Условие достижения не выполнено", "Achievement rule not met",
          "A rule of the achievement is not met; `detail` names it", later=True),
    ErrorCode("WISHLIST_FULL", 422, "Список желаемого заполнен", "Wishlist is full",
          "The wishlist holds as many items as is allowed", later=True),
    ErrorCode("SAVEGAME_HASH_MISMATCH", 422, "Хеш файла сохранения не совпадает", "Savegame hash mismatch",
          "The stored object is not what the upload declared", later=True),
    ErrorCode("RATE_LIMITED", 429, "Слишком много запросов", "Too many requests",
          "The user sends faster than is allowed; `Retry-After` says when to come back"),
    ErrorCode("REQUEST_HEADER_FIELDS_TOO_LARGE", 431, "Слишком большие заголовки запроса", "Request headers too large",
          "The request's headers are more, or longer, than the service reads"),
    ErrorCode("INTERNAL_ERROR", 500, "Внутренняя ошибка сервера", "Internal server error",
          "A bug of ours; `detail` names the incident, which is in the service's log"),
    ErrorCode("SERVICE_UNAVAILABLE", 503, "Сервис временно недоступен", "Service unavailable",
          "The service or what it depends on is overloaded or away; `Retry-After` says when to come back"),
)  # fmt: skip

CODES: Mapping[str, ErrorCode] = {entry.code: entry for entry in _ALL}


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where in the request an error is: a JSON pointer into the body, or the name of a query parameter."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class ApiError(Exception):
    """A request ends with this code. The caller's fault below 500; worth trying again for 503 and 429."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        faults: Sequence[Fault] = (),
        retry_after_s: int | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(code, detail)
        self.entry = CODES[code]
        self.faults = faults or (Fault(detail=detail or self.entry.en),)
        self.retry_after_s = retry_after_s
        self.headers = headers


class Source(Struct, frozen=True, omit_defaults=True):
    pointer: str | None = None
    parameter: str | None = None


class ErrorObject(Struct, frozen=True, omit_defaults=True):
    status: str
    code: str
    title: str
    detail: str
    source: Source | None = None


class ErrorDocument(Struct, frozen=True):
    errors: list[ErrorObject]


_encode = msgspec.json.Encoder().encode


def error_body(error: ApiError, language: Language) -> bytes:
    """The JSON document of the specification, section 3.1; ``status`` is a string."""
    return _encode(ErrorDocument(error_objects(error, language)))


def error_objects(error: ApiError, language: Language) -> list[ErrorObject]:
    """The error's faults, at least one, as they stand in a document or beside one result of many."""
    entry = error.entry
    title = entry.en if language == "en" else entry.ru
    return [ErrorObject(str(entry.status), entry.code, title, fault.detail, _source(fault)) for fault in error.faults]


def _source(fault: Fault) -> Source | None:
    if fault.pointer is None and fault.parameter is None:
        return None
    return Source(fault.pointer, fault.parameter)


def error_headers(error: ApiError, body: bytes, language: Language, trace_id: str) -> list[tuple[bytes, bytes]]:
    """A fresh list: a server may append to it."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"content-language", language.encode()),
        (b"library-trace-id", trace_id.encode()),
        *error.headers,
    ]
    if error.retry_after_s is not None or error.entry.status in (429, 503):
        headers.append((b"retry-after", b"%d" % max(1, error.retry_after_s or 1)))
    return headers


def new_trace_id() -> str:
    """For a request that brought none; the form of a W3C trace id."""
    return os.urandom(16).hex()


@lru_cache(maxsize=1024)
def language_of(accept_language: bytes) -> Language:
    """English if it is preferred to Russian, else Russian (R-ERR-1)."""
    best: dict[str, float] = {}
    for part in accept_language.decode("latin-1").lower().split(","):
        tag, _, parameters = part.partition(";")
        primary = tag.strip().partition("-")[0]
        if primary in ("ru", "en"):
            best[primary] = max(best.get(primary, 0.0), _quality(parameters))
    return "en" if best.get("en", 0.0) > best.get("ru", 0.0) else "ru"


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0


def errors_page() -> str:
    """``docs/errors.md``."""
    lines = [
        "# Errors",
        "",
        "Made from `serve_app/errors.py` (`python -m serve_app.errors > docs/errors.md`). Every error has the body",
        '`{"errors": [{"status", "code", "title", "detail", "source"?}]}`; `status` is a string, `title` is Russian,',
        "or English with `Accept-Language: en`; `source` has a `pointer` into the body or names a query `parameter`.",
        "`Library-Trace-Id` finds the request in the logs. Codes marked *later* belong to features still to come.",
        "",
        "| Status | Code | Title (ru) | Title (en) | When |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {entry.status} | `{entry.code}` | {entry.ru} | {entry.en} | {entry.when}{' *(later)*' * entry.later} |"
        for entry in sorted(_ALL, key=lambda entry: entry.status)
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(errors_page(), end="")  # noqa: T201
