"""What handlers read from messages, and how long they may wait."""

import asyncio

from actors.domain.ids import UserId, parse_id
from serve_app.rpc.codes import Code, RpcError, invalid
from serve_app.rpc.methods import Call


def read_id(text: str, field: str) -> bytes:
    try:
        return parse_id(text)
    except ValueError:
        raise invalid(field, "is not a UUID") from None


def is_id(text: str) -> bool:
    try:
        parse_id(text)
    except ValueError:
        return False
    return True


def check_user(call: Call, user_id: UserId) -> None:
    """A call with a user's token speaks of that user alone (R-RPC-4)."""
    if call.user_id is not None and call.user_id != user_id:
        raise not_yours()


def not_yours() -> RpcError:
    return RpcError(Code.PERMISSION_DENIED, "PERMISSION_DENIED", "the token is another user's")


def timeout_s(call: Call, at_most_s: float) -> float:
    """How long an actor may take: no longer than the caller waits."""
    if call.deadline is None:
        return at_most_s
    return max(0.0, min(at_most_s, call.deadline - asyncio.get_running_loop().time()))


def expired(call: Call) -> bool:
    return call.deadline is not None and asyncio.get_running_loop().time() >= call.deadline
