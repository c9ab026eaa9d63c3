"""A build after this one: it reads this release's shapes and its own, which look quite different.

Journal bodies are JSON by column, outbox rows are compressed, frames are JSON objects, and replies are numbered from
the other end.
"""

import zlib
from typing import Any

import msgspec
from msgspec import Struct

from actors.domain.events import Event
from actors.domain.ids import UserId
from actors.domain.publishing import IntegrationEvent
from actors.domain.replies import Reply
from actors.format_1 import FORMAT_1
from actors.formats import Format, Formats, NumberedReply
from actors.link.calls import Call, UnknownCall
from actors.relay.cloudevent import encode as cloudevent

VERSION = 2


class Body(Struct, kw_only=True, forbid_unknown_fields=True):
    users: list[UserId]
    happened: list[list[Event]]


class Calls(Struct, kw_only=True, forbid_unknown_fields=True):
    calls: dict[str, msgspec.Raw]


class Replies(Struct, kw_only=True, forbid_unknown_fields=True):
    replies: list[tuple[Reply, int]]


_encode = msgspec.json.Encoder().encode


def encode_journal(entries: Any) -> bytes:
    return _encode(Body(users=[user for user, _ in entries], happened=[list(events) for _, events in entries]))


def decode_journal(body: memoryview) -> list[tuple[UserId, list[Event]]]:
    columns = msgspec.json.decode(body, type=Body)
    return list(zip(columns.users, columns.happened, strict=True))


def encode_calls(calls: list[Call]) -> bytes:
    return _encode(Calls(calls={str(call.call_id): msgspec.Raw(_encode(call)) for call in calls}))


def decode_calls(body: memoryview) -> list[Call]:
    return [msgspec.json.decode(raw, type=Call) for raw in msgspec.json.decode(body, type=Calls).calls.values()]


def salvage_calls(body: memoryview) -> list[Call | UnknownCall]:
    found: list[Call | UnknownCall] = []
    for number, raw in msgspec.json.decode(body, type=Calls).calls.items():
        try:
            found.append(msgspec.json.decode(raw, type=Call))
        except msgspec.DecodeError as unknown:
            found.append(UnknownCall(int(number), str(unknown)))
    return found


def encode_replies(replies: list[NumberedReply]) -> bytes:
    return _encode(Replies(replies=[(reply, number) for number, reply in replies]))


def decode_replies(body: memoryview) -> list[NumberedReply]:
    return [(number, reply) for reply, number in msgspec.json.decode(body, type=Replies).replies]


def encode_event(event: IntegrationEvent, user_id: UserId) -> bytes:
    return zlib.compress(cloudevent(event, user_id))


NEXT = Format(
    version=VERSION,
    encode_journal=encode_journal,
    decode_journal=decode_journal,
    encode_calls=encode_calls,
    decode_calls=decode_calls,
    salvage_calls=salvage_calls,
    encode_replies=encode_replies,
    decode_replies=decode_replies,
    salvage_replies=decode_replies,
    encode_event=encode_event,
    message_of=zlib.decompress,
)


def next_formats() -> Formats:
    return Formats((FORMAT_1, NEXT))
