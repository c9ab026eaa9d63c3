"""Records of the rules as plain JSON objects, and back: ids as UUID texts, times in microseconds, fields by name.

Which fields there are is taken from the records themselves: one that a later release adds is written without a word
here, and what was written without it is read with its default.
"""

from typing import Any, NewType, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from actors.domain.ids import format_id, parse_id

R = TypeVar("R", bound=Struct)
_AS_IT_IS = frozenset({int, str, bool, float, type(None)})


def plain(value: Any) -> Any:
    """A record, an id, a tuple of them, or what JSON knows itself."""
    if isinstance(value, bytes):
        return format_id(value)
    if isinstance(value, Struct):
        values = ((name, getattr(value, name)) for name in value.__struct_fields__)
        return {name: one if type(one) in _AS_IT_IS else plain(one) for name, one in values}
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return value


def record(kind: type[R], found: dict[str, Any]) -> R:
    """The inverse for a record of that kind; ``ValueError`` or what msgspec raises for anything else. Unknown fields
    are another release's."""
    known = {field.name: _value(field.type, found[field.name]) for field in fields(kind) if field.name in found}
    try:
        return kind(**known)
    except TypeError as missing:
        raise ValueError(str(missing)) from None


def _value(kind: Any, found: Any) -> Any:
    if isinstance(kind, NewType):
        kind = kind.__supertype__
    if kind is bytes:
        return parse_id(found)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return record(kind, found)
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return tuple(_value(arguments[0], one) for one in found)
    if type(None) in arguments and len(arguments) == 2:
        (inner,) = (one for one in arguments if one is not type(None))
        return None if found is None else _value(inner, found)
    return msgspec.convert(found, kind)
