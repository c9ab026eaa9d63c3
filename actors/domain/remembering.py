"""Command ids: what makes a command that comes again change nothing (promise 2).

An id of 16 bytes was made by a door, for the attempts of its own router. One of 32 bytes is a client's
``Idempotency-Key``: 16 bytes of the user and the key, then 16 of the request that came with it. The first 16 find the
stored answer; another request with the same key is told by the rest.
"""

from hashlib import sha256

from msgspec.structs import replace

from actors.domain.ids import SECOND, CommandId, Micros, UserId
from actors.domain.model import Aggregate, AppliedCommand, NotLoaded, User
from actors.domain.replies import Answer, Refused, decode_answer, encode_answer

ID_BYTES = 16
REMEMBER_IDS_US = 600 * SECOND
"""How long a door's id is remembered: longer than any router tries (real time)."""
REMEMBER_KEYS_US = 24 * 3600 * SECOND
"""How long a client's key is (real time)."""
MAX_KEYS = 10_000
"""Of one user, at a time: what is remembered is kept, so that more are refused."""
FORGET_EVERY = 64
"""Ids that are added before those whose time is over are forgotten."""
MAX_ANSWER_BYTES = 4096


class AnswerTooLong(Exception):
    """A command that can be remembered made an answer that cannot be stored; a bug of ours. Nothing has happened."""

    def __init__(self, kind: str, size_bytes: int) -> None:
        super().__init__(f"{kind} of {size_bytes} bytes")


def client_key(user_id: UserId, key: bytes, request: bytes) -> CommandId:
    """The id of a request that carries a client's key; of each user alone. ``request``: what must not differ."""
    return CommandId(sha256(b"key" + user_id + key).digest()[:ID_BYTES] + sha256(request).digest()[:ID_BYTES])


def part_key(whole: CommandId, user_id: UserId, part: bytes) -> CommandId:
    """The id of one of many commands that a request with a key becomes, maybe other users'."""
    return CommandId(sha256(whole + user_id + part).digest()[:ID_BYTES] + whole[ID_BYTES:])


def recalled(user: User, command_id: CommandId, real_now: Micros) -> Answer | None:
    """The answer that was given to this id before, or a refusal of the id; None if it is to be decided.

    Raises ``NotLoaded``.
    """
    if user.commands is None:
        raise NotLoaded(Aggregate.COMMANDS)
    request = command_id[ID_BYTES:]
    applied = user.commands.get(CommandId(command_id[:ID_BYTES]))
    if applied is not None and _is_kept(applied, real_now):
        if applied.request != request:
            return Refused("IDEMPOTENCY_KEY_REUSED", "the key came with another request before")
        return decode_answer(applied.reply)
    if request and len(user.commands) >= MAX_KEYS and _keys_of(user, real_now) >= MAX_KEYS:
        return Refused("RATE_LIMITED", f"{MAX_KEYS} keys are remembered for this user; each for 24 hours")
    return None


def applied_command(command_id: CommandId, real_now: Micros, answer: Answer) -> AppliedCommand:
    """What is remembered of a command that was done. Raises ``AnswerTooLong``."""
    reply = encode_answer(answer)
    if len(reply) > MAX_ANSWER_BYTES:
        raise AnswerTooLong(type(answer).__name__, len(reply))
    return AppliedCommand(CommandId(command_id[:ID_BYTES]), real_now, reply, command_id[ID_BYTES:])


def evolve_applied(user: User, applied: AppliedCommand) -> User:
    """Adds a command id, and now and then forgets those whose time is over: the memory of a busy user stays bounded,
    and not every command looks at all before it."""
    kept = user.commands
    if kept is None:
        raise NotLoaded(Aggregate.COMMANDS)
    if len(kept) % FORGET_EVERY == 0:
        kept = {known.command_id: known for known in kept.values() if _is_kept(known, applied.at)}
    return replace(user, commands={**kept, applied.command_id: applied})


def _is_kept(applied: AppliedCommand, now: Micros) -> bool:
    return applied.at >= now - (REMEMBER_KEYS_US if applied.request else REMEMBER_IDS_US)


def _keys_of(user: User, now: Micros) -> int:
    return sum(bool(known.request) and _is_kept(known, now) for known in (user.commands or {}).values())
