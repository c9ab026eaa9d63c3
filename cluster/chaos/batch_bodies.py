"""The same of calls that bring many things at once: each has a result of its own."""

import msgspec

from actors.domain.ids import Micros, SessionId, parse_id, parse_time
from cluster.replay.service import Answer


class _Error(msgspec.Struct):
    code: str


class _CountedAttributes(msgspec.Struct):
    accepted_at: str
    next_heartbeat_seconds: float


class _Beat(msgspec.Struct):
    attributes: _CountedAttributes | None = None
    error: _Error | None = None


class _Beats(msgspec.Struct):
    data: list[_Beat]


class _TakenAttributes(msgspec.Struct):
    session_id: str | None = None
    credited_seconds: int | None = None
    reason: str | None = None


class _Offline(msgspec.Struct):
    attributes: _TakenAttributes


class _OfflineList(msgspec.Struct):
    data: list[_Offline]


class Counted(msgspec.Struct, frozen=True):
    """A heartbeat that counts, and how long the next one may take, in service time."""

    accepted_at: Micros
    next_beat_s: float


class Taken(msgspec.Struct, frozen=True):
    """An offline session that is recorded."""

    session_id: SessionId
    credited_s: int


_beats = msgspec.json.Decoder(_Beats)
_offline = msgspec.json.Decoder(_OfflineList)


def beats_of(answer: Answer) -> list[Counted | str]:
    """Each beat's answer, or its error's code."""
    return [_beat(one) for one in _beats.decode(answer.body).data]


def _beat(one: _Beat) -> Counted | str:
    if one.attributes is not None:
        return Counted(parse_time(one.attributes.accepted_at), one.attributes.next_heartbeat_seconds)
    if one.error is None:
        raise ValueError("a heartbeat without an answer or an error")
    return one.error.code


def offline_of(answer: Answer) -> list[Taken | str]:
    """What was taken, or the reason why not."""
    return [_taken(one.attributes) for one in _offline.decode(answer.body).data]


def _taken(said: _TakenAttributes) -> Taken | str:
    if said.session_id is not None and said.credited_seconds is not None:
        return Taken(SessionId(parse_id(said.session_id)), said.credited_seconds)
    if said.reason is None:
        raise ValueError("an offline session without a result or a reason")
    return said.reason
