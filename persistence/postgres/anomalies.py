"""``playtime_anomalies``: what a fair client does not do, for operators to see (R-PT-8)."""

from collections.abc import Sequence
from typing import Final

from actors.domain.ids import UserId
from actors.domain.model import Anomaly
from persistence.postgres.connection import Session
from persistence.postgres.rows import write_rows

INSERT: Final = """
insert into playtime_anomalies (user_id, id, kind, occurred_at, product_id, session_id)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::uuid[], $6::uuid[])
"""


async def flush(session: Session, anomalies: Sequence[tuple[UserId, Anomaly]]) -> None:
    """Adds them."""
    rows = [(user_id, one.anomaly_id, one.kind, one.at, one.product_id, one.session_id) for user_id, one in anomalies]
    await write_rows(session, INSERT, rows)
