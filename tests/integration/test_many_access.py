"""Many users asked about at once, over real links and a real Postgres (R-RPC-4)."""

from uuid import uuid4

from actors.domain.commands import AddPurchase, ListItems
from actors.domain.ids import Micros, OrderId, ProductId, UserId, shard_of
from actors.domain.replies import NO_ACCESS, UNKNOWN_ACCESS, Done, ItemsPage
from tests.support.asking_many import check_many
from tests.support.small_cluster import SmallCluster, small_cluster

PURCHASED = Micros(1_600_000_000_000_000)
GAME, OTHER_GAME = ProductId(uuid4().bytes), ProductId(uuid4().bytes)


async def buy(cluster: SmallCluster, user_id: UserId, order_id: OrderId | None = None) -> None:
    order_id = order_id or OrderId(uuid4().bytes)
    assert await cluster.call(user_id, AddPurchase(order_id, (GAME,), PURCHASED)) == Done()


async def test_every_pair_has_its_answer_in_its_place_whoever_hosts_its_user(postgres_dsn: str) -> None:
    """And reads what was acknowledged a moment ago."""
    async with small_cluster(postgres_dsn, 0, 1, 2) as cluster:
        users = [UserId(uuid4().bytes) for _ in range(300)]
        for user_id in users[::2]:
            await buy(cluster, user_id)
        for user_id in users[1::2]:
            assert isinstance(await cluster.call(user_id, ListItems()), ItemsPage)

        since = await check_many(cluster.router, [(user_id, GAME) for user_id in users], timeout_s=5)
        others = await check_many(cluster.router, [(user_id, OTHER_GAME) for user_id in users], timeout_s=5)

        assert since == [PURCHASED, NO_ACCESS] * 150
        assert others == [NO_ACCESS] * 300


async def test_who_is_not_in_memory_or_has_no_host_is_unknown_and_the_others_are_answered(postgres_dsn: str) -> None:
    async with small_cluster(postgres_dsn, 0, 1) as cluster:
        users = [UserId(uuid4().bytes) for _ in range(40)]
        for user_id in users:
            await buy(cluster, user_id)
        owners = (await cluster.supervisor.read_map()).shards
        strangers = [(UserId(uuid4().bytes), GAME) for _ in range(3)]
        pairs = [(user_id, GAME) for user_id in users]
        assert (
            await check_many(cluster.router, pairs + strangers, timeout_s=5) == [PURCHASED] * 40 + [UNKNOWN_ACCESS] * 3
        )
        await cluster.kill(1)

        since = await check_many(cluster.router, pairs, timeout_s=0.3)

        on_first = [owners[shard_of(user_id)].host_id == 0 for user_id in users]
        assert since == [PURCHASED if here else UNKNOWN_ACCESS for here in on_first]
