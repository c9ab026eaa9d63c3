"""Hosts, links and router over a real Postgres: the promises, with hosts that die and shards that move."""

import asyncio
from collections import defaultdict
from uuid import uuid4

import pytest

from actors.domain.commands import AddPurchase, EndSession, Heartbeat, ListItems, Settle, StartSession
from actors.domain.ids import Micros, OrderId, ProductId, SessionId, UserId, shard_of
from actors.domain.replies import Done, HeartbeatCounted, ItemsPage, Refused, SessionIsLive, SessionIsOver, Unavailable
from actors.lifecycle import HostState
from actors.ports import Deposed
from tests.support.small_cluster import SmallCluster, small_cluster, until

PURCHASED = Micros(1_600_000_000_000_000)


def a_user() -> UserId:
    return UserId(uuid4().bytes)


async def buy(cluster: SmallCluster, user_id: UserId, count: int = 1) -> list[ProductId]:
    products = tuple(ProductId(uuid4().bytes) for _ in range(count))
    assert await cluster.call(user_id, AddPurchase(OrderId(uuid4().bytes), products, PURCHASED)) == Done()
    return list(products)


async def start(cluster: SmallCluster, user_id: UserId, product_id: ProductId) -> SessionId:
    reply = await cluster.call(user_id, StartSession(product_id, "desk"))
    assert isinstance(reply, SessionIsLive), reply
    return reply.session.session_id


async def table_totals(cluster: SmallCluster) -> dict[tuple[bytes, bytes], tuple[int, int]]:
    """(user, product) -> (the item's total, the sum of its sessions)."""
    rows = await cluster.pool.fetch(
        """
        select i.user_id, i.product_id, i.total_playtime_seconds as total,
               coalesce((select sum(s.duration_seconds) from playtime_sessions s
                         where s.user_id = i.user_id and s.product_id = i.product_id), 0)::bigint as summed
        from user_library_items i
        """
    )
    return {(row["user_id"], row["product_id"]): (row["total"], row["summed"]) for row in rows}


async def test_a_session_from_purchase_to_the_tables(postgres_dsn: str) -> None:
    """Promises 1 and 5, R-PT-1: what was acknowledged is read again, and after a settle stands in the tables."""
    async with small_cluster(postgres_dsn, 0, 1) as cluster:
        user_id = a_user()
        (product_id,) = await buy(cluster, user_id)
        session_id = await start(cluster, user_id, product_id)
        assert isinstance(await cluster.call(user_id, Heartbeat(session_id)), HeartbeatCounted)
        over = await cluster.call(user_id, EndSession(session_id))
        assert isinstance(over, SessionIsOver)
        page = await cluster.call(user_id, ListItems())
        assert isinstance(page, ItemsPage)
        assert [one.item.product_id for one in page.items] == [product_id]
        assert await cluster.call(user_id, Settle()) == Done(changed=False)
        row = (await cluster.pool.fetch("select * from playtime_sessions where id = $1", session_id))[0]
        assert (row["duration_seconds"], row["end_reason"]) == (over.session.duration_s, "client")
        published = await cluster.pool.fetch("select body from outbox order by shard_id, term, seq, n")
        kinds = [row["body"].decode().split('"type":"')[1].split('"')[0] for row in published]
        assert kinds == [
            "library.game.added.v1",
            "library.playtime.session.started.v1",
            "library.playtime.session.ended.v1",
        ]


async def test_nothing_acknowledged_is_lost_when_a_host_dies_before_its_flush(postgres_dsn: str) -> None:
    """Promise 1: the journal alone is enough."""
    async with small_cluster(postgres_dsn, 0) as cluster:
        user_id = a_user()
        products = await buy(cluster, user_id, 3)
        sessions = [await start(cluster, user_id, product_id) for product_id in products]
        over = await cluster.call(user_id, EndSession(sessions[0]))
        await cluster.kill(0)
        await cluster.start(0)
        assert await cluster.call(user_id, EndSession(sessions[0])) == over
        assert isinstance(await cluster.call(user_id, Heartbeat(sessions[1])), HeartbeatCounted)
        assert isinstance(await cluster.call(user_id, EndSession(sessions[2])), SessionIsOver)


async def test_a_call_waits_in_the_router_while_its_host_is_away(postgres_dsn: str) -> None:
    """Promise 6: for a bounded time; then it is unavailable, and later it works."""
    async with small_cluster(postgres_dsn, 0) as cluster:
        user_id = a_user()
        await buy(cluster, user_id)
        await cluster.kill(0)
        reply = await cluster.call(user_id, ListItems(), timeout_s=0.3)
        assert isinstance(reply, Unavailable)
        waiting = asyncio.create_task(cluster.call(user_id, ListItems()))
        await cluster.start(0)
        assert isinstance(await waiting, ItemsPage)


async def test_a_second_process_takes_over_and_the_first_is_deposed(postgres_dsn: str) -> None:
    """Promise 3: the first can commit nothing more and leaves."""
    async with small_cluster(postgres_dsn, 0) as cluster:
        user_id = a_user()
        (product_id,) = await buy(cluster, user_id)
        first, first_task = cluster.hosts[0], cluster.task(0)  # type: ignore[index]
        await cluster.start(0)
        session_id = await start(cluster, user_id, product_id)
        with pytest.raises(Deposed):
            await asyncio.wait_for(first_task, 10)
        assert first.state is HostState.DEPOSED
        assert isinstance(await cluster.call(user_id, Heartbeat(session_id)), HeartbeatCounted)


async def test_users_play_on_while_shards_move_and_hosts_die(postgres_dsn: str) -> None:
    """Promises 1 to 5, R-PT-4: hosts grow, shrink and die under load, and every total is the sum of its sessions."""
    async with small_cluster(postgres_dsn, 0, clock_rate=100) as cluster:
        acknowledged: dict[tuple[bytes, bytes], int] = defaultdict(int)
        running = True

        async def player() -> None:
            user_id = a_user()
            products = await buy(cluster, user_id, 2)
            while running:
                for product_id in products:
                    session_id = await start(cluster, user_id, product_id)
                    for _ in range(3):
                        beat = await cluster.call(user_id, Heartbeat(session_id), timeout_s=20)
                        assert isinstance(beat, HeartbeatCounted), beat
                    over = await cluster.call(user_id, EndSession(session_id), timeout_s=20)
                    assert isinstance(over, SessionIsOver), over
                    acknowledged[user_id, product_id] += over.session.duration_s
                await asyncio.sleep(0.01)

        players = [asyncio.create_task(player()) for _ in range(40)]
        await cluster.start(1)
        await cluster.start(2)
        await cluster.spread(0, 1, 2)
        await cluster.kill(1)
        await asyncio.sleep(0.3)
        await cluster.start(1)
        await cluster.spread(1, 2)
        await cluster.stop(0)
        await cluster.kill(2)
        await cluster.start(2)
        await cluster.spread(2)
        await until(lambda: sum(acknowledged.values()) > 300)
        running = False
        await asyncio.wait_for(asyncio.gather(*players), 60)
        for user_id, _ in list(acknowledged):
            assert await cluster.call(UserId(user_id), Settle()) == Done(changed=False)
        totals = await table_totals(cluster)
        assert len(totals) == 80
        assert all(total == summed for total, summed in totals.values())
        assert {key: total for key, (total, _) in totals.items()} == {key: acknowledged[key] for key in totals}


async def test_a_foreign_session_cannot_be_told_from_an_absent_one(postgres_dsn: str) -> None:
    """R-SEC-2: live or ended, in memory or only in the tables."""
    async with small_cluster(postgres_dsn, 0) as cluster:
        owner, stranger = a_user(), a_user()
        products = await buy(cluster, owner, 2)
        live, ended = [await start(cluster, owner, product_id) for product_id in products]
        await cluster.call(owner, EndSession(ended))
        await cluster.call(owner, Settle())
        for session_id in (live, ended, SessionId(uuid4().bytes)):
            assert await cluster.call(stranger, Heartbeat(session_id)) == Refused("SESSION_NOT_FOUND")
            assert await cluster.call(stranger, EndSession(session_id)) == Refused("SESSION_NOT_FOUND")


async def test_a_stop_flushes_everything(postgres_dsn: str) -> None:
    """A planned end leaves an empty journal."""
    async with small_cluster(postgres_dsn, 0) as cluster:
        user_id = a_user()
        await buy(cluster, user_id, 10)
        await cluster.stop(0)
        assert cluster.hosts[0].state is HostState.STOPPED  # type: ignore[index]
        assert await cluster.pool.fetchval("select count(*) from journal") == 0
        assert await cluster.pool.fetchval("select count(*) from user_library_items where user_id = $1", user_id) == 10


async def test_the_shard_of_a_user_is_the_same_in_sql(postgres_dsn: str) -> None:
    async with small_cluster(postgres_dsn, 0) as cluster:
        for _ in range(20):
            user_id = a_user()
            assert await cluster.pool.fetchval("select library_shard($1)", user_id) == shard_of(user_id)
