"""Messages nobody would send on purpose: any values, and bytes that are almost a message."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from tests.support.door import GAME, USER

MAX_REPEATED = 5
_TEXTS = st.one_of(
    st.text(max_size=40),
    st.uuids().map(str),
    st.sampled_from(["", "0" * 36, "7C9E6679-7425-40DE-944B-E07FC1F90AE7", "\0", "é" * 36, "-" * 36]),
)
_BYTES = st.one_of(
    st.binary(max_size=100), st.integers(0, 5).map(lambda n: (USER + GAME) * n), st.binary(min_size=64, max_size=64)
)


@st.composite
def messages(draw: st.DrawFn, kind: type[Message]) -> Message:
    """A message with any of its fields set to anything."""
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        if draw(st.booleans()):
            _fill(draw, message, field)
    return message


@st.composite
def bodies(draw: st.DrawFn, kind: type[Message]) -> bytes:
    """A message's bytes, as they are or mutated, or bytes of no message at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    body = bytearray(draw(messages(kind)).SerializeToString())
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        if body:
            body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.one_of(st.none(), st.integers(0, len(body))))
    return bytes(body if cut is None else body[:cut])


def _fill(draw: st.DrawFn, message: Message, field: FieldDescriptor) -> None:
    if field.is_repeated:
        values: Any = getattr(message, field.name)
        for _ in range(draw(st.integers(0, MAX_REPEATED))):
            if field.message_type is not None:
                values.add().CopyFrom(draw(messages(type(getattr(message, field.name).add()))))
            else:
                values.append(draw(_TEXTS))
    elif field.type == FieldDescriptor.TYPE_STRING:
        setattr(message, field.name, draw(_TEXTS))
    elif field.type == FieldDescriptor.TYPE_BYTES:
        setattr(message, field.name, draw(_BYTES))
