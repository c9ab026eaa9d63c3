"""Request bodies and parameters into values, or ``ApiError`` with the place of what is wrong (R-ERR-1)."""

import re
from typing import TypeVar

import msgspec

from actors.domain.ids import parse_id
from serve_app.errors import ApiError, Fault

T = TypeVar("T")

_PLACE = re.compile(r"(?s)(.*) - at `\$([A-Za-z0-9_.]*)`")
_UNKNOWN = re.compile(r"(?s)Object contains unknown field `(.*)`")
_MISSING = re.compile(r"Object missing required field `(\w+)`")

MAX_QUOTED = 100
"""How much of a client's own text an error repeats."""


def read_body(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """What the decoder makes of a JSON body."""
    if not body:
        raise invalid_body("the body is empty", "")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _described(str(error)) from None
    except (ValueError, RecursionError) as error:
        detail = "too deeply nested" if isinstance(error, RecursionError) else plain(str(error))
        raise invalid_body(f"the body is not JSON: {detail}", "") from None


def read_body_id(text: str, pointer: str) -> bytes:
    """A UUID that stood in a body at ``pointer``."""
    try:
        return parse_id(text)
    except ValueError:
        raise invalid_body("not a UUID", pointer) from None


def read_parameter_id(text: str, parameter: str) -> bytes:
    """A UUID that stood in the query."""
    try:
        return parse_id(text)
    except ValueError:
        raise invalid_parameter("not a UUID", parameter) from None


def invalid_body(detail: str, pointer: str) -> ApiError:
    return ApiError("VALIDATION_ERROR", faults=[Fault(detail=detail, pointer=pointer)])


def invalid_parameter(detail: str, parameter: str) -> ApiError:
    return ApiError("VALIDATION_ERROR", faults=[Fault(detail=detail, parameter=plain(parameter))])


def _described(message: str) -> ApiError:
    """msgspec says in words where it stopped; ``$.data.type`` becomes ``/data/type``."""
    pointer = ""
    if (placed := _PLACE.fullmatch(message)) is not None:
        message, pointer = placed[1], placed[2].replace(".", "/")
    if (unknown := _UNKNOWN.fullmatch(message)) is not None:
        name = plain(unknown[1])
        return invalid_body(f"unknown member `{name}`", f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")
    if (missing := _MISSING.fullmatch(message)) is not None:
        return invalid_body(f"member `{missing[1]}` is missing", f"{pointer}/{missing[1]}")
    return invalid_body(plain(message), pointer)


def plain(text: str) -> str:
    """A client's own text, cut and made encodable, fit to be shown back."""
    shown = text.encode("utf-8", "replace").decode()
    return shown if len(shown) <= MAX_QUOTED else shown[:MAX_QUOTED] + "…"
