"""``LibraryQueryService``: what a user has, and what it may play (R-RPC-1, R-RPC-4)."""

from google.protobuf.timestamp_pb2 import Timestamp
from library.v1 import library_query_service_pb2 as pb

from actors.domain.commands import CheckAccess, ListOwned
from actors.domain.ids import SECOND, Micros, ProductId, UserId, format_id
from actors.domain.replies import NO_ACCESS, UNKNOWN_ACCESS, AccessSince, OwnedItem, OwnedItems
from serve_app.ports import ManyActors
from serve_app.rpc.callers import Role
from serve_app.rpc.codes import of_reply
from serve_app.rpc.methods import KIB, Call, Kind, Method
from serve_app.rpc.reading import check_user, expired, read_id, timeout_s
from serve_app.rpc.services.access_batch import MAX_PAIRS, AccessBatch
from serve_app.rpc.services.shared_question import LONG_ENOUGH_S, SharedQuestion

SERVICE = "library.v1.LibraryQueryService"
PAGE = 1_000


class Queries:
    def __init__(self, actors: ManyActors, *, command_timeout_s: float) -> None:
        self._actors = actors
        self._timeout_s = command_timeout_s
        self._shared = SharedQuestion(actors)
        self.batch = AccessBatch(actors, command_timeout_s=command_timeout_s)

    async def check_access(self, request: pb.CheckGameAccessRequest, call: Call) -> pb.CheckGameAccessResponse:
        user_id = UserId(read_id(request.user_id, "user_id"))
        product_id = ProductId(read_id(request.product_id, "product_id"))
        check_user(call, user_id)
        since = UNKNOWN_ACCESS
        if timeout_s(call, self._timeout_s) >= LONG_ENOUGH_S:
            since = await self._shared.since((user_id, product_id))
        if since == UNKNOWN_ACCESS:
            since = await self._check_alone(user_id, product_id, call)
        if since == NO_ACCESS:
            return pb.CheckGameAccessResponse()
        return pb.CheckGameAccessResponse(has_access=True, acquisition_date=timestamp(since))

    async def _check_alone(self, user_id: UserId, product_id: ProductId, call: Call) -> Micros:
        """By the user's own actor: whoever is not in memory, whose host is away or whose caller has little time."""
        reply = await self._actors.call(
            user_id, CheckAccess((product_id,)), timeout_s=timeout_s(call, self._timeout_s), trace=call.trace
        )
        if type(reply) is not AccessSince:
            raise of_reply(reply, expired=expired(call))
        since = reply.acquired_at[0]
        return NO_ACCESS if since is None else since

    async def list_items(self, request: pb.GetLibraryItemsRequest, call: Call) -> pb.GetLibraryItemsResponse:
        """Whole, however many there are: read page by page, so that no frame and no turn of the host grows large."""
        user_id = UserId(read_id(request.user_id, "user_id"))
        wanted = None
        if request.product_ids_filter:
            wanted = tuple(
                ProductId(read_id(text, f"product_ids_filter[{position}]"))
                for position, text in enumerate(request.product_ids_filter)
            )
        check_user(call, user_id)
        response = pb.GetLibraryItemsResponse()
        after: ProductId | None = None
        while True:
            reply = await self._actors.call(
                user_id,
                ListOwned(wanted, after, PAGE),
                timeout_s=timeout_s(call, self._timeout_s),
                trace=call.trace,
            )
            if type(reply) is not OwnedItems:
                raise of_reply(reply, expired=expired(call))
            response.items.extend(map(_item, reply.items))
            if not reply.more:
                return response
            after = reply.items[-1].product_id


def timestamp(at: Micros) -> Timestamp:
    seconds, micros = divmod(at, SECOND)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def _item(item: OwnedItem) -> pb.LibraryItemInternal:
    return pb.LibraryItemInternal(
        product_id=format_id(item.product_id),
        added_at=timestamp(item.added_at),
        installation_status=item.installation_status,
        total_playtime_seconds=item.total_playtime_s,
    )


def query_methods(queries: Queries) -> list[Method]:
    return [
        Method(
            service=SERVICE,
            name="CheckGameAccess",
            kind=Kind.UNARY,
            request=pb.CheckGameAccessRequest,
            handler=queries.check_access,
            role=Role.READER,
            by_user=True,
            message_bytes=4 * KIB,
        ),
        Method(
            service=SERVICE,
            name="GetLibraryItems",
            kind=Kind.UNARY,
            request=pb.GetLibraryItemsRequest,
            handler=queries.list_items,
            role=Role.READER,
            by_user=True,
            message_bytes=512 * KIB,
            in_work=200,
        ),
        Method(
            service=SERVICE,
            name="CheckGameAccessBatch",
            kind=Kind.UNARY,
            request=pb.CheckGameAccessBatchRequest,
            handler=queries.batch.check,
            role=Role.READER,
            by_user=True,
            message_bytes=MAX_PAIRS * 128,
            in_work=64,
        ),
    ]
