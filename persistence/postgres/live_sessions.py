"""Live sessions in bulk: what a host loads when it takes shards over, up to a million of them.

Postgres writes the rows as one msgpack array, which msgspec decodes in C: a fourth of the time of asyncpg's records, of
which the host has one core, and no row is an object before it is a session. Times are ``timestamptz_send``'s
microseconds since 2000, moved to our epoch by an exact addition of whole microseconds.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from actors.domain.ids import Micros, ProductId, SessionId, ShardId, UserId
from actors.domain.model import LiveSession, Platform
from persistence.postgres.pool import ConnectionPool
from persistence.postgres.sessions import spans

_ID: Final = r"'\xc410'::bytea || uuid_send({})"
_TIME: Final = r"'\xd3'::bytea || timestamptz_send({} + interval '946684800 seconds')"
_INTEGER: Final = r"'\xd2'::bytea || int4send({})"
_TEXT: Final = r"'\xdb'::bytea || int4send(octet_length({0})) || convert_to({0}, 'UTF8')"
_TIMES: Final = rf"""
case when {{0}} is null then '\xc0'::bytea else '\xdd'::bytea || int4send(cardinality({{0}})) || (
    select string_agg({_TIME.format("one.at")}, ''::bytea order by one.place)
    from unnest({{0}}) with ordinality as one (at, place)
) end
"""
_FLAG: Final = r"case when {} then '\xc3'::bytea else '\xc2'::bytea end"

_ROW: Final = " || ".join(
    (
        r"'\x9a'::bytea",
        _ID.format("user_id"),
        _ID.format("id"),
        _ID.format("product_id"),
        _TIME.format("start_time"),
        _TIME.format("last_heartbeat_at"),
        _INTEGER.format("heartbeat_interval_seconds"),
        _TEXT.format("device_id"),
        f"coalesce({_TEXT.format('platform')}, '\\xc0'::bytea)",
        _FLAG.format("heartbeat_too_fast"),
        _TIMES.format("counted_elsewhere"),
    )
)

LOAD: Final = rf"""
select '\xdd'::bytea || int4send(count(*)::integer) || coalesce(string_agg({_ROW}, ''::bytea), ''::bytea)
from playtime_sessions where library_shard(user_id) = any($1::smallint[]) and end_time is null
"""

_Row = tuple[UserId, SessionId, ProductId, Micros, Micros, int, str, Platform | None, bool, list[Micros] | None]
_decoder: msgspec.msgpack.Decoder[list[_Row]] = msgspec.msgpack.Decoder(list[_Row])


class KnownProducts:
    """One object a product, however many sessions play it. Bounded: forgets all when it has too many."""

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._known: dict[ProductId, ProductId] = {}

    def same(self) -> Callable[[ProductId, ProductId], ProductId]:
        """Given an id twice, the object that stands for it; for one batch of sessions."""
        if len(self._known) > self._limit:
            self._known = {}
        return self._known.setdefault


async def load_live(
    pool: ConnectionPool, shards: Sequence[ShardId], products: KnownProducts
) -> list[tuple[UserId, LiveSession]]:
    """Every live session of these shards."""
    rows = _decoder.decode(await pool.fetchval(LOAD, shards))
    same = products.same()
    return [
        (
            user_id,
            LiveSession(
                session_id, same(product, product), start, beat, interval_s, device, platform, fast, spans(elsewhere)
            ),
        )
        for user_id, session_id, product, start, beat, interval_s, device, platform, fast, elsewhere in rows
    ]
