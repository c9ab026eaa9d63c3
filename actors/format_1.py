"""Version 1: msgpack lists in the journal and on the link, finished CloudEvents in the outbox."""

from typing import Any

import msgspec

from actors.domain.events import Event
from actors.domain.ids import UserId
from actors.domain.replies import Reply, Unavailable
from actors.formats import Format, NumberedReply
from actors.link.calls import Call, UnknownCall
from actors.relay.cloudevent import encode as encode_event

_encode: Any = msgspec.msgpack.Encoder().encode
_entries: msgspec.msgpack.Decoder[list[tuple[UserId, list[Event]]]] = msgspec.msgpack.Decoder(
    list[tuple[UserId, list[Event]]]
)
_calls: msgspec.msgpack.Decoder[list[Call]] = msgspec.msgpack.Decoder(list[Call])
_replies: msgspec.msgpack.Decoder[list[NumberedReply]] = msgspec.msgpack.Decoder(list[tuple[int, Reply]])
_raw: msgspec.msgpack.Decoder[list[msgspec.Raw]] = msgspec.msgpack.Decoder(list[msgspec.Raw])
_call: msgspec.msgpack.Decoder[Call] = msgspec.msgpack.Decoder(Call)
_reply: msgspec.msgpack.Decoder[NumberedReply] = msgspec.msgpack.Decoder(tuple[int, Reply])
_something: msgspec.msgpack.Decoder[list[Any]] = msgspec.msgpack.Decoder(list[Any])


def salvage_calls(body: memoryview) -> list[Call | UnknownCall]:
    """Each call for itself."""
    calls: list[Call | UnknownCall] = []
    for raw in _raw.decode(body):
        try:
            calls.append(_call.decode(raw))
        except msgspec.DecodeError as unknown:
            calls.append(UnknownCall(_number(raw), str(unknown)))
    return calls


def salvage_replies(body: memoryview) -> list[NumberedReply]:
    """Each reply for itself; what is not understood was done all the same, for all we know."""
    replies: list[NumberedReply] = []
    for raw in _raw.decode(body):
        try:
            replies.append(_reply.decode(raw))
        except msgspec.DecodeError as unknown:
            replies.append((_number(raw), Unavailable(f"an answer that is not understood: {unknown}", unknown=True)))
    return replies


def _number(raw: msgspec.Raw) -> int:
    """Of a call or reply that is otherwise not understood."""
    fields = _something.decode(raw)
    if not fields or not isinstance(fields[0], int):
        raise msgspec.DecodeError("a call or reply without a number")
    return fields[0]


FORMAT_1 = Format(
    version=1,
    encode_journal=_encode,
    decode_journal=_entries.decode,
    encode_calls=_encode,
    decode_calls=_calls.decode,
    salvage_calls=salvage_calls,
    encode_replies=_encode,
    decode_replies=_replies.decode,
    salvage_replies=salvage_replies,
    encode_event=encode_event,
    message_of=lambda body: body,
)
