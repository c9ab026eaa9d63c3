"""Rows for tests: every field set to something of its own, unless told otherwise."""

from typing import Any
from uuid import uuid4

from actors.domain.ids import (
    SECOND,
    CategoryId,
    ClientSessionId,
    CommandId,
    ItemId,
    Micros,
    OrderId,
    ProductId,
    Seq,
    SessionId,
    UserId,
)
from actors.domain.model import (
    Acquisition,
    Anomaly,
    AppliedCommand,
    Category,
    EndedSession,
    LibraryItem,
    LiveSession,
    RemovedItem,
)
from actors.ports import FlushBatch, OutboxRow, PurchaseRow

START = Micros(1_760_000_000 * SECOND + 123_457)


def new_user() -> UserId:
    return UserId(uuid4().bytes)


def new_product() -> ProductId:
    return ProductId(uuid4().bytes)


def item(**fields: Any) -> LibraryItem:
    known = {
        "item_id": ItemId(uuid4().bytes),
        "product_id": new_product(),
        "added_at": START,
        "acquisition_type": "purchase",
        "installation_status": "installed",
        "install_event_at": Micros(START + 1),
        "last_played_at": Micros(START + 2),
        "last_ended_at": Micros(START + 3),
        "total_playtime_s": 2**40,
        "is_hidden": True,
        "user_rating": 5,
        "category_ids": (CategoryId(uuid4().bytes), CategoryId(uuid4().bytes)),
        "updated_at": Micros(START + 4),
    }
    return LibraryItem(**{**known, **fields})


def live(**fields: Any) -> LiveSession:
    known = {
        "session_id": SessionId(uuid4().bytes),
        "product_id": new_product(),
        "started_at": START,
        "last_heartbeat_at": Micros(START + 3 * SECOND + 1),
        "interval_s": 61,
        "device_id": "dév-🎮 'quoted\" {1,2} \\",
        "platform": "pc",
        "too_fast": True,
        "counted_elsewhere": ((Micros(START + SECOND), Micros(START + 2 * SECOND + 1)),),
    }
    return LiveSession(**{**known, **fields})


def ended(**fields: Any) -> EndedSession:
    known = {
        "session_id": SessionId(uuid4().bytes),
        "product_id": new_product(),
        "started_at": START,
        "last_heartbeat_at": Micros(START + 7 * SECOND),
        "interval_s": 62,
        "ended_at": Micros(START + 7 * SECOND),
        "duration_s": 7,
        "end_reason": "takeover",
        "device_id": "NULL",
        "platform": "web",
        "counted_elsewhere": ((START, Micros(START + 1)), (Micros(START + 3), Micros(START + SECOND))),
        "client_id": ClientSessionId(uuid4().bytes),
    }
    return EndedSession(**{**known, **fields})


def end_of(session: LiveSession, duration_s: int = 7) -> EndedSession:
    """The same session, completed by its client."""
    at = Micros(session.started_at + duration_s * SECOND)
    return ended(
        session_id=session.session_id,
        product_id=session.product_id,
        started_at=session.started_at,
        last_heartbeat_at=at,
        interval_s=session.interval_s,
        ended_at=at,
        duration_s=duration_s,
        end_reason="client",
        device_id=session.device_id,
        platform=session.platform,
        counted_elsewhere=session.counted_elsewhere,
        client_id=None,
    )


def removed(**fields: Any) -> RemovedItem:
    return RemovedItem(item(installation_status="not_installed", **fields), Micros(START + 9))


def category(**fields: Any) -> Category:
    known = {
        "category_id": CategoryId(uuid4().bytes),
        "name": "Пройдено 🎮 'quoted\" {1,2} \\ ё",
        "created_at": START,
        "updated_at": Micros(START + 5),
    }
    return Category(**{**known, **fields})


def purchase(user_id: UserId, **fields: Any) -> PurchaseRow:
    known = {"acquisition_type": "purchase", "added_at": Micros(START + 6), "refunded_at": None}
    return PurchaseRow(user_id, OrderId(uuid4().bytes), new_product(), Acquisition(**{**known, **fields}))


def command(at: Micros, reply: bytes = b"\x00reply\xff", request: bytes = b"") -> AppliedCommand:
    return AppliedCommand(CommandId(uuid4().bytes), at, reply, request)


def anomaly(**fields: Any) -> Anomaly:
    known = {
        "anomaly_id": uuid4().bytes,
        "kind": "heartbeat_too_fast",
        "at": START,
        "product_id": new_product(),
        "session_id": SessionId(uuid4().bytes),
    }
    return Anomaly(**{**known, **fields})


def outbox_row(user_id: UserId, seq: int, n: int = 0, shard_id: int = 255, term: int = 2**33) -> OutboxRow:
    return OutboxRow(shard_id, term, seq, n, user_id, b'{"body":"\xc3\xa9"}')  # type: ignore[arg-type]


def batch(up_to: int, **rows: Any) -> FlushBatch:
    return FlushBatch(up_to=Seq(up_to), **rows)
