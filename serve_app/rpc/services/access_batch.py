"""``CheckGameAccessBatch``: many pairs of a user and a product in one call (R-RPC-4).

Hosts are asked for as many users as they have in memory; the others one by one. Each pair has its own answer: one that
nobody answered is ``ACCESS_UNKNOWN``, and the call is OK all the same.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice

from library.v1 import library_query_service_pb2 as pb

from actors.domain.access import PAIR_BYTES, pairs_in
from actors.domain.commands import CheckAccess
from actors.domain.ids import SECOND, Micros, ProductId, UserId, parse_id
from actors.domain.replies import NO_ACCESS, UNKNOWN_ACCESS, AccessSince
from actors.many_access import Pair
from serve_app.many_calls import call_many
from serve_app.ports import ManyActors
from serve_app.rpc.codes import Violation, invalid, invalid_fields, unavailable
from serve_app.rpc.methods import Call
from serve_app.rpc.reading import check_user, is_id, timeout_s

MAX_PAIRS = 10_000
MAX_VIOLATIONS = 20
AT_ONCE = 4
"""Batches of one door that are being asked; the others wait, within their callers' time, so that single calls of other
users are never long behind them."""
ANSWER_SHARE = 0.9
"""Of the caller's time; the rest is for the answer's way back."""

HOSTS_SHARE = 0.7
"""Of what is left of it, for a host to answer from memory; the rest is for asking the users of one that does not."""
AT_ONCE_PAIRS = 1_000
"""In one question to the hosts: a millisecond of each, so that other users never wait long behind it."""


class AccessBatch:
    def __init__(self, actors: ManyActors, *, command_timeout_s: float) -> None:
        self._actors = actors
        self._timeout_s = command_timeout_s
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def check(self, request: pb.CheckGameAccessBatchRequest, call: Call) -> pb.CheckGameAccessBatchResponse:
        packed = request.packed_checks
        if packed and request.checks:
            raise invalid("packed_checks", "comes together with `checks`; give one of them")
        pairs = _unpacked(packed) if packed else _read(request.checks)
        if call.user_id is not None:
            for user_id, _ in pairs:
                check_user(call, user_id)
        deadline = asyncio.get_running_loop().time() + timeout_s(call, self._timeout_s) * ANSWER_SHARE
        async with self._turn(deadline):
            since = await self._ask(pairs, call, deadline)
        unknown = since.count(UNKNOWN_ACCESS)
        if packed:
            return pb.CheckGameAccessBatchResponse(packed_results=bytes(map(_access, since)), unknown_count=unknown)
        response = pb.CheckGameAccessBatchResponse(unknown_count=unknown)
        for at in since:
            result = response.results.add(access=_access(at))
            if at >= 0:
                seconds, micros = divmod(at, SECOND)
                result.acquisition_date.seconds = seconds
                result.acquisition_date.nanos = micros * 1000
        return response

    @asynccontextmanager
    async def _turn(self, deadline: float) -> AsyncIterator[None]:
        """``RpcError`` for who has no turn by then: nothing was asked, so nothing is worth an answer."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._turns.acquire()
        except TimeoutError:
            raise unavailable(f"{AT_ONCE} other batches are being asked") from None
        try:
            yield
        finally:
            self._turns.release()

    async def _ask(self, pairs: Sequence[Pair], call: Call, deadline: float) -> list[Micros]:
        """For each pair the acquisition, ``NO_ACCESS`` or ``UNKNOWN_ACCESS``."""
        clock = asyncio.get_running_loop().time
        since: list[Micros] = []
        for first in range(0, len(pairs), AT_ONCE_PAIRS):
            limit_s = max(0.0, deadline - clock()) * HOSTS_SHARE
            some = pairs[first : first + AT_ONCE_PAIRS]
            since += await self._ask_hosts(some, limit_s, call.trace)
        if UNKNOWN_ACCESS in since:
            await self._ask_alone(pairs, since, max(0.0, deadline - clock()), call.trace)
        return since

    async def _ask_hosts(self, pairs: Sequence[Pair], limit_s: float, trace: str | None) -> Sequence[Micros]:
        answers: asyncio.Future[Sequence[Micros]] = asyncio.get_running_loop().create_future()

        def settle(found: Sequence[Micros]) -> None:
            if not answers.done():
                answers.set_result(found)

        self._actors.check_many(pairs, settle, timeout_s=limit_s, trace=trace)
        try:
            async with asyncio.timeout(limit_s):
                return await answers
        except TimeoutError:
            return [UNKNOWN_ACCESS] * len(pairs)

    async def _ask_alone(self, pairs: Sequence[Pair], since: list[Micros], limit_s: float, trace: str | None) -> None:
        """Whoever is still unknown: pairs of one user are one question, which loads what is not in memory."""
        by_user: dict[UserId, list[int]] = {}
        for position, (user_id, _) in enumerate(pairs):
            if since[position] == UNKNOWN_ACCESS:
                by_user.setdefault(user_id, []).append(position)
        questions = [
            (user_id, CheckAccess(tuple([pairs[position][1] for position in positions])))
            for user_id, positions in by_user.items()
        ]
        replies = await call_many(self._actors, questions, timeout_s=limit_s, trace=trace)
        for positions, reply in zip(by_user.values(), replies, strict=True):
            if type(reply) is AccessSince:
                for position, at in zip(positions, reply.acquired_at, strict=True):
                    since[position] = NO_ACCESS if at is None else at


def _access(at: Micros) -> pb.Access.ValueType:
    if at >= 0:
        return pb.ACCESS_GRANTED
    return pb.ACCESS_UNKNOWN if at == UNKNOWN_ACCESS else pb.ACCESS_DENIED


def _unpacked(packed: bytes) -> list[Pair]:
    if len(packed) % PAIR_BYTES:
        raise invalid("packed_checks", f"is not a multiple of {PAIR_BYTES} bytes")
    _check_count(len(packed) // PAIR_BYTES, "packed_checks")
    return list(pairs_in(packed))


def _read(checks: Sequence[pb.CheckGameAccessRequest]) -> list[Pair]:
    _check_count(len(checks), "checks")
    try:
        return [(UserId(parse_id(check.user_id)), ProductId(parse_id(check.product_id))) for check in checks]
    except ValueError:
        raise invalid_fields(list(islice(_violations(checks), MAX_VIOLATIONS))) from None


def _violations(checks: Sequence[pb.CheckGameAccessRequest]) -> Iterator[Violation]:
    for position, check in enumerate(checks):
        for field, text in (("user_id", check.user_id), ("product_id", check.product_id)):
            if not is_id(text):
                yield Violation(f"checks[{position}].{field}", "is not a UUID")


def _check_count(count: int, field: str) -> None:
    if count > MAX_PAIRS:
        raise invalid(field, f"has {count} pairs, at most {MAX_PAIRS} are allowed")
