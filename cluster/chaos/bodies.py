"""The answers' bodies as a client reads them: what the judge needs, nothing else. It shares no code with the door.

Here those of sessions.
"""

import msgspec

from actors.domain.ids import SessionId, parse_id, parse_time
from cluster.replay.service import Answer
from cluster.verdict.history import End


class _SessionAttributes(msgspec.Struct):
    product_id: str
    start_time: str
    device_id: str | None = None
    end_time: str | None = None
    duration_seconds: int | None = None
    end_reason: str | None = None


class SessionData(msgspec.Struct):
    id: str
    attributes: _SessionAttributes

    @property
    def session_id(self) -> SessionId:
        return SessionId(parse_id(self.id))

    @property
    def end(self) -> End:
        """``ValueError`` unless it has ended."""
        said = self.attributes
        if said.end_time is None or said.duration_seconds is None or said.end_reason is None:
            raise ValueError("an end without end_time, duration_seconds or end_reason")
        return End(ended_at=parse_time(said.end_time), duration_s=said.duration_seconds, reason=said.end_reason)


class _Session(msgspec.Struct):
    data: SessionData


class _Sessions(msgspec.Struct):
    data: list[SessionData]


class _StatsAttributes(msgspec.Struct):
    total_playtime_seconds: int


class _StatsData(msgspec.Struct):
    attributes: _StatsAttributes


class _Stats(msgspec.Struct):
    data: _StatsData


_session = msgspec.json.Decoder(_Session)
_sessions = msgspec.json.Decoder(_Sessions)
_stats = msgspec.json.Decoder(_Stats)

UNREADABLE = (ValueError, msgspec.DecodeError)
"""What reading a body that is not as specified raises."""


def session_of(answer: Answer) -> SessionData:
    return _session.decode(answer.body).data


def sessions_of(answer: Answer) -> list[SessionId]:
    return [session.session_id for session in _sessions.decode(answer.body).data]


def total_of(answer: Answer) -> int:
    return _stats.decode(answer.body).data.attributes.total_playtime_seconds
