"""Copies of users under the specification's keys (4.2.2): ``library:<user_id>:items``, a HASH of ``version``,
``flushed_at`` and ``items`` (JSON), and ``playtime_session:<user_id>:<product_id>``, a HASH of ``session_id``,
``start_time``, ``last_heartbeat_at`` and ``version``.

A script compares the versions where they lie: whatever comes late or twice, the highest stays. Of a session that ended
the version alone is kept for a while, so that an older state cannot bring it back.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from redis.commands.core import AsyncScript

from actors.copies.ports import CopiesUnavailable
from actors.copies.values import LibraryCopy, SessionCopy, Version
from actors.domain.ids import Micros, ProductId, Seq, Term, UserId, format_id, format_time
from persistence.redis.connection import RedisAway, RedisCalls
from persistence.redis.library_json import LibraryEncoder, decode_library

BYTES_A_CALL = 262_144
"""What one call carries, about: more would take Redis too long to answer others in between."""

WRITE_LIBRARIES = """
local ttl = ARGV[1]
for i, key in ipairs(KEYS) do
    local version = ARGV[3 * i - 1]
    local known = redis.call('HGET', key, 'version')
    if not known or known <= version then
        redis.call('HSET', key, 'version', version, 'flushed_at', ARGV[3 * i], 'items', ARGV[3 * i + 1])
        redis.call('PEXPIRE', key, ttl)
    end
end
"""

WRITE_SESSIONS = """
local ttl, ended_ttl = ARGV[1], ARGV[2]
for i, key in ipairs(KEYS) do
    local version, session = ARGV[4 * i - 1], ARGV[4 * i]
    local known = redis.call('HGET', key, 'version')
    if not known or known <= version then
        if session == '' then
            redis.call('DEL', key)
            redis.call('HSET', key, 'version', version)
            redis.call('PEXPIRE', key, ended_ttl)
        else
            redis.call('HSET', key, 'version', version, 'session_id', session,
                'start_time', ARGV[4 * i + 1], 'last_heartbeat_at', ARGV[4 * i + 2])
            redis.call('PEXPIRE', key, ttl)
        end
    end
end
"""


class CopyTimes(Struct, frozen=True, kw_only=True):
    """How long copies are kept after they were written, in milliseconds."""

    library_ms: int = 900_000
    session_ms: int = 7_200_000
    ended_ms: int = 600_000


class RedisCopies:
    """The ports ``CopyWriter`` and ``CopyReader``."""

    def __init__(self, calls: RedisCalls, times: CopyTimes | None = None) -> None:
        self._calls = calls
        self._times = times or CopyTimes()
        self._encoder = LibraryEncoder()
        self._write_libraries = calls.client.register_script(WRITE_LIBRARIES)
        self._write_sessions = calls.client.register_script(WRITE_SESSIONS)

    async def write(self, libraries: Sequence[LibraryCopy], sessions: Sequence[SessionCopy]) -> None:
        try:
            if libraries:
                await self._libraries(libraries)
            if sessions:
                await self._sessions(sessions)
        except RedisAway as away:
            raise CopiesUnavailable from away

    async def read_library(self, user_id: UserId) -> LibraryCopy | None:
        key = library_key(user_id)
        try:
            found: list[Any] = await self._calls.run(lambda redis: redis.hmget(key, ["version", "flushed_at", "items"]))
        except RedisAway as away:
            raise CopiesUnavailable from away
        version, flushed_at, items = found
        if version is None or flushed_at is None or items is None:
            return None
        try:
            return LibraryCopy(
                user_id=user_id,
                version=_read_version(version),
                flushed_at=Micros(int(flushed_at)),
                library=decode_library(items),
            )
        except (ValueError, msgspec.MsgspecError):
            return None  # another release's, or somebody else's

    async def _libraries(self, libraries: Sequence[LibraryCopy]) -> None:
        keys: list[str] = []
        arguments: list[bytes | str | int] = [self._times.library_ms]
        size_bytes = 0
        for copy in libraries:
            items = await self._encoder.encode(copy.library)
            keys.append(library_key(copy.user_id))
            arguments += (_write_version(copy.version), copy.flushed_at, items)
            size_bytes += len(items)
            if size_bytes >= BYTES_A_CALL or copy is libraries[-1]:
                await self._send(self._write_libraries, keys, arguments)
                keys, arguments, size_bytes = [], [self._times.library_ms], 0

    async def _send(self, script: AsyncScript, keys: list[str], arguments: list[bytes | str | int]) -> None:
        await self._calls.run(lambda _: script(keys=keys, args=arguments))

    async def _sessions(self, sessions: Sequence[SessionCopy]) -> None:
        keys: list[str] = []
        arguments: list[bytes | str | int] = [self._times.session_ms, self._times.ended_ms]
        for copy in sessions:
            keys.append(session_key(copy.user_id, copy.product_id))
            arguments.append(_write_version(copy.version))
            live = copy.session
            if live is None:
                arguments += ("", "", "")
            else:
                times = format_time(live.started_at), format_time(live.last_heartbeat_at)
                arguments += (format_id(live.session_id), *times)
        await self._send(self._write_sessions, keys, arguments)


def library_key(user_id: UserId) -> str:
    return f"library:{format_id(user_id)}:items"


def session_key(user_id: UserId, product_id: ProductId) -> str:
    return f"playtime_session:{format_id(user_id)}:{format_id(product_id)}"


def _write_version(version: Version) -> str:
    """Of one width, so that texts compare as the numbers do."""
    return f"{version.term:010d}.{version.seq:019d}"


def _read_version(text: bytes) -> Version:
    term, _, seq = text.partition(b".")
    return Version(Term(int(term)), Seq(int(seq)))
