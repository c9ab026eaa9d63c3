"""Takes the CloudEvents envelope off a Kafka message (R-EVT-3): structured JSON, binary (attributes in headers), or
none at all, for producers that send the specification's bare payload.

Unknown attributes are ignored: a producer may add some.
"""

import re
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from actors.ingress.ports import Record

MAX_VALUE_BYTES = 262_144
"""More than an order of a thousand products needs; longer messages are not parsed."""

_MAX_ATTRIBUTE = 1_024
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_JSON_TYPE = re.compile(r"application/(?:json|[a-z0-9.-]+\+json)(?:;.*)?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_Text = Annotated[str, Meta(min_length=1, max_length=_MAX_ATTRIBUTE)]


class Undecodable(Exception):
    """A message that no retry will make processable; it becomes a dead letter.

    ``reason`` is one of ``too_large``, ``not_json``, ``bad_envelope``, ``unexpected_type``, ``bad_payload``;
    ``detail`` says where, in English; ``event_id`` is known when the envelope was readable.
    """

    def __init__(self, reason: str, detail: str, event_id: str | None = None) -> None:
        super().__init__(reason, detail, event_id)
        self.reason = reason
        self.detail = detail
        self.event_id = event_id


class Opened(Struct, frozen=True, kw_only=True):
    """``event_type``, ``event_id`` and ``time`` (as it was written) are None for a bare payload; ``trace`` is a W3C
    ``traceparent``."""

    data: bytes | Raw
    event_type: str | None = None
    event_id: str | None = None
    time: str | None = None
    trace: str | None = None


class _Peek(Struct):
    specversion: Raw | UnsetType = UNSET


class _Attributes(Struct):
    """What the CloudEvents specification requires, and the optional ones that matter here."""

    specversion: str
    id: _Text
    source: _Text
    type: _Text
    datacontenttype: str | None = None
    time: str | None = None
    traceparent: str | None = None


class _Structured(_Attributes, kw_only=True):
    data: Raw


_peek = msgspec.json.Decoder(_Peek)
_structured = msgspec.json.Decoder(_Structured)
PARSE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def open_envelope(record: Record) -> Opened:
    """The payload and what the envelope says about it. Raises ``Undecodable``."""
    value = record.value or b""
    if len(value) > MAX_VALUE_BYTES:
        raise Undecodable("too_large", f"{len(value)} bytes, {MAX_VALUE_BYTES} are allowed")
    headers = {name.lower(): text for name, text in record.headers}
    if "ce_specversion" in headers:
        return _open_binary(value, headers)
    try:
        structured = _peek.decode(value).specversion is not UNSET
    except PARSE_ERRORS as error:
        raise Undecodable("not_json", _brief(error)) from None
    if structured:
        return _open_structured(value)
    if headers.get("content-type", b"").lower().startswith(b"application/cloudevents"):
        raise Undecodable("bad_envelope", "the content type is CloudEvents, but there is no specversion")
    return Opened(data=value, trace=_trace(_text(headers.get("traceparent", b""))))


def _open_structured(value: bytes) -> Opened:
    try:
        event = _structured.decode(value)
    except PARSE_ERRORS as error:
        raise Undecodable("bad_envelope", _brief(error)) from None
    return _checked(event, event.data)


def _open_binary(value: bytes, headers: dict[str, bytes]) -> Opened:
    attributes = {name[3:]: _text(text) for name, text in headers.items() if name.startswith("ce_")}
    if "content-type" in headers:
        attributes["datacontenttype"] = _text(headers["content-type"])
    if "traceparent" in headers:
        attributes.setdefault("traceparent", _text(headers["traceparent"]))
    try:
        event = msgspec.convert(attributes, _Attributes)
    except PARSE_ERRORS as error:
        raise Undecodable("bad_envelope", _brief(error)) from None
    return _checked(event, value)


def _checked(event: _Attributes, data: bytes | Raw) -> Opened:
    if event.specversion != "1.0":
        raise Undecodable("bad_envelope", "specversion is not 1.0")
    for name, text in (("id", event.id), ("source", event.source), ("type", event.type)):
        if _CONTROL.search(text):
            raise Undecodable("bad_envelope", f"{name} has control characters")
    if event.datacontenttype is not None and _JSON_TYPE.fullmatch(event.datacontenttype) is None:
        raise Undecodable("bad_envelope", "datacontenttype is not JSON", event.id)
    return Opened(
        data=data,
        event_type=event.type,
        event_id=event.id,
        time=event.time,
        trace=_trace(event.traceparent or ""),
    )


def _trace(text: str) -> str | None:
    return text if _TRACEPARENT.fullmatch(text) else None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _brief(error: Exception) -> str:
    return str(error)[:200]
