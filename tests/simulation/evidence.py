"""What the simulated tables and topics hold in the end, as the judge wants it."""

from actors.domain.ids import format_id
from actors.domain.model import EndedSession
from cluster.verdict.found import Found, FoundCategory, FoundItem, FoundSession
from tests.memory.kafka import MemoryKafka
from tests.memory.tables import Tables
from tests.simulation.clients import end_of
from tests.simulation.world import DEAD_LETTERS, EVENTS


def found_in(tables: Tables, kafka: MemoryKafka) -> Found:
    left = [f"journal rows are left: {host}" for host, rows in tables.journal.items() if rows]
    left += ["the outbox is not empty"] if tables.outbox else []
    return Found(
        items=[
            FoundItem(
                item_id=item.item_id,
                user_id=user_id,
                product_id=item.product_id,
                total_playtime_s=item.total_playtime_s,
                shown={
                    "is_hidden": item.is_hidden,
                    "user_rating": item.user_rating,
                    "category_ids": [format_id(category_id) for category_id in item.category_ids],
                },
            )
            for user_id, item in tables.items.values()
        ],
        sessions=[
            FoundSession(
                session_id=session_id,
                user_id=user_id,
                product_id=session.product_id,
                device_id=session.device_id,
                started_at=session.started_at,
                last_heartbeat_at=session.last_heartbeat_at,
                end=end_of(session) if isinstance(session, EndedSession) else None,
                offline=isinstance(session, EndedSession) and session.client_id is not None,
                counted_elsewhere=session.counted_elsewhere,
            )
            for session_id, (user_id, session) in tables.sessions.items()
        ],
        events=[record.value or b"" for record in kafka.records(EVENTS)],
        left=left,
        dead_letters=len(kafka.records(DEAD_LETTERS)),
        categories=[
            FoundCategory(category_id=category_id, user_id=user_id, name=category.name)
            for category_id, (user_id, category) in tables.categories.items()
        ],
    )
