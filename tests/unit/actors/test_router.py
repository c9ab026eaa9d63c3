"""The router over real links to hosts whose answers, cuts and deaths the test decides."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.certificates import CertificateFiles, Certificates
from actors.domain.commands import AddPurchase, Heartbeat
from actors.domain.ids import SHARD_COUNT, Epoch, HostId, Micros, OrderId, SessionId, ShardId, Term, UserId
from actors.domain.replies import Done, Overloaded, Reply, Unavailable, WrongShard
from actors.link.handshake import Credentials
from actors.link.server import LinkServer
from actors.mailbox import Mailbox, MailboxLimits
from actors.ports import ClusterMap, HostAddress, ShardOwner
from actors.router import Router, RouterLimits
from actors.turns import PER_TURN
from tests.support.actor import an_id
from tests.support.certificates import Authority

USER = UserId(an_id(7))
PURCHASE = AddPurchase(OrderId(an_id(1)), (), Micros(0))
SECRET = Credentials(cluster="test", secret=b"s" * 32)


class Doors:
    def door_linked(self) -> None: ...

    def door_lost(self) -> None: ...

    def door_missed(self) -> None: ...


class OneHost:
    """Host 0 owns every shard; also the map's reader."""

    def __init__(self, credentials: Credentials = SECRET) -> None:
        self.credentials = credentials
        self.epoch = Epoch(0)
        self.term = Term(1)
        self.address: str | None = None
        self.mailbox = Mailbox(MailboxLimits())
        self.server: LinkServer | None = None

    async def read_map(self) -> ClusterMap:
        host = HostAddress(HostId(0), self.epoch, self.address)
        owners = {ShardId(number): ShardOwner(ShardId(number), HostId(0), self.term) for number in range(SHARD_COUNT)}
        return ClusterMap({HostId(0): host}, owners)

    async def start(self) -> None:
        """A fresh process takes the host over."""
        self.epoch = Epoch(self.epoch + 1)
        self.server = LinkServer(credentials=self.credentials, host_id=HostId(0), max_commands_per_link=100)
        self.address = await self.server.listen("127.0.0.1")
        self.mailbox = Mailbox(MailboxLimits())
        self.server.open(self.epoch, self.mailbox, Doors())

    def cut(self) -> None:
        assert self.server is not None
        for link in list(self.server.links):
            link.transport.abort()

    async def die(self) -> None:
        assert self.server is not None
        self.cut()
        await self.server.close()

    async def asked(self) -> None:
        """Until a command has arrived."""
        async with asyncio.timeout(5):
            while not len(self.mailbox):  # noqa: ASYNC110 - a mailbox has no event for its size
                await asyncio.sleep(0.005)

    def answer(self, reply: Reply) -> None:
        for pending in self.mailbox.cut(10):
            self.mailbox.answer(pending, reply)


@pytest.fixture
async def host() -> AsyncIterator[OneHost]:
    host = OneHost()
    await host.start()
    yield host
    await host.die()


@pytest.fixture
async def router(host: OneHost) -> AsyncIterator[Router]:
    router = Router(reader=host, credentials=SECRET, role="door", limits=RouterLimits(per_link=2))
    router.start()
    yield router
    await router.close()


async def ask(router: Router, host: OneHost, timeout_s: float = 5.0) -> "asyncio.Task[Reply]":
    task = asyncio.create_task(router.call(USER, PURCHASE, timeout_s=timeout_s))
    await host.asked()
    return task


async def test_a_command_is_answered_over_the_link(router: Router, host: OneHost) -> None:
    call = await ask(router, host)
    host.answer(Done())
    assert await call == Done()


async def test_a_command_is_sent_again_however_often_only_the_link_breaks(router: Router, host: OneHost) -> None:
    """Promise 2: the same host at the same epoch is no death."""
    call = await ask(router, host)
    for _ in range(4):
        host.mailbox.cut(10)
        host.mailbox = Mailbox(MailboxLimits())
        assert host.server is not None
        host.server.mailbox = host.mailbox
        host.cut()
        await host.asked()
    host.answer(Done())
    assert await call == Done()


async def test_a_command_whose_host_died_twice_is_not_sent_a_third_time(router: Router, host: OneHost) -> None:
    """Promise 6: it may be what kills them; its outcome is unknown."""
    call = await ask(router, host)
    for _ in range(2):
        await host.die()
        await host.start()
        if not call.done():
            await asyncio.wait({call, asyncio.create_task(host.asked())}, return_when=asyncio.FIRST_COMPLETED)
    reply = await call
    assert isinstance(reply, Unavailable)
    assert reply.suspect
    assert reply.unknown
    assert len(host.mailbox) == 0


async def test_a_refusal_after_a_lost_attempt_is_still_an_unknown_outcome(router: Router, host: OneHost) -> None:
    """Promise 4: the lost attempt may have been done."""
    call = await ask(router, host)
    await host.die()
    await host.start()
    await host.asked()
    host.answer(Overloaded("host mailbox"))
    reply = await call
    assert isinstance(reply, Unavailable)
    assert reply.unknown
    assert not reply.suspect


async def test_an_unanswered_command_fails_alone(router: Router, host: OneHost) -> None:
    """Promise 7: the others of its link go on."""
    slow = await ask(router, host, timeout_s=0.1)
    reply = await slow
    assert isinstance(reply, Unavailable)
    assert reply.unknown
    host.mailbox.cut(10)
    other = asyncio.create_task(router.call(USER, Heartbeat(SessionId(an_id(3))), timeout_s=5.0))
    await host.asked()
    while not other.done():
        host.answer(Done())
        await asyncio.sleep(0.005)
    assert await other == Done()


async def test_a_moved_shard_is_asked_for_at_its_new_term(router: Router, host: OneHost) -> None:
    """The router waits for a newer map instead of asking the same again."""
    call = await ask(router, host)
    host.term = Term(2)
    host.answer(WrongShard(Term(2)))
    await host.asked()
    (pending,) = host.mailbox.cut(10)
    assert pending.term == 2
    host.mailbox.answer(pending, Done())
    assert await call == Done()


async def test_more_calls_than_a_link_may_carry_are_overloaded(router: Router, host: OneHost) -> None:
    """Promise 6"""
    calls = [await ask(router, host), asyncio.create_task(router.call(USER, PURCHASE, timeout_s=5))]
    await asyncio.sleep(0)
    assert await router.call(USER, PURCHASE, timeout_s=5) == Overloaded("link")
    async with asyncio.timeout(5):
        while not all(call.done() for call in calls):
            host.answer(Done())
            await asyncio.sleep(0.005)


async def test_a_single_attempt_is_answered_or_lost_but_never_waits(router: Router, host: OneHost) -> None:
    """What ``try_call`` promises to the doors' lane for heartbeats."""
    replies: asyncio.Queue[Reply | None] = asyncio.Queue()
    beat = Heartbeat(SessionId(an_id(3)))

    def attempt() -> bool:
        return router.try_call(USER, beat, replies.put_nowait, timeout_s=5.0)

    assert not attempt(), "no map yet"
    async with asyncio.timeout(5):
        while not attempt():  # noqa: ASYNC110 - until there is a link
            await asyncio.sleep(0.005)
        await host.asked()
        host.answer(Done())
        assert await replies.get() == Done()

        assert attempt()
        await host.asked()
        host.answer(WrongShard(Term(2)))
        assert await replies.get() is None, "the long way finds the new owner"

        assert attempt()
        assert attempt()
        assert not attempt(), "a link carries two calls here"
        await host.asked()
        host.cut()
        assert [await replies.get(), await replies.get()] == [None, None]
        assert not attempt(), "no link"


def over_tls(authority: Authority, name: str) -> Credentials:
    certificate, key = authority.issue(name)
    certificates = Certificates(CertificateFiles(certificate=certificate, key=key, ca=authority.file))
    certificates.load()
    return Credentials(cluster=SECRET.cluster, secret=SECRET.secret, certificates=certificates)


async def test_a_link_over_tls_takes_only_those_of_its_own_authority(tmp_path: Path) -> None:
    """R-SEC-5: both ends show a certificate; the secret alone is not enough. The next link uses renewed ones."""
    ours = Authority(tmp_path, "ours")
    host = OneHost(over_tls(ours, "host"))
    await host.start()
    stranger = over_tls(Authority(tmp_path, "theirs"), "stranger")
    for credentials in (SECRET, stranger):
        router = Router(reader=host, credentials=credentials, role="door", limits=RouterLimits())
        router.start()
        assert isinstance(await router.call(USER, PURCHASE, timeout_s=0.5), Unavailable)
        await router.close()
    assert len(host.mailbox) == 0
    door = over_tls(ours, "door")
    router = Router(reader=host, credentials=door, role="door", limits=RouterLimits())
    router.start()
    for _ in range(2):
        call = await ask(router, host)
        host.answer(Done())
        assert await call == Done()
        for end, name in ((door, "door"), (host.credentials, "host")):
            ours.issue(name)
            assert end.certificates is not None
            assert await end.certificates.refresh()
        host.cut()
    await router.close()
    await host.die()


async def test_a_router_closes_at_any_moment(host: OneHost) -> None:
    """Promise 6, a wait with an end: also just when somebody asks for a newer map."""
    for ticks in range(12):
        router = Router(reader=host, credentials=SECRET, role="door", limits=RouterLimits())
        router.start()
        call = asyncio.create_task(router.call(USER, PURCHASE, timeout_s=0.2))
        for _ in range(ticks):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await router.close()
        await call


async def test_calls_that_wait_for_a_host_are_left_alone_while_the_map_says_the_same() -> None:
    """Promise 7: a host that is away costs its users' door nothing but the reading of the map."""
    host = OneHost()
    router = Router(reader=host, credentials=SECRET, role="door", limits=RouterLimits())
    router.start()
    call = asyncio.create_task(router.call(USER, PURCHASE, timeout_s=5))
    async with asyncio.timeout(5):
        while not router.metrics.map_reads:  # noqa: ASYNC110 - nothing else tells of a reading
            await asyncio.sleep(0.005)
        known, version = router.metrics.map_reads, router._changed.version
        while router.metrics.map_reads < known + 3:  # noqa: ASYNC110 - nor this
            await asyncio.sleep(0.005)
        assert router._changed.version == version
        await host.start()
        await host.asked()
        host.answer(Done())
        assert await call == Done()
    await router.close()
    await host.die()


async def test_calls_lost_with_a_link_go_on_a_few_in_a_turn(router: Router, host: OneHost) -> None:
    """Promise 7: a host that stood still for seconds had thousands outstanding when its link broke."""
    lost: list[Reply | None] = []
    async with asyncio.timeout(5):
        while not router.try_call(USER, Heartbeat(SessionId(an_id(1))), lost.append, timeout_s=5):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        link = router._links[HostId(0)]
        for _ in range(1_000):
            link.ask(
                USER,
                Heartbeat(SessionId(an_id(1))),
                lost.append,
                term=Term(1),
                deadline=link._loop.time() + 5,
                trace=None,
            )
        link.close()
        while len(lost) < 1_001:
            before = len(lost)
            await asyncio.sleep(0)
            assert len(lost) - before <= PER_TURN
    assert set(lost) == {None}
